"""Source that reads a file, pictures, a camera, a network stream or the rendered test face."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import Field

from ..pipeline import stage
from ..pipeline.registry import register_stage
from ._av_source import MediaReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame


class Reader(Protocol):
    """What stands behind the source: one of the media this stage can read."""

    @property
    def duration_s(self) -> float | None: ...

    def open(self) -> Caps: ...

    def frames(self) -> Iterator[Frame]: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


@register_stage("capture")
class Capture(stage.Source):
    """Read frames from `source`."""

    class Params(stage.Params):
        """Properties of `capture`."""

        source: str = Field(
            "auto",
            min_length=1,
            description="auto (first camera, else the test face), test, camera, camera:N, a device "
            "path, a video, a picture, a folder of pictures, or a URL",
        )
        duration: float | None = Field(
            None,
            gt=0,
            description="stop after this time; none = at the end",
            json_schema_extra={"unit": "s"},
        )

    params: Params
    shorthand: ClassVar[str | None] = "source"
    _reader: Reader | None = None

    def open(self) -> Caps:
        """Open `source`; raises MediaError, DecodeError, DeviceError."""
        self._reader = MediaReader(self.params.source, self.context)
        return self._reader.open()

    def frames(self) -> Iterator[Frame]:
        yield from self._reader.frames()

    @property
    def total_duration_s(self) -> float | None:
        return self._reader.duration_s if self._reader else None

    def interrupt(self) -> None:
        if self._reader is not None:
            self._reader.interrupt()

    def stop(self) -> None:
        if self._reader is not None:
            self._reader.close()
