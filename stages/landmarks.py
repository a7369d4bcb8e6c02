"""Follow faces by their landmarks: each crop comes from the points of the frame before.

This stage owns the tracks. Newcomers come with the frames that `detect` looked at; where a face
was lost, or nobody is in sight, it has the detector look at this very frame (see `detect`), at
first each time, later every tenth of a second. All faces of a frame are one batch.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from ..pipeline import registry, stage
from ..pipeline.frame import Face, Frame
from ..pipeline.registry import register_stage
from ._association import SAME_FACE_IOU, Sighting, Track, TrackBook, box_size, iou, tight_box
from ._settings import SettingsTag

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ._association import F64

MAX_GAP_S = 0.5  # after a longer gap between frames, faces may be anywhere
PASSES, HOPELESS = 4, 0.02  # for a new face; what looks like none at first gets no second pass
KEEP = 0.6  # a face in sight is kept down to this share of `min_presence`
ALONE = 0.3  # so is one in a picture that stands alone: no later frame will show it better
EAGER_S, PATIENT_S = 0.3, 0.1  # after a loss look at every frame for so long, then so often
MAX_GROWTH = 1.5  # more in one frame is no motion but a mistake
NOTABLE_SHIFT = 0.03  # smaller motion is not extrapolated: it would only shake the crop
LIKELY = 0.7  # of the sure score; finds from here on count if the network is `SURE` of a face
MISSED_LOOKS, SURE = 3, 0.9  # so many looks may miss a face that is not quite sure


@register_stage("landmarks")
class Landmarks(stage.Transform):
    """Find the points of all faces, with a stable `track_id`, pose and expressions.

    The last two are left out where no later stage reads them.

    In video a face's `score` is its presence, and its box follows from its points. Pictures that
    stand alone keep the detector's box and score, and list also the faces whose points could not
    be found (`landmarks_px` None).
    """

    class Params(stage.Params):
        """Properties of `landmarks`."""

        model: str = Field(
            "ibug68",
            pattern=r"^(ibug68|helen194|.+\.onnx)$",
            description="points to find: ibug68 or helen194; or the path of an .onnx file",
        )
        min_presence: float = Field(
            0.5, ge=0.0, le=1.0, description="take as a face what the network is so sure of"
        )
        max_faces: int = Field(10, ge=1, le=100, description="follow so many at most")

    params: Params
    keeps_pictures: ClassVar[bool] = False

    def __init__(self, params: stage.Params, context: stage.Context) -> None:
        super().__init__(params, context)
        self._model: Any = None
        self._head_pose: Any = None
        self._follow_crop: Any = None
        self._colour, self._believed = False, True
        self._book = TrackBook()
        self._settings = SettingsTag({})
        self._traits_wanted = True
        self._next_portrait = 0
        self._last_s = self._looked_s = self._lost_s = -math.inf

    def start(self, caps: Caps) -> Caps:
        """Load the network."""
        self._model = registry.module("models", "landmarks").LandmarkModel(self.params.model)
        self._colour = getattr(self._model, "colour", False)
        # A network that cannot tell whether there is a face leaves that to the detector.
        self._believed = getattr(self._model, "tells_presence", True)
        self._head_pose = registry.module("models", "pose").head_pose
        self._follow_crop = registry.module("models", "crops").follow_crop
        self._traits_wanted = self.context.traits_wanted
        own = {**self.params.model_dump(), "sha256": self._model.sha256}
        self._settings = SettingsTag({"landmarks": own})
        self.context.tag("model_sha256", self._model.sha256)
        return caps

    def process(self, frame: Frame) -> Frame:
        """Return the frame with the faces in sight, by `track_id`."""
        tags = {**frame.tags, "settings": self._settings.after(frame.tags.get("settings"))}
        if "file" in frame.tags:
            return frame.with_(faces=self._portraits(frame), tags=tags)
        now = frame.time_s
        if frame.discontinuity or not 0 < now - self._last_s <= MAX_GAP_S:
            self._book.reset()
            self._lost_s = now
        dt_s, self._last_s = now - self._last_s, now
        self._book.forget(now)
        self._follow(frame, now)
        self._book.dismiss([self._model.tight_box(box) for box in frame.tags.get("still", ())])
        found = self._candidates(frame, now)
        if found is not None:
            self._meet(frame, found, now)
        tracks = sorted(self._book.visible, key=lambda track: track.track_id)
        return frame.with_(faces=tuple(self._face(t, dt_s) for t in tracks), tags=tags)

    def _follow(self, frame: Frame, now: float) -> None:
        """Find the faces of the frame before in this one, and lose those that are gone."""
        tracks = self._book.visible
        if not tracks:
            return
        alone = len(tracks) == 1
        expected = {} if alone else {t.track_id: t.expected_centre(now) for t in tracks}
        crops = [self._crop(track, now) for track in tracks]
        gone = []
        for track, seen in zip(tracks, self._sightings(frame, crops), strict=True):
            box = tight_box(seen.points_px)
            if seen.presence < KEEP * self.params.min_presence or not _likely(track, box, frame):
                gone.append(track)
            else:
                track.move(seen, now, box)
        self._book.lose(gone)
        doubles = [] if alone else self._book.duplicates(expected)
        self._book.lose(doubles)
        if gone or doubles:
            self._lost_s = now

    def _sightings(self, frame: Frame, crops: list[Any], first: bool = False) -> list[Sighting]:
        look = self._model.look if first else self._model.run
        found = look(frame if self._colour else frame.luma, crops)
        rows = zip(found.points_px, found.presence.tolist(), found.visibility, strict=True)
        return [Sighting(*row) for row in rows]

    def _crop(self, track: Track, now: float) -> Any:
        x, y = track.expected_shift(now)
        if math.hypot(x, y) < NOTABLE_SHIFT * box_size(track.box):
            x = y = 0.0
        crop = self._model.next_crop(track.seen.points_px, (x, y))
        if track.crop is not None:
            crop = self._follow_crop(track.crop, crop)
        track.crop = crop
        return crop

    def _candidates(self, frame: Frame, now: float) -> tuple[Face, ...] | None:
        """Return the detected faces where `detect` looked or a look is needed, else None."""
        look = frame.tags.get("look")
        found: tuple[Face, ...] | None = frame.tags.get("candidates", frame.faces or None)
        if found is not None:
            self._looked_s = now
            return self._trusted(frame, found)
        if look is None:
            self.context.warn("landmarks has no faces to start from: put detect before it")
            return None
        if self._book.visible and not self._book.lost:
            return None
        eager = now - self._lost_s <= EAGER_S
        if not eager and now - self._looked_s < 0.95 * PATIENT_S:
            return None
        self._looked_s = now
        found = look(frame)
        return self._trusted(frame, found)

    def _trusted(self, frame: Frame, found: tuple[Face, ...]) -> tuple[Face, ...]:
        """Return what was detected, without weak finds where the network cannot confirm them."""
        if self._believed:
            return found
        return tuple(face for face in found if face.score >= frame.tags.get("sure_score", 0.0))

    def _meet(self, frame: Frame, candidates: tuple[Face, ...], now: float) -> None:
        """Compare the faces detected with those in sight; newcomers become tracks."""
        known = self._book.match([self._model.tight_box(c.box_xyxy_px) for c in candidates])
        # Looks for another, lost face come frame by frame: they speak for a face, never against.
        due = "look" not in frame.tags or frame.tags.get("candidates") is not None
        due = due or not self._believed
        for track in self._book.visible:
            track.missed_looks = 0 if track in known else track.missed_looks + due
        self._book.lose([t for t in self._book.visible if _doubtful(t, self._believed)])
        room = self.params.max_faces - len(self._book.visible)
        sure = frame.tags.get("sure_score", 0.0)
        needed = [self._needed(face, sure) for face in candidates]  # presence, to be believed
        new = [
            (face, presence)
            for face, track, presence in zip(candidates, known, needed, strict=True)
            if track is None and presence <= 1.0
        ][:room]
        taken = [track.box for track in self._book.visible]
        arrivals = []
        located = self._locate(frame, [face for face, _ in new])
        for (_, presence), seen in zip(new, located, strict=True):
            box = tight_box(seen.points_px)
            free = all(iou(box, other) < SAME_FACE_IOU for other in taken)
            if free and seen.presence >= presence:
                taken.append(box)
                arrivals.append(seen)
        self._book.admit(arrivals, now)

    def _needed(self, face: Face, sure: float) -> float:
        """Return the presence that makes a find a newcomer; above 1 for none."""
        if face.score >= sure or self._book.misses(face.box_xyxy_px):
            return self.params.min_presence
        return max(SURE, self.params.min_presence) if face.score >= LIKELY * sure else 2.0

    def _locate(self, frame: Frame, faces: list[Face]) -> list[Sighting]:
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

    def _portraits(self, frame: Frame) -> tuple[Face, ...]:
        """Return the faces of a picture that stands alone."""
        candidates = list(self._trusted(frame, frame.tags.get("candidates") or frame.faces))
        placed = self._locate(frame, candidates[: self.params.max_faces])
        faces = []
        for face, seen in zip_longest(candidates, placed):
            presence = 0.0 if seen is None else seen.presence
            if face not in frame.faces and presence < self.params.min_presence:
                continue
            self._next_portrait += 1
            if seen is not None and presence >= ALONE * self.params.min_presence:
                face = self._describe(face, seen, self._new_meter(), 0.0)
            faces.append(replace(face, track_id=self._next_portrait))
        return tuple(faces)

    def _face(self, track: Track, dt_s: float) -> Face:
        """Return a face in sight."""
        if track.meter is None and self._traits_wanted:
            track.meter = self._new_meter()
        box = self._model.face_box(track.box)
        return self._describe(
            Face(track.track_id, box, track.seen.presence), track.seen, track.meter, dt_s
        )

    def _new_meter(self) -> Any:
        return registry.module("models", "expressions").ExpressionMeter()

    def _describe(self, face: Face, seen: Sighting, meter: Any, dt_s: float) -> Face:
        """Return `face` with what its points tell."""
        pose, expressions = None, {}
        if self._traits_wanted:
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


def _likely(track: Track, box: F64, frame: Frame) -> bool:
    """Return whether a face can have moved so since the frame before, and is in the picture."""
    x0, y0, x1, y1 = box.tolist()
    size, old_size = max(x1 - x0, y1 - y0, 1.0), box_size(track.box)
    if not 1 / MAX_GROWTH < size / old_size < MAX_GROWTH:
        return False
    inside = 0 <= x0 + x1 < 2 * frame.caps.width and 0 <= y0 + y1 < 2 * frame.caps.height
    return bool(inside)


def _doubtful(track: Track, believed: bool) -> bool:
    if not believed:
        return track.missed_looks > 0
    return track.missed_looks >= MISSED_LOOKS and track.seen.presence < SURE
