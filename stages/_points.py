"""Where the landmark network looks for a face, how often, and what its answer tells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..pipeline import registry
from ..pipeline.frame import Face
from ._association import Sighting, Track, box_size

if TYPE_CHECKING:
    from ..pipeline.frame import Frame

PASSES, HOPELESS = 4, 0.02  # for a new face; what looks like none at first gets no second pass
NOTABLE_SHIFT = 0.03  # smaller motion is not extrapolated: it would only shake the crop


class PointFinder:
    """Cuts faces out of frames for `model`, a landmark network; those of a frame are one batch."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._colour = getattr(model, "colour", False)
        self._follow_crop = registry.module("models", "crops").follow_crop

    def follow(self, frame: Frame, tracks: list[Track], now: float) -> list[Sighting]:
        """Find tracked faces where they should be by now."""
        return self._sightings(frame, [self._next_crop(track, now) for track in tracks])

    def locate(self, frame: Frame, faces: list[Face]) -> list[Sighting]:
        """Find the points of detected faces in several passes, each cut around the last points.

        So a face begins where following it would lead within a few frames.
        """
        if not faces:
            return []
        crops = [self._model.first_crop(f.box_xyxy_px, f.keypoints_px) for f in faces]
        found = self._sightings(frame, crops, first=True)
        hopeful = [i for i, seen in enumerate(found) if seen.presence > HOPELESS]
        for _ in range(PASSES - 1 if hopeful else 0):
            crops = [self._model.next_crop(found[i].points_px) for i in hopeful]
            for i, seen in zip(hopeful, self._sightings(frame, crops), strict=True):
                found[i] = seen
        return found

    def _next_crop(self, track: Track, now: float) -> Any:
        x, y = track.expected_shift(now)
        if math.hypot(x, y) < NOTABLE_SHIFT * box_size(track.box):
            x = y = 0.0
        crop = self._model.next_crop(track.seen.points_px, (x, y))
        if track.crop is not None:
            crop = self._follow_crop(track.crop, crop)
        track.crop = crop
        return crop

    def _sightings(self, frame: Frame, crops: list[Any], first: bool = False) -> list[Sighting]:
        look = self._model.look if first else self._model.run
        found = look(frame if self._colour else frame.luma, crops)
        rows = zip(found.points_px, found.presence.tolist(), found.visibility, strict=True)
        return [Sighting(*row) for row in rows]


class Describer:
    """Makes faces of sightings; with `traits`, also says how they are turned and what they do."""

    def __init__(self, model: Any, traits: bool) -> None:
        self._model, self._traits = model, traits
        self._head_pose = registry.module("models", "pose").head_pose
        self._new_meter = registry.module("models", "expressions").ExpressionMeter

    def tracked(self, track: Track, dt_s: float) -> Face:
        """Return a face in sight; its box follows from its points, its score is its presence."""
        if track.meter is None and self._traits:
            track.meter = self._new_meter()
        box = self._model.face_box(track.box)
        face = Face(track.track_id, box, track.seen.presence)
        return self._described(face, track.seen, track.meter, dt_s)

    def portrait(self, face: Face, seen: Sighting) -> Face:
        """Return the face of a picture that stands alone, box and score as detected."""
        return self._described(face, seen, self._new_meter(), 0.0)

    def _described(self, face: Face, seen: Sighting, meter: Any, dt_s: float) -> Face:
        pose, expressions = None, {}
        if self._traits:
            pose, frontal = self._head_pose(self._model.as_ibug68(seen.points_px))
            expressions = meter.measure(frontal, dt_s)
        return Face(
            face.track_id,
            face.box_xyxy_px,
            face.score,
            seen.points_px,
            seen.visibility,
            pose,
            expressions,
            self._model.scheme,
            face.keypoints_px,
        )
