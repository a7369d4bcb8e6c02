"""Keep identities: which face of this frame is which face of the frames before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

MEMORY_S = 1.0  # how long a lost face may come back as the same one
MAX_JUMP = 0.7  # how far a face may be from where it should be, in its own sizes
JUMP_PER_S = 1.0  # and how much farther per second out of sight
MAX_RESIZE = 1.7
SAME_FACE_IOU = 0.45
WITHIN = 0.7  # of a box inside another: no two faces, one would cover the other
VELOCITY_MEMORY = 0.5
SURE = 0.9  # presence of a face that nothing covers
STEADY_SHIFT, STEADY_GROWTH = 0.1, 1.15  # beyond, from frame to frame, a track may be sliding off


class Sighting(NamedTuple):
    """What the landmark network says of one crop: points (K, 2) px, presence, visibility (K,)."""

    points_px: F32
    presence: float
    visibility: F32


@dataclass(slots=True, eq=False)
class Track:
    """One person's face through time, as last seen at `seen_s`.

    `box` is the tight box (4,) of the points; `velocity` the motion of its centre in px/s;
    `sure` holds box and velocity of the last sure sighting but this one, `steady` whether this one
    could be one by how it moved;
    `missed_looks` counts runs of the detector in a row that did not confirm the face; `crop` and
    `meter` are the owner's: where the face was last cut out, and what its owner knows of it.
    """

    track_id: int
    seen: Sighting
    seen_s: float
    box: F64 = field(init=False)
    velocity: F64 = field(default_factory=lambda: np.zeros(2))
    missed_looks: int = 0
    steady: bool = True
    sure: tuple[F64, float, float] | None = None
    crop: Any = None
    meter: Any = None

    def __post_init__(self) -> None:
        self.box = tight_box(self.seen.points_px)

    @property
    def centre(self) -> F64:
        """Centre (2,) of the box."""
        return np.asarray((self.box[:2] + self.box[2:]) / 2)

    def expected_centre(self, time_s: float) -> F64:
        """Where the centre should be at `time_s`; a face out of sight soon stands still."""
        return np.asarray(self.centre + self.expected_shift(time_s))

    def expected_shift(self, time_s: float) -> tuple[float, float]:
        """How far (x, y) the centre should have moved by `time_s`."""
        x, y = self.velocity.tolist()
        since_s = min(time_s - self.seen_s, 0.3)
        return x * since_s, y * since_s

    def move(self, seen: Sighting, time_s: float, box: F64 | None = None) -> None:
        """Take the next sighting of a face in sight, and its tight box where it is known."""
        # Plain numbers: right after the network each call into numpy finds the caches empty.
        x0, y0, x1, y1 = self.box.tolist()
        dt_s = max(time_s - self.seen_s, 1e-3)
        vx, vy = self.velocity.tolist()
        if self.seen.presence >= SURE and self.steady:
            self.sure = self.box, vx, vy
        self.place(seen, time_s, box)
        new_x0, new_y0, new_x1, new_y1 = self.box.tolist()
        x, y = (new_x0 + new_x1 - x0 - x1) / 2, (new_y0 + new_y1 - y0 - y1) / 2
        size, new_size = max(x1 - x0, y1 - y0), max(new_x1 - new_x0, new_y1 - new_y0)
        self.steady = (
            math.hypot(x - vx * dt_s, y - vy * dt_s) < STEADY_SHIFT * size
            and size / STEADY_GROWTH < new_size < size * STEADY_GROWTH
        )
        vx += (1 - VELOCITY_MEMORY) * (x / dt_s - vx)
        vy += (1 - VELOCITY_MEMORY) * (y / dt_s - vy)
        self.velocity[:] = vx, vy

    def fall_back(self) -> None:
        """Return to where the face was surely seen, before it slid onto what covers it."""
        if self.sure is not None:
            self.box, *self.velocity[:] = self.sure

    def place(self, seen: Sighting, time_s: float, box: F64 | None = None) -> None:
        """Take a sighting as such, without thinking of motion."""
        self.seen, self.seen_s = seen, time_s
        self.box = tight_box(seen.points_px) if box is None else box


def tight_box(points_px: F32) -> F64:
    """Return the box (4,) xyxy around points (K, 2)."""
    corners = np.minimum.reduce(points_px), np.maximum.reduce(points_px)
    return np.concatenate(corners, dtype=np.float64)


def box_size(box: F64) -> float:
    """Return the longer side of a box (4,)."""
    x0, y0, x1, y1 = box.tolist()
    size: float = max(x1 - x0, y1 - y0, 1.0)
    return size


def iou(a: F64 | F32, b: F64 | F32) -> float:
    """Return intersection over union of two boxes (4,) xyxy."""
    shared = _shared(a, b)
    return float(shared / max(_area(a) + _area(b) - shared, 1e-9)) if shared else 0.0


def one_face(a: F64 | F32, b: F64 | F32) -> bool:
    """Return whether two boxes (4,) are too much one in the other to be two people's."""
    return iou(a, b) >= SAME_FACE_IOU or _shared(a, b) > WITHIN * min(_area(a), _area(b))


