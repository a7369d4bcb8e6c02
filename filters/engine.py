"""The filter engine: loads filters, which are folders of data, and draws them on frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .canvas import Canvas, Scratch, disjoint
from .geometry import FaceAxes, Rect, face_axes
from .layer_sticker import StickerPainter
from .spec import FilterSpec, Sticker, filter_names, read_filter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..pipeline.caps import Caps
    from ..pipeline.frame import Face, Frame

__all__ = ["Drawn", "Filter", "Painter", "filter_names", "load_filter"]


class FacePainter(Protocol):
    """Draws one layer, face by face."""

    def draw(self, canvas: Canvas, face: Face, axes: FaceAxes | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """The result of drawing: outside `rects`, which do not overlap, pixels are as they came."""

    frame: Frame
    rects: tuple[Rect, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as its folder describes it; `painter` makes it ready for a format."""

    name: str
    folder: Path
    spec: FilterSpec

    def painter(self, caps: Caps, opacity: float = 1.0) -> Painter:
        """Return what draws this filter on frames of `caps`, from a fresh start."""
        return Painter(self, caps, opacity)


def load_filter(name_or_path: str) -> Filter:
    """Return a filter by name or by path to its folder.

    Raises RegistryError for an unknown name, ConfigError (file, line, column) for a bad folder.
    """
    folder, spec = read_filter(name_or_path)
    return Filter(folder.name, folder, spec)


class Painter:
    """Draws one filter on the frames of one run, in order; remembers what its layers need."""

    def __init__(self, filter_: Filter, caps: Caps, opacity: float) -> None:
        self.opacity = opacity
        self._layers = [_painter(layer.spec, filter_.folder, caps) for layer in filter_.spec.layers]
        self._scratch = Scratch()

    def draw(self, frame: Frame, faces: Sequence[Face] | None = None) -> Drawn:
        """Return `frame` with the filter on `faces` (all of its own if None).

        The same frame object comes back where nothing is drawn; else its planes are copied once
        unless they are exclusive.
        """
        chosen = frame.faces if faces is None else faces
        canvas = Canvas(frame, self._scratch, keep_source=self.opacity < 1)
        known = [(face, face_axes(face)) for face in chosen]
        for layer in self._layers:
            for face, axes in known:
                layer.draw(canvas, face, axes)
        if self.opacity < 1:
            canvas.fade(self.opacity)
        return Drawn(canvas.frame, tuple(disjoint(canvas.rects)))


def _painter(spec: object, folder: Path, caps: Caps) -> FacePainter:
    match spec:
        case Sticker():
            return StickerPainter(spec, folder, caps)
    raise TypeError(f"no painter for {type(spec).__name__}")
