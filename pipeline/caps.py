"""What a link carries: pixel format, size, rate, colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# The formats frames are held in between stages. Everything else is converted once, at the source.
WORKING_FORMATS = ("yuv420p", "nv12", "bgr24", "bgra")
SUBSAMPLED = frozenset({"yuv420p", "nv12"})


@dataclass(frozen=True, slots=True)
class Caps:
    """Format of the frames on one link, agreed before any thread starts.

    `width`, `height` in pixels; `framerate` in frames per second, None = variable or unknown;
    `matrix` one of bt601, bt709, rgb; `color_range` limited or full; `sample_aspect` of one pixel;
    `live` means that frames come at the pace of the world and may be dropped to stay current.
    """

    pixel_format: str
    width: int
    height: int
    framerate: Fraction | None = None
    matrix: str = "bt709"
    color_range: str = "limited"
    primaries: str = "unknown"
    transfer: str = "unknown"
    sample_aspect: Fraction = Fraction(1)
    live: bool = False

    def with_(self, **changes: Any) -> Caps:
        """Return a copy with `changes`."""
        return replace(self, **changes)

    def __str__(self) -> str:
        rate = "variable" if self.framerate is None else f"{float(self.framerate):g} fps"
        live = ", live" if self.live else ""
        return (
            f"{self.pixel_format} {self.width}x{self.height} {rate} "
            f"{self.matrix} {self.color_range}{live}"
        )


def default_matrix(height: int) -> str:
    """Return the matrix to assume where a stream names none: bt709 from 720 lines up."""
    return "bt709" if height >= 720 else "bt601"


def fixate(pixel_format: str, accepted: Iterable[str]) -> str | None:
    """Choose what to convert `pixel_format` to; itself where accepted, None where nothing fits.

    Keeps subsampled formats subsampled where it can, so that a conversion stays cheap.
    """
    choices = list(accepted)
    if pixel_format in choices:
        return pixel_format
    kin = [c for c in choices if (c in SUBSAMPLED) == (pixel_format in SUBSAMPLED)]
    return next(iter(kin + choices), None)
