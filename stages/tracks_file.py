"""Sink that writes the faces found as one JSON object per frame."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from ..pipeline import stage
from ..pipeline.errors import EncodeError
from ..pipeline.outputs import part_path
from ..pipeline.registry import register_stage
from . import _track_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame


@register_stage("tracks_file")
class TracksFile(stage.Sink):
    """Write faces to `path`, one JSON object per frame, and beside it what they belong to.

    `path` is called `NAME.part.EXT` until it is whole; `path`.meta.json holds the source's hash,
    the size of the picture, the settings, the hashes of the networks, and the pts of the frames
    that begin another scene. The path - is standard output, without that second file.
    """

    class Params(stage.Params):
        """Properties of `tracks_file`."""

        path: str = Field(min_length=1, description="file to write; - is standard output")
        overwrite: bool = Field(False, description="replace an existing file")

    params: Params
    lossless: ClassVar[bool] = True
    shorthand: ClassVar[str | None] = "path"

    _stream: IO[str] | None = None
    _meta: dict[str, Any] | None = None
    _placeholder = False

    @property
    def _path(self) -> Path | None:
        return None if self.params.path == "-" else Path(self.params.path)

    def start(self, caps: Caps) -> Caps:
        """Create the file under its part name; raises EncodeError."""
        self._meta = None
        path = self._path
        if path is None:
            if sys.stdout is None:
                raise EncodeError("standard output is closed: give the name of a file")
            self._stream = sys.stdout
            return caps
        with self._guarded():
            self._check_place(path)
            part = part_path(path)
            self._placeholder = not part.exists()
            # Appending spares a part that is the input itself, until the first frame tells.
            self._stream = part.open("a", encoding="utf-8", newline="\n")
        return caps

    def _check_place(self, path: Path) -> None:
        if path.is_dir():
            raise EncodeError(f"{path} is a folder: give the name of a file to write")
        if not path.parent.is_dir():
            raise EncodeError(f"folder {path.parent} does not exist: create it first")
        for written in (path, _track_rows.meta_path(path), part_path(path)):
            if written.exists() and not self.params.overwrite:
                raise EncodeError(f"{written} exists already: --overwrite replaces it")

    def write(self, frame: Frame) -> None:
        """Append one line; raises EncodeError."""
        assert self._stream is not None
        if self._meta is None:
            self._refuse_input(frame)
            self._meta = _facts(frame)
            if self._path is not None:
                with self._guarded():
                    self._stream.truncate(0)
        if frame.discontinuity:
            self._meta["cuts_pts"].append(frame.pts)
        with self._guarded():
            self._stream.write(_track_rows.encode(frame) + "\n")
            if self._path is None:
                self._stream.flush()

    def _refuse_input(self, frame: Frame) -> None:
        """Raise EncodeError where the file would replace the one that `frame` comes from."""
        source, path = _track_rows.source_of(frame), self._path
        if source is None or path is None:
            return
        for written in (path, _track_rows.meta_path(path), part_path(path)):
            same = False
            # The error below is an OSError too: raised in here it would be swallowed.
            with suppress(OSError):
                same = written.samefile(source)
            if same:
                raise EncodeError(f"{written} is the input itself: choose another output")

    def finish(self) -> None:
        """Give the file its name; raises EncodeError."""
        path = self._path
        if path is None or self._stream is None:
            return
        with self._guarded():
            if self._meta is not None:
                source = self._meta["source"]
                self._meta["source"] = source and _track_rows.identify(source)
            meta = _track_rows.meta_path(path)
            part = meta.with_name(f"{meta.name}.part")
            part.write_text(json.dumps(self._meta or {}, indent=1) + "\n", encoding="utf-8")
            self._stream.close()
            self._stream = None
            part.replace(meta)
            part_path(path).replace(path)

    def stop(self) -> None:
        """Close the file; one that is not whole keeps its part name."""
        stream, self._stream = self._stream, None
        if stream is None or stream is sys.stdout:
            return
        with suppress(OSError):
            stream.close()
        if self._meta is None and self._placeholder and self._path is not None:
            part_path(self._path).unlink(missing_ok=True)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except EncodeError:
            raise
        except OSError as error:
            reason = error.strerror or error
            raise EncodeError(f"cannot write {self.params.path}: {reason}") from error


def _facts(frame: Frame) -> dict[str, Any]:
    """Return what the file is about; `source` is still a path."""
    return {
        "version": 1,
        "source": _track_rows.source_of(frame),
        "width": frame.caps.width,
        "height": frame.caps.height,
        "time_base": str(frame.time_base),
        "settings": frame.tags.get("settings", {}),
        "cuts_pts": [],
    }
