"""Stages for the command line's tests; run as a script, this is `vidfilter` with them known."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from vidfilter.pipeline import Caps, Frame, Params, Sink, Source, Transform, register_stage
from vidfilter.pipeline.cli import main
from vidfilter.pipeline.frame import allocate

CAPS = Caps("yuv420p", 16, 16, Fraction(100))


class SourceParams(Params):
    """How much to emit, and what of it to lose."""

    frames: int = 20
    delay_s: float = 0.0
    drop: bool = False


@register_stage("k-source")
class CliSource(Source):
    """Emit grey frames."""

    Params = SourceParams

    def open(self) -> Caps:
        return CAPS

    @property
    def total_duration_s(self) -> float | None:
        return self.params.frames / 100  # type: ignore[attr-defined]

    def frames(self) -> Iterator[Frame]:
        params: SourceParams = self.params  # type: ignore[assignment]
        self.context.info("grey frames, as asked")
        for number in range(params.frames):
            if self.context.wait(params.delay_s):
                return
            buffer, planes = allocate(CAPS)
            buffer.fill(128)
            frame = Frame(planes, number, Fraction(1, 100), number, CAPS, owner=buffer)
            if params.drop and number == 3:
                self.context.drop(frame, "a test")
            else:
                yield frame


class FaultParams(Params):
    """What goes wrong."""

    fault: str = "none"


@register_stage("k-fault")
class CliFault(Transform):
    """Fail in the way asked for at frame 5."""

    Params = FaultParams
    shorthand = "fault"

    def process(self, frame: Frame) -> Frame | None:
        fault = self.params.fault  # type: ignore[attr-defined]
        if frame.seq == 5:
            if fault == "raise":
                raise ValueError("two\nlines")
            if fault == "stall":
                time.sleep(1000)
            if fault == "drop":
                self.context.drop(frame, "asked to")
                return None
            if fault == "warn":
                self.context.warn("\x1b[31mred\nalert")
        return frame


class FileParams(Params):
    """Where to write."""

    path: str
    overwrite: bool = False


@register_stage("k-file")
class CliFile(Sink):
    """Write one byte per frame to a `.part`, renamed at the end."""

    Params = FileParams
    lossless = True
    shorthand = "path"

    def start(self, caps: Caps) -> Caps:
        self._path = Path(self.params.path)  # type: ignore[attr-defined]
        self._part = self._path.with_name(f"{self._path.stem}.part{self._path.suffix}")
        self._part.touch()
        return caps

    def write(self, frame: Frame) -> None:
        with self._part.open("ab") as file:
            file.write(b"x")

    def finish(self) -> None:
        self._part.replace(self._path)


if __name__ == "__main__":
    sys.exit(main())
