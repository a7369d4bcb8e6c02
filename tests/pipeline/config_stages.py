"""Stages for the tests of reading pipeline.yaml: nothing behind them, all kinds of properties."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from vidfilter.pipeline import Caps, Frame, Params, Sink, Source, Transform, register_stage


@register_stage("c-source")
class TestSource(Source):
    """A source."""

    __test__ = False

    class Params(Params):
        """What a source may have."""

        source: str = "auto"
        duration_s: float | None = Field(None, gt=0, json_schema_extra={"unit": "s"})

    def open(self) -> Caps:
        return Caps("yuv420p", 16, 16)

    def frames(self) -> Iterator[Frame]:
        return iter(())


class OverlayParams(Params):
    """One property of each kind."""

    filter: str = "glasses"
    faces: Literal["all", "largest"] = "all"
    opacity: float = Field(1.0, ge=0, le=1, description="how much covers")
    every: int | None = Field(None, ge=1, le=100, json_schema_extra={"unit": "frames"})
    mirror: bool = False
    size: tuple[int, int] = (4, 4)

    @model_validator(mode="after")
    def _both(self) -> OverlayParams:
        if self.mirror and self.every:
            raise ValueError("mirror and every exclude each other; remove one")
        return self


@register_stage("c-overlay")
class TestOverlay(Transform):
    """A transform with a shorthand."""

    __test__ = False
    Params = OverlayParams
    shorthand = "filter"

    def process(self, frame: Frame) -> Frame:
        return frame


class FileParams(Params):
    """What a file sink may have."""

    path: str
    overwrite: bool = False


@register_stage("c-file")
class TestFile(Sink):
    """A sink that must lose nothing."""

    __test__ = False
    Params = FileParams
    lossless = True

    def write(self, frame: Frame) -> None:
        pass


@register_stage("c-window")
class TestWindow(Sink):
    """A sink that may lose frames."""

    __test__ = False

    def write(self, frame: Frame) -> None:
        pass
