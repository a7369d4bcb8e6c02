"""Layer `recolor`: another colour for a region of the face, with its light and shade kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .canvas import window
from .colour import bgr_from_yuv, from_hex, rgb_to_yuv, yuv_from_bgr
from .geometry import vector
from .masks import at_step, mix, rounded, soft_polygon

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import F32, U8, Face
    from .canvas import Canvas
    from .geometry import FaceAxes, Rect
    from .spec import Recolor

# How far a gap must open, in distances of the outer eye corners, to be left out of the colour.
CLOSED_BELOW, OPEN_ABOVE = 0.02, 0.07


class RecolorPainter:
    """Draws one recolor layer on frames of one format."""

    def __init__(self, spec: Recolor, caps: Caps) -> None:
        self.spec = spec
        matrix, offset = rgb_to_yuv(caps)
        self.black = float(offset[0])
        y, u, v = (matrix @ from_hex(spec.colour)).tolist()
        self.luma, self.chroma = max(y, 1.0), np.array([u, v], np.float32)

    def draw(self, canvas: Canvas, face: Face, axes: FaceAxes | None) -> None:
        """Draw on one face; nothing where its points are unknown."""
        if axes is None:
            return
        outline = rounded(axes.region(self.spec.region))
        rect = canvas.rect(outline, 3 * self.spec.soften * axes.size + 1)
        if rect is None:
            return
        mask = self._mask(axes, outline, rect)
        if canvas.caps.pixel_format.startswith("bgr"):
            self._packed(canvas, rect, mask)
        else:
            self._planar(canvas, rect, mask)

    def _mask(self, axes: FaceAxes, outline: np.ndarray, rect: Rect) -> U8:
        soften = self.spec.soften * axes.size
        mask = soft_polygon(outline, rect, 0, soften)
        if self.spec.without is None:
            return mask
        inner = axes.region(self.spec.without)
        across, down = (vector(d) / axes.size for d in (axes.upright_across, axes.down))
        wide, high = np.ptp(inner @ across), np.ptp(inner @ down)
        gap = min(wide, high) / axes.size
        # Closed lips leave no hole; the hole fades in, so that speech does not make it flicker.
        share = float(np.clip((gap - CLOSED_BELOW) / (OPEN_ABOVE - CLOSED_BELOW), 0, 1))
        if share > 0:
            hole = soft_polygon(rounded(inner), rect, 0, soften / 2)
            keep = cv2.convertScaleAbs(hole, alpha=-share, beta=255)
            cv2.multiply(mask, keep, dst=mask, scale=1 / 255)
        return mask

    def _planar(self, canvas: Canvas, rect: Rect, mask: U8) -> None:
        planes = canvas.begin(rect)
        luma = window(planes[0], rect, 1)
        recoloured = self._shade(luma.astype(np.float32), mask)
        size = (rect.width // 2, rect.height // 2)
        small = cv2.resize(recoloured, size, interpolation=cv2.INTER_AREA)
        chroma = self._chroma(np.asarray(small, np.float32))
        group = canvas.groups[1]
        part = self._weaken(at_step(mask, 2))
        for index, channels in group.planes:
            picked = np.squeeze(chroma[:, :, list(channels)])
            target = window(planes[index], rect, 2)
            mix(target, np.rint(picked).astype(np.uint8).reshape(target.shape), part)
        mix(luma, np.rint(recoloured).astype(np.uint8), mask)

    def _packed(self, canvas: Canvas, rect: Rect, mask: U8) -> None:
        target = window(canvas.begin(rect)[0], rect, 1)
        yuv = yuv_from_bgr(np.ascontiguousarray(target[:, :, :3]), canvas.caps)
        recoloured = self._shade(yuv[:, :, 0], mask)
        weight = self._weaken(mask).astype(np.float32)[:, :, None] / 255
        yuv[:, :, 1:] += weight * (self._chroma(recoloured) - yuv[:, :, 1:])
        yuv[:, :, 0] += (recoloured - yuv[:, :, 0]) * (mask.astype(np.float32) / 255)
        # Only what the mask touches goes through the conversion: it is not exact.
        touched = mask > 0
        target[touched, :3] = bgr_from_yuv(yuv, canvas.caps)[touched]

    def _shade(self, luma: F32, mask: U8) -> F32:
        """Move the region's mean brightness towards the colour's; texture scales with it."""
        mean = max(cv2.mean(luma, mask=mask)[0] - self.black, 1.0)
        gain = float(np.clip(1 + self.spec.shade * (self.luma / mean - 1), 0.4, 1.6))
        shaded: F32 = np.clip((luma - self.black) * gain + self.black, self.black, 255)
        return shaded

    def _chroma(self, luma: F32) -> F32:
        """Return U and V (h, w, 2) of the colour, as strong as the place is bright."""
        share = np.clip((luma - self.black) / self.luma, 0.25, 1.1)
        chroma: F32 = np.clip(128 + share[:, :, None] * self.chroma, 0, 255)
        return chroma

    def _weaken(self, mask: U8) -> U8:
        return np.asarray(cv2.convertScaleAbs(mask, alpha=self.spec.strength), np.uint8)
