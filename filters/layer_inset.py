"""Layer `inset`: a part of the person's own face shown elsewhere, alive, with soft edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .canvas import chroma_site, window
from .geometry import vector
from .layer_sticker import WARP
from .masks import at_step, rounded, soft_polygon

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import F32, U8, Face
    from .canvas import Canvas
    from .geometry import F64, FaceAxes, Rect
    from .spec import Inset

# The skin's colour is measured where the wide cut reaches beyond the region by this much.
RING = 48
RELIEF_COLOUR = 0.3
# Deeper is no skin: hair, or what lies behind the face.
RELIEF_DEPTH = 35


class InsetPainter:
    """Draws one inset layer; it reads the picture as it came, also under earlier layers."""

    def __init__(self, spec: Inset) -> None:
        self.spec = spec

    def draw(self, canvas: Canvas, face: Face, axes: FaceAxes | None) -> None:
        """Draw on one face; nothing where its points are unknown."""
        if axes is None:
            return
        spec, outline = self.spec, rounded(axes.region(self.spec.region))
        goal = vector(axes.place(spec.at, spec.offset))
        middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
        moved = goal + (outline - middle) * spec.scale
        soften, grow = (v * spec.scale * axes.size for v in (spec.soften, spec.grow))
        rect = canvas.rect(moved, grow + 3 * soften + 1)
        if rect is None:
            return
        wide = soft_polygon(moved, rect, grow, soften)
        inner = soft_polygon(moved, rect, 0, soften / 2)
        back = np.column_stack([np.eye(2) / spec.scale, middle - goal / spec.scale])
        planes = canvas.begin(rect)
        for group in canvas.groups:
            masks = at_step(wide, group.step), at_step(inner, group.step)
            matrix = _between(back, rect, group.step, canvas.caps)
            for index, _ in group.planes:
                target = window(planes[index], rect, group.step)
                source = _warped(canvas.source[index], matrix, target)
                _merge(target, source, *masks, spec.blend, group.kind)


def _between(back: F64, rect: Rect, step: int, caps: Caps) -> F64:
    """Return the matrix from samples inside `rect` to samples of the same plane of the source."""
    x, y = chroma_site(caps) if step == 2 else (0.0, 0.0)
    linear = back[:, :2]
    shift = linear @ (rect.x0 + x, rect.y0 + y) + back[:, 2] - (x, y)
    return np.column_stack([linear, shift / step])


def _warped(plane: U8, matrix: F64, target: U8) -> U8:
    size = (target.shape[1], target.shape[0])
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(plane, matrix, size, flags=WARP, borderMode=border), np.uint8)


def _merge(target: U8, source: U8, wide: U8, inner: U8, blend: float, kind: str) -> None:
    """Lay `source` over `target`: as it is inside, as relief on what lies below around it."""
    over, core = (_weight(mask, target) for mask in (wide, inner))
    below, above = target.astype(np.float32), source.astype(np.float32)
    relief = _less_colour(above - _ring_mean(source, wide, inner), kind)
    np.clip(relief, -RELIEF_DEPTH, RELIEF_DEPTH, out=relief)
    around = above + blend * (below + relief - above)
    painted = around + core * (above - around)
    below += over * (painted - below)
    target[:] = np.rint(np.clip(below, 0, 255, out=below), out=below).astype(np.uint8)


def _weight(mask: U8, target: U8) -> F32:
    weight: F32 = mask * np.float32(1 / 255)
    return weight if target.ndim == 2 else weight[:, :, None]


def _less_colour(relief: F32, kind: str) -> F32:
    """Keep of the skin's relief the light and shade, and only a little of its colour."""
    if kind == "uv":
        relief *= RELIEF_COLOUR
    elif kind.startswith("bgr"):
        grey = relief[:, :, :3].mean(axis=2, keepdims=True, dtype=np.float32)
        relief[:, :, :3] = grey + RELIEF_COLOUR * (relief[:, :, :3] - grey)
    return relief


def _ring_mean(source: U8, wide: U8, inner: U8) -> F32:
    ring = cv2.inRange(cv2.subtract(wide, inner), RING, 255)
    mean = cv2.mean(source, mask=ring)[: 1 if source.ndim == 2 else source.shape[2]]
    return np.array(mean if source.ndim == 3 else mean[0], np.float32)
