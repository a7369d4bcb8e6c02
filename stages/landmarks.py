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
from ..pipeline.registry import register_stage
from ._association import Sighting, Track, TrackBook, box_size, one_face, tight_box
from ._points import Describer, PointFinder
from ._settings import SettingsTag

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import Face, Frame
    from ._association import F64

MAX_GAP_S = 0.5  # after a longer gap between frames, faces may be anywhere
KEEP = 0.6  # a face in sight is kept down to this share of `min_presence`
ALONE = 0.3  # so is one in a picture that stands alone: no later frame will show it better
EAGER_S, PATIENT_S = 0.3, 0.1  # after a loss look at every frame for so long, then so often
MAX_GROWTH = 1.5  # more in one frame is no motion but a mistake
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
        self._finder: PointFinder
        self._describer: Describer
        self._believed = True
        self._book = TrackBook()
        self._settings = SettingsTag({})
        self._next_portrait = 0
        self._last_s = self._looked_s = self._lost_s = -math.inf

    def start(self, caps: Caps) -> Caps:
        """Load the network."""
        self._model = registry.module("models", "landmarks").LandmarkModel(self.params.model)
        self._finder = PointFinder(self._model)
        self._describer = Describer(self._model, self.context.traits_wanted)
        # A network that cannot tell whether there is a face leaves that to the detector.
        self._believed = getattr(self._model, "tells_presence", True)
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
        faces = tuple(self._describer.tracked(track, dt_s) for track in tracks)
        return frame.with_(faces=faces, tags=tags)

    def _follow(self, frame: Frame, now: float) -> None:
        """Find the faces of the frame before in this one, and lose those that are gone."""
        tracks = self._book.visible
        if not tracks:
            return
        alone = len(tracks) == 1
        expected = {} if alone else {t.track_id: t.expected_centre(now) for t in tracks}
        gone = []
        for track, seen in zip(tracks, self._finder.follow(frame, tracks, now), strict=True):
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
        self._confirm(frame, known)
        new = [c for c, track in zip(candidates, known, strict=True) if track is None]
        self._book.admit(self._newcomers(frame, new), now)

    def _confirm(self, frame: Frame, known: list[Track | None]) -> None:
        """Lose the faces that the detector missed too often; it has just found those `known`."""
        # Looks for another, lost face come frame by frame: they speak for a face, never against.
        due = "look" not in frame.tags or frame.tags.get("candidates") is not None
        due = due or not self._believed
        for track in self._book.visible:
            track.missed_looks = 0 if track in known else track.missed_looks + due
        self._book.lose([t for t in self._book.visible if _doubtful(t, self._believed)])

    def _newcomers(self, frame: Frame, candidates: list[Face]) -> list[Sighting]:
        """Return those of the candidates that are faces, and not on a face in sight."""
        sure = frame.tags.get("sure_score", 0.0)
        limit = self.params.max_faces
        room = min(limit, frame.tags.get("max_faces", limit)) - len(self._book.visible)
        needed = [(face, self._needed(face, sure)) for face in candidates]
        likely = [(face, presence) for face, presence in needed if presence <= 1.0][:room]
        taken = [track.box for track in self._book.visible]
        found = []
        located = self._finder.locate(frame, [face for face, _ in likely])
        for (_, presence), seen in zip(likely, located, strict=True):
            box = tight_box(seen.points_px)
            free = not any(one_face(box, other) for other in taken)
            if free and seen.presence >= presence:
                taken.append(box)
                found.append(seen)
        return found

    def _needed(self, face: Face, sure: float) -> float:
        """Return the presence that makes a find a newcomer; above 1 for none."""
        if face.score >= sure or self._book.misses(face.box_xyxy_px):
            return self.params.min_presence
        return max(SURE, self.params.min_presence) if face.score >= LIKELY * sure else 2.0

    def _portraits(self, frame: Frame) -> tuple[Face, ...]:
        """Return the faces of a picture that stands alone."""
        candidates = list(self._trusted(frame, frame.tags.get("candidates") or frame.faces))
        placed = self._finder.locate(frame, candidates[: self.params.max_faces])
        faces = []
        for face, seen in zip_longest(candidates, placed):
            presence = 0.0 if seen is None else seen.presence
            if face not in frame.faces and presence < self.params.min_presence:
                continue
            self._next_portrait += 1
            if seen is not None and presence >= ALONE * self.params.min_presence:
                face = self._describer.portrait(face, seen)
            faces.append(replace(face, track_id=self._next_portrait))
        return tuple(faces)


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
