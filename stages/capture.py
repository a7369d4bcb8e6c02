"""Source that reads a file, pictures, a camera, a network stream or the rendered test face."""

from __future__ import annotations

import os
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import urlsplit

from pydantic import Field

from ..pipeline import stage
from ..pipeline.errors import DeviceError, MediaError
from ..pipeline.registry import register_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame
    from ._camera import CameraReader

_CAMERA = re.compile(r"camera(?::(?P<which>.+))?|(?P<number>\d+)|(?P<path>/dev/(?:video|v4l/).+)")
_MAX_DENOMINATOR = 1001


class Reader(Protocol):
    """What stands behind the source: one kind of medium."""

    @property
    def duration_s(self) -> float | None:
        """Length where known."""

    def open(self) -> Caps:
        """Open the medium; raises MediaError or DeviceError."""

    def frames(self) -> Iterator[Frame]:
        """Yield all frames."""

    def settle(self) -> None:
        """Hand over what belongs to the frames already given, such as their sound."""

    def interrupt(self) -> None:
        """Wake a `frames` that waits."""

    def close(self) -> None:
        """Release the medium; may be called more than once."""


@register_stage("capture")
class Capture(stage.Source):
    """Read frames from `source`.

    A video keeps its own times, is turned upright, and pads odd sizes by their edge; every frame
    of it carries `tags["media"]`, from which the file sink copies sound and subtitles.
    """

    class Params(stage.Params):
        """Properties of `capture`."""

        source: str = Field(
            "auto",
            min_length=1,
            description="auto (first camera, else the test face), test, camera, camera:N, a device "
            "path, a video, a picture, a folder of pictures, a URL, or - for standard input",
        )
        width: int = Field(
            1280,
            ge=2,
            le=8192,
            description="width of the test face, and asked of a camera",
            json_schema_extra={"unit": "px"},
        )
        height: int = Field(
            720,
            ge=2,
            le=8192,
            description="height of the test face, and asked of a camera",
            json_schema_extra={"unit": "px"},
        )
        fps: float = Field(
            30.0,
            ge=1,
            le=240,
            description="rate of the test face and of pictures, and asked of a camera",
            json_schema_extra={"unit": "frames/s"},
        )
        faces: int = Field(1, ge=0, le=16, description="how many faces the test source shows")
        reopen_s: float = Field(
            10.0,
            ge=0,
            le=3600,
            description="how long to wait for a camera that was lost, such as unplugged, to come "
            "back; 0 = end at once",
            json_schema_extra={"unit": "s"},
        )
        duration: float | None = Field(
            None,
            gt=0,
            description="stop after this time; none = at the end of the medium",
            json_schema_extra={"unit": "s"},
        )

    params: Params
    shorthand: ClassVar[str | None] = "source"
    _reader: Reader | None = None
    _kind = "file"

    def open(self) -> Caps:
        """Open `source`; raises MediaError, DecodeError, DeviceError."""
        if self._reader is None:
            self._reader = self._choose(self.params.source)
        return self._reader.open()

    def describe(self) -> dict[str, Any]:
        """Return what kind of source it is, so that `sink: auto` can choose; opens nothing."""
        self._reader = self._choose(self.params.source)
        return {"source": self._kind, "source_name": self.params.source}

    def _choose(self, source: str) -> Reader:
        if source == "auto":
            return self._auto()
        if source == "test":
            return self._rendered()
        if source == "-":
            return self._standard_input()
        camera = _CAMERA.fullmatch(source)
        if camera:
            return self._camera(camera["which"] or camera["number"] or camera["path"] or "")
        scheme, separator, _ = source.partition("://")
        if separator and scheme != "file":
            return self._stream(source)
        return self._file(_path_of(source) if separator else Path(source))

    def _auto(self) -> Reader:
        try:
            reader = self._camera("")
        except DeviceError:
            self.context.info("source: the test face, since no camera was found")
            return self._rendered()
        self.context.info(f"source: the first camera, {reader.device}")
        return reader

    def _rendered(self) -> Reader:
        from ._rendered import RenderedReader

        self._kind = "test"
        params = self.params
        return RenderedReader(self.context, params.width, params.height, self._fps, params.faces)

    def _camera(self, which: str) -> CameraReader:
        from ._camera import CameraReader, find_camera

        params, device = self.params, find_camera(which)
        self._kind = "camera"
        return CameraReader(
            device, self.context, params.width, params.height, self._fps, reopen_s=params.reopen_s
        )

    def _stream(self, url: str) -> Reader:
        from ._stream import StreamReader

        return StreamReader(url, self.context, self.params.duration)

    def _standard_input(self) -> Reader:
        from ._av_source import MediaReader
        from ._media import STDIN

        return MediaReader(STDIN, self.context, self.params.duration)

    def _file(self, path: Path) -> Reader:
        from ._av_source import MediaReader
        from ._images import ImagesReader, is_picture

        if os.path.isdir(path) or is_picture(path):  # noqa: PTH112 - no error for odd names
            return ImagesReader(path, self.context, self._fps)
        return MediaReader(str(path), self.context, self.params.duration)

    @property
    def _fps(self) -> Fraction:
        return Fraction(self.params.fps).limit_denominator(_MAX_DENOMINATOR)

    def frames(self) -> Iterator[Frame]:
        """Yield frames to the end of the medium, or for `duration`.

        A camera or stream that is lost on the way ends them in order, so that what was recorded
        becomes whole; the run fails afterwards.
        """
        if self._reader is None:
            return
        limit_s, first_s = self.params.duration, None
        try:
            for frame in self._reader.frames():
                first_s = frame.time_s if first_s is None else first_s
                if limit_s is not None and frame.time_s - first_s >= limit_s:
                    return
                yield frame
        except DeviceError as error:
            if first_s is None:
                raise
            self.context.request("fail", error)

    @property
    def total_duration_s(self) -> float | None:
        """Length of the medium or `duration`, whichever is less."""
        lengths = [self.params.duration, self._reader.duration_s if self._reader else None]
        return min((length for length in lengths if length is not None), default=None)

    def settle(self) -> None:
        """Read on until the sound has come as far as the pictures."""
        if self._reader is not None:
            self._reader.settle()

    @property
    def status(self) -> str:
        """What a camera is waiting for."""
        return getattr(self._reader, "status", "")

    def interrupt(self) -> None:
        """Wake a camera or network stream that waits for its next frame."""
        if self._reader is not None:
            self._reader.interrupt()

    def stop(self) -> None:
        """Release the medium."""
        if self._reader is not None:
            self._reader.close()


def _path_of(url: str) -> Path:
    """Return the path that a `file:` URL names, in the system's own writing (C:\\name)."""
    from urllib.request import url2pathname  # slow to import

    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise MediaError(f"{url} names no file on this computer: write the path alone")
    return Path(url2pathname(parts.path))
