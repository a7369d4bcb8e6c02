"""Layer `points`: landmarks, box, id and score, for looking at what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .colour import from_hex
from .geometry import FARTHEST_PX
from .masks import FRACTION_BITS, fixed_point, paint

if TYPE_CHECKING:
    from ..pipeline.frame import U8, Face
    from .canvas import Canvas
    from .geometry import FaceAxes
    from .spec import Points

FONT = cv2.FONT_HERSHEY_SIMPLEX
SHADE = np.zeros(3)


class PointsPainter:
    """Draws one points layer."""

    def __init__(self, spec: Points) -> None:
        self.spec = spec
        self.colour = from_hex(spec.colour)
        self.box_colour = from_hex(spec.box_colour)

    def draw(self, canvas: Canvas, face: Face, axes: FaceAxes | None) -> None:
        """Draw on one face: its box even where its points are unknown."""
        if (np.abs(face.box_xyxy_px) < FARTHEST_PX).all():
            self._draw_box(canvas, face)
        if axes is not None:
            self._draw_points(canvas, axes)

    def _draw_points(self, canvas: Canvas, axes: FaceAxes) -> None:
        radius = max(self.spec.radius * axes.size, 1.0)
        rect = canvas.rect(axes.points, radius + 3)
        if rect is None:
            return
        centres = fixed_point(axes.points, rect).tolist()
        for grown, colour in ((1.0, SHADE), (0.0, self.colour)):
            mask = np.zeros((rect.height, rect.width), np.uint8)
            size = round((radius + grown) * (1 << FRACTION_BITS))
            for centre in centres:
                cv2.circle(mask, centre, size, (255,), -1, cv2.LINE_AA, FRACTION_BITS)
            paint(canvas, rect, mask, colour)

    def _draw_box(self, canvas: Canvas, face: Face) -> None:
        corners = face.box_xyxy_px.reshape(2, 2).astype(np.float64)
        side = float((corners[1] - corners[0]).max())
        line = max(1, round(side / 160))
        scale = min(max(side / 400, 0.4), 1.5)
        text = f"#{face.track_id}  {face.score:.2f}"
        (width, height), below = cv2.getTextSize(text, FONT, scale, line)
        reach = np.array([width + 4, -(height + below + 4 + line)])
        label = corners[0] + (0, min(0.0, corners[0, 1] + reach[1]) * -1.0)
        rect = canvas.rect(np.vstack([corners, label, label + reach]), line + 2)
        if rect is None:
            return
        for wider, colour in ((2, SHADE), (0, self.box_colour)):
            mask = np.zeros((rect.height, rect.width), np.uint8)
            first, last = fixed_point(corners, rect).tolist()
            cv2.rectangle(mask, first, last, (255,), line + wider, cv2.LINE_AA, FRACTION_BITS)
            origin = (round(label[0]) - rect.x0 + 2, round(label[1]) - rect.y0 - below - line)
            cv2.putText(mask, text, origin, FONT, scale, (255,), line + wider, cv2.LINE_AA)
            paint(canvas, rect, _lighter(mask, wider), colour)


def _lighter(mask: U8, shade: int) -> U8:
    """Return the mask of a shadow at half strength, that of a line as it is."""
    return np.asarray(cv2.convertScaleAbs(mask, alpha=0.55), np.uint8) if shade else mask
