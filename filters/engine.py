"""The filter engine: loads filters, which are folders of data, and draws them on frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .canvas import Canvas, Scratch, disjoint
from .geometry import FaceAxes, Rect, face_axes
from .layer_inset import InsetPainter
from .layer_pixelate import PixelatePainter
from .layer_points import PointsPainter
from .layer_recolor import RecolorPainter
from .layer_sticker import StickerPainter
from .reading import filter_names, read_filter
from .spec import FilterSpec, Inset, Pixelate, Points, Recolor, Sticker

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
    """The result of drawing; `touched` may overlap."""

    frame: Frame
    touched: tuple[Rect, ...]

    @property
    def rects(self) -> tuple[Rect, ...]:
        """Rectangles that do not overlap; outside them pixels are as they came."""
        return tuple(disjoint(list(self.touched)))


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
        specs = [layer.spec for layer in filter_.spec.layers]
        hiding = [PixelatePainter(spec) for spec in specs if isinstance(spec, Pixelate)]
        drawing = [spec for spec in specs if not isinstance(spec, Pixelate)]
        self._layers = [_painter(spec, filter_.folder, caps) for spec in drawing]
        self._hiding = hiding
        # What hides a face must hide it: no part of the picture shines through.
        self._opacity = 1.0 if hiding else opacity
        self._keep_source = self._opacity < 1 or any(isinstance(s, Inset) for s in specs)
        self._scratch = Scratch()

    def draw(self, frame: Frame, faces: Sequence[Face] | None = None) -> Drawn:
        """Return `frame` with the filter on `faces` (all of its own if None).

        The same frame object comes back where nothing is drawn; else its planes are copied once
        unless they are exclusive.
        """
        canvas = Canvas(frame, self._scratch, self._keep_source)
        known = [(face, face_axes(face)) for face in frame.faces]
        chosen = frozenset(face.track_id for face in (frame.faces if faces is None else faces))
        for face, axes in known:
            if face.track_id in chosen:
                for layer in self._layers:
                    layer.draw(canvas, face, axes)
        # Last, and over everything: no layer can bring back what is hidden.
        for hiding in self._hiding:
            hiding.draw_all(canvas, known, chosen)
        if self._opacity < 1:
            canvas.fade(self._opacity, disjoint(canvas.rects))
        return Drawn(canvas.frame, tuple(canvas.rects))


def _painter(spec: object, folder: Path, caps: Caps) -> FacePainter:
    match spec:
        case Sticker():
            return StickerPainter(spec, folder, caps)
        case Recolor():
            return RecolorPainter(spec, caps)
        case Inset():
            return InsetPainter(spec)
        case Points():
            return PointsPainter(spec)
    raise TypeError(f"no painter for {type(spec).__name__}")