def _shared(a: F64 | F32, b: F64 | F32) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return float(width * height) if width > 0 and height > 0 else 0.0


def _area(box: F64 | F32) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


class TrackBook:
    """All faces in sight (`visible`) and those just lost (`lost`); ids are never used twice."""

    def __init__(self) -> None:
        self.visible: list[Track] = []
        self.lost: list[Track] = []
        self._next_id = 1

    def reset(self) -> None:
        """Forget everybody: what comes next is another picture."""
        self.visible, self.lost = [], []

    def forget(self, time_s: float) -> None:
        """Forget the faces lost too long ago."""
        self.lost = [t for t in self.lost if time_s - t.seen_s <= MEMORY_S]

    def lose(self, tracks: Iterable[Track]) -> None:
        """Move tracks out of sight, to be remembered for a while."""
        for track in tracks:
            self.visible.remove(track)
            self.lost.append(track)
            track.fall_back()

    def dismiss(self, boxes: Iterable[F64 | F32]) -> None:
        """Forget at once those whose face fills one of `boxes` (4,)."""
        gone = [t for b in boxes for t in (*self.visible, *self.lost) if iou(b, t.box) > 0.3]
        self.visible = [track for track in self.visible if track not in gone]
        self.lost = [track for track in self.lost if track not in gone]

    def match(self, boxes: list[F64]) -> list[Track | None]:
        """Return for each box (4,) the visible track it shows, each at most once, best first."""
        pairs = [(iou(b, t.box), i, t) for i, b in enumerate(boxes) for t in self.visible]
        found: list[Track | None] = [None] * len(boxes)
        for overlap, index, track in sorted(pairs, key=lambda p: (-p[0], p[1], p[2].track_id)):
            if overlap > 0.3 and found[index] is None and track not in found:
                found[index] = track
        return found

    def misses(self, box: F64 | F32) -> bool:
        """Return whether somebody was just lost about where `box` (4,) is."""
        return any(iou(box, track.box) > 0.2 for track in self.lost)

    def duplicates(self, before: dict[int, F64]) -> list[Track]:
        """Return the visible tracks that slid onto another one's face.

        Of two on one face the one that stands farther from where it was expected (`before`, centre
        by id) is wrong: when two people cross, the covered one's track jumps to the other.
        """
        wrong: list[Track] = []
        for i, a in enumerate(self.visible):
            for b in self.visible[i + 1 :]:
                if a in wrong or b in wrong or iou(a.box, b.box) < SAME_FACE_IOU:
                    continue
                wrong.append(max((a, b), key=lambda t: (_jump(t, before), t.track_id)))
        return wrong

    def admit(self, faces: list[Sighting], time_s: float) -> list[Track]:
        """Make tracks of newcomers; lost ones come back, the nearest first."""
        costs = []
        for index, seen in enumerate(faces):
            for track in self.lost:
                cost = _distance(track, seen, time_s)
                if cost is not None:
                    costs.append((cost, index, track.track_id, track))
        back: dict[int, Track] = {}
        for _, index, _, track in sorted(costs, key=lambda c: c[:3]):
            if index not in back and track not in back.values():
                back[index] = track
        return [self._enter(back.get(i), seen, time_s) for i, seen in enumerate(faces)]

    def _enter(self, track: Track | None, seen: Sighting, time_s: float) -> Track:
        if track is None:
            track = Track(self._next_id, seen, time_s)
            self._next_id += 1
        else:
            self.lost.remove(track)
            track.place(seen, time_s)
            track.velocity[:] = 0.0
            track.crop = None
        track.missed_looks = 0
        self.visible.append(track)
        return track


def _jump(track: Track, before: dict[int, F64]) -> float:
    return float(np.hypot(*(track.centre - before[track.track_id]))) / box_size(track.box)


def _distance(track: Track, seen: Sighting, time_s: float) -> float | None:
    """Return how far a newcomer is from where a lost face should be, None where too far."""
    box = tight_box(seen.points_px)
    size, old_size = box_size(box), box_size(track.box)
    if not 1 / MAX_RESIZE < size / old_size < MAX_RESIZE:
        return None
    away = np.hypot(*((box[:2] + box[2:]) / 2 - track.expected_centre(time_s))) / old_size
    limit = MAX_JUMP + JUMP_PER_S * (time_s - track.seen_s)
    return float(away) if away <= limit else None
