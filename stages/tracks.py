"""Attach faces from a file of `tracks_file` instead of finding them."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - pydantic reads it at run time
from typing import IO, TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from ..pipeline import stage
from ..pipeline.errors import MediaError
from ..pipeline.registry import register_stage
from . import _track_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..pipeline.caps import Caps
    from ..pipeline.frame import Face, Frame

    _Line = tuple[int, tuple[Face, ...]]  # pts, faces


@register_stage("tracks")
class Tracks(stage.Transform):
    """Give frames the faces and cuts that a tracks file has for their pts; runs no model.

    The file is read along with the frames. Raises MediaError where it is damaged, or belongs to
    another medium than the frames.
    """

    class Params(stage.Params):
        """Properties of `tracks`."""

        path: Path = Field(description="tracks file, with its .meta.json beside it")

    params: Params
    keeps_pictures: ClassVar[bool] = False
    shorthand: ClassVar[str | None] = "path"

    _lines: IO[bytes] | None = None

    def start(self, caps: Caps) -> Caps:
        """Open the file; raises MediaError."""
        self._meta = self._read_meta()
        self._cuts = frozenset(self._meta.get("cuts_pts", ()))
        try:
            self._lines = self.params.path.open("rb")
        except OSError as error:
            raise MediaError(f"cannot read {self.params.path}: {error.strerror}") from None
        self._number = 0
        self._next: _Line | None = None
        self._checked = False
        self._strangers = 0
        return caps

    def process(self, frame: Frame) -> Frame:
        """Return the frame with its faces, none where the file has no such pts."""
        if not self._checked:
            self._check_source(frame)
            self._next = self._read()
            self._checked = True
        while self._next is not None and self._next[0] < frame.pts:
            self._next = self._read()
        if self._next is None or self._next[0] != frame.pts:
            self._strangers += 1
            return frame.with_(faces=())
        (_, faces), self._next = self._next, self._read()
        cut = frame.pts in self._cuts
        return frame.with_(faces=faces, discontinuity=cut or frame.discontinuity)

    def flush(self) -> Iterable[Frame]:
        """Tell how many frames the file did not know."""
        if self._strangers:
            self.context.warn(f"{self.params.path} has no entry for {self._strangers} frames")
        return ()

    def stop(self) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _read_meta(self) -> dict[str, Any]:
        path = _track_rows.meta_path(self.params.path)
        try:
            meta = json.loads(path.read_bytes())
            if not isinstance(meta, dict):
                raise ValueError("expected an object")
            cuts = meta.get("cuts_pts", [])
            if not isinstance(cuts, list) or any(type(pts) is not int for pts in cuts):
                raise ValueError("cuts_pts is no list of integers")
        except OSError as error:
            raise MediaError(
                f"cannot read {path}: {error.strerror}; it tells what the tracks belong to"
            ) from None
        except ValueError as error:
            raise MediaError(f"{path} is damaged: {error}") from None
        return meta

    def _check_source(self, frame: Frame) -> None:
        """Raise MediaError where the tracks were found in something else than `frame` is from."""
        meta, path = self._meta, self.params.path
        size = (frame.caps.width, frame.caps.height)
        if (meta.get("width"), meta.get("height")) != size:
            have = f"{meta.get('width')}x{meta.get('height')}"
            raise MediaError(f"{path} belongs to pictures of {have}, not {size[0]}x{size[1]}")
        source, wanted = _track_rows.source_of(frame), meta.get("source")
        have_source = None if source is None else _track_rows.identify(source)
        if (wanted is None) != (have_source is None) or (
            wanted and have_source and wanted.get("sha256") != have_source["sha256"]
        ):
            name = wanted["name"] if wanted else "no file"
            raise MediaError(
                f"{path} belongs to another source ({name}): run 'vidfilter analyze' on this one"
            )

    def _read(self) -> _Line | None:
        """Return the next line, None at the end."""
        assert self._lines is not None
        line = self._lines.readline(_track_rows.MAX_LINE_BYTES)
        if not line:
            return None
        self._number += 1
        try:
            row, faces = _track_rows.decode(line)
        except ValueError as error:
            raise MediaError(f"{self.params.path}:{self._number}: {error}") from None
        return row["pts"], faces
