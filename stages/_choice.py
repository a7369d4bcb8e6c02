"""Choose which faces get a filter, without going to and fro between two that are much alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..pipeline.frame import Face

SELECTIONS = ("all", "largest", "leftmost")
LARGER = 1.25  # times the area of the face chosen so far; less is a nod, or noise
FARTHER_LEFT = 0.25  # widths of it


class Choice:
    """The faces that `which` means: all, the largest, the leftmost, or one by id.

    A face once chosen as the largest or the leftmost is kept until another is clearly more so, or
    it is out of sight.
    """

    def __init__(self, which: str | int) -> None:
        self._which = which
        self._kept: int | None = None

    def among(self, faces: tuple[Face, ...]) -> tuple[Face, ...]:
        """Return those of a frame's faces that are chosen."""
        if self._which == "all" or not faces:
            return faces
        if self._which not in SELECTIONS:
            return tuple(face for face in faces if face.track_id == self._which)
        best = max(faces, key=self._merit)
        kept = next((face for face in faces if face.track_id == self._kept), best)
        chosen = best if self._merit(best) > self._needed(kept) else kept
        self._kept = chosen.track_id
        return (chosen,)

    def _merit(self, face: Face) -> float:
        return _area(face) if self._which == "largest" else -float(face.box_xyxy_px[0])

    def _needed(self, face: Face) -> float:
        """Return the merit that takes the choice away from `face`."""
        if self._which == "largest":
            return LARGER * _area(face)
        x0, _, x1, _ = face.box_xyxy_px.tolist()
        return float(FARTHER_LEFT * (x1 - x0) - x0)


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box_xyxy_px.tolist()
    return float((x1 - x0) * (y1 - y0))
