"""Look for faces at the start, every N frames and after a cut.

The next landmark crop comes from landmarks, in another thread than this one, so feedback from
there would make results depend on timing. Therefore this stage decides by the pictures alone when
it looks, and hands the same look-up (`frame.tags["look"]`) down with each frame: `landmarks`, which
owns the tracks, calls it on the very frame on which it lost a face. A look depends on nothing but
the frame and a size fixed when the frame passed here, so equal input gives equal results.
`frame.tags["candidates"]` also holds weak finds, for `landmarks` to confirm or drop;
`frame.tags["still"]` holds the boxes of faces that are pictures on a wall, with `ignore_static`.
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ..pipeline import registry, stage
from ..pipeline.frame import F32, Face, Frame
from ..pipeline.registry import register_stage
from ._association import SAME_FACE_IOU, iou
from ._cuts import CutDetector
from ._still import Place, StillFaces, shown
from ._threads import keep_opencv_single

if TYPE_CHECKING:
    from ..pipeline.caps import Caps

DEFAULT_SIZE = 320
SEARCH_SIZE = 640  # for far faces, at every second look that finds nobody
WEAK, MAX_WEAK = 0.45, 4  # so many finds down to this share of the usual score may be faces
SMALL_FACE_PX = 28.0  # of the detector's picture: smaller ones are found less surely


@register_stage("detect")
class Detect(stage.Transform):
    """Attach the faces that a detector finds; used alone, only frames looked at have faces.

    Faces carry box, score and key points, and as `track_id` their rank from 0, the best first.
    Marks the first frame after a cut as a discontinuity.
    """

    class Params(stage.Params):
        """Properties of `detect`."""

        model: str = Field(
            "shipped",
            pattern=r"^(shipped|.+\.onnx)$",
            description="shipped; or the path of an .onnx file: a detector of this project with its"
            " .json beside it, or OpenCV's YuNet",
        )
        every: int = Field(
            10,
            ge=1,
            le=1000,
            description="look for new faces every so many frames",
            json_schema_extra={"unit": "frames"},
        )
        size: Literal["auto", 192, 256, 320, 480, 640] = Field(
            "auto",
            description="long side of the picture that the detector sees",
            json_schema_extra={"unit": "px"},
        )
        min_score: float | None = Field(
            None,
            ge=0.0,
            le=1.0,
            description="ignore faces scored lower; none = what suits the network",
        )
        max_faces: int = Field(
            50, ge=1, le=400, description="keep so many, the best first, and follow no more"
        )
        min_face_px: float = Field(
            0.0,
            ge=0.0,
            description="ignore faces narrower than this",
            json_schema_extra={"unit": "px"},
        )
        ignore_static: bool = Field(
            False,
            description="ignore faces that have not moved at all for 6 s, as on posters; the camera"
            " must stand still",
        )

    params: Params
    keeps_pictures: ClassVar[bool] = False

    def __init__(self, params: stage.Params, context: stage.Context) -> None:
        super().__init__(params, context)
        self._lock = Lock()  # a look may run in two threads, and the detector keeps buffers
        self._detector: Any = None
        self._cuts, self._still = CutDetector(), StillFaces()
        self._to_look = 0
        self._long_side = 0
        self._min_score = self._weak_score = 0.0
        self._tags: dict[str, Any] = {}  # what every frame gets until the next look
        self._colour = False

    def start(self, caps: Caps) -> Caps:
        """Load the detector."""
        keep_opencv_single()
        self._detector = registry.module("models", "yunet").open_detector(self.params.model)
        self._min_score = self._weak_score = self.params.min_score or 0.0
        if self.params.min_score is None:
            self._min_score = self._detector.default_score
            self._weak_score = WEAK * self._min_score
        self._colour = getattr(self._detector, "colour", False)
        sha256 = self._detector.model.sha256
        settings = {"detect": {**self.params.model_dump(), "sha256": sha256}}
        self._tags = {
            "sure_score": self._min_score,
            "max_faces": self.params.max_faces,
            "settings": settings,
        }
        self.context.tag("model_sha256", sha256)
        self._cuts, self._still = CutDetector(), StillFaces()
        self._to_look = 0
        self._long_side = self._base_size()
        return caps

    def process(self, frame: Frame) -> Frame:
        """Look where one is due; `faces` are those of this frame."""
        alone = "file" in frame.tags  # one picture of a folder
        cut = self._cuts.is_cut(frame.luma) or frame.discontinuity or alone
        found: tuple[Face, ...] | None = None
        pictures: tuple[F32, ...] = ()
        if cut or self._to_look <= 0:
            found = self._pore_over(frame) if alone else self._look(self._long_side, (), frame)
            if self.params.ignore_static and not alone:
                found, pictures = self._living(frame, found, cut)
            self._to_look = self.params.every
            self._long_side = self._next_size(frame, self._sure(found))
            between = self._long_side if self._sure(found) else self._base_size()
            self._tags["look"] = partial(self._look, between, self._still.still())
        self._to_look -= 1
        tags = {**frame.tags, **self._tags, "candidates": found, "still": pictures}
        return frame.with_(faces=self._sure(found or ()), discontinuity=cut, tags=tags)

    def _sure(self, faces: tuple[Face, ...]) -> tuple[Face, ...]:
        return tuple(face for face in faces if face.score >= self._min_score)

    def _living(
        self, frame: Frame, found: tuple[Face, ...], cut: bool
    ) -> tuple[tuple[Face, ...], tuple[F32, ...]]:
        """Return the faces that are none of the pictures seen so far, and these pictures' boxes."""
        if cut:
            self._still = StillFaces()
        boxes = [face.box_xyxy_px for face in found]
        pictures = self._still.update(frame.luma, boxes, frame.time_s)
        return _outside(found, pictures), pictures

    def _pore_over(self, frame: Frame) -> tuple[Face, ...]:
        """Look at a picture that stands alone in two sizes, if the user named none."""
        found = self._look(self._base_size(), (), frame)
        if self.params.size != "auto" or max(frame.luma.shape) <= DEFAULT_SIZE:
            return found
        closer = [
            face
            for face in self._look(SEARCH_SIZE, (), frame)
            if all(iou(face.box_xyxy_px, other.box_xyxy_px) < SAME_FACE_IOU for other in found)
        ]
        return tuple(sorted((*found, *closer), key=lambda face: -face.score))

    def _look(self, long_side: int, still: tuple[Place, ...], frame: Frame) -> tuple[Face, ...]:
        """Return the faces of `frame`, found in a copy of `long_side` px; any thread may call.

        The best come first; a few of the last may be weak. Pictures in the `still` places are
        left out.
        """
        params = self.params
        with self._lock:
            found = self._detector.detect(
                frame if self._colour else frame.luma,
                long_side=long_side,
                min_score=self._weak_score,
                max_faces=params.max_faces,
            )
        rows = zip(found.boxes_xyxy_px, found.scores.tolist(), found.keypoints_px, strict=True)
        faces = tuple(
            Face(rank, box, score, keypoints_px=keypoints)
            for rank, (box, score, keypoints) in enumerate(rows)
            if box[2] - box[0] >= params.min_face_px
        )
        faces = faces[: len(self._sure(faces)) + MAX_WEAK]
        return _outside(faces, shown(frame.luma, still)) if still else faces

    def _base_size(self) -> int:
        return DEFAULT_SIZE if self.params.size == "auto" else self.params.size

    def _next_size(self, frame: Frame, faces: tuple[Face, ...]) -> int:
        """Choose the size of the next due look by what this one found."""
        if self.params.size != "auto" or max(frame.luma.shape) <= DEFAULT_SIZE:
            return self._base_size()
        if not faces:
            return SEARCH_SIZE if self._long_side == DEFAULT_SIZE else DEFAULT_SIZE
        shrink = max(frame.luma.shape)
        narrowest = min(float(face.box_xyxy_px[2] - face.box_xyxy_px[0]) for face in faces)
        fitting = (s for s in (320, 480) if narrowest * s / shrink >= SMALL_FACE_PX)
        return next(fitting, SEARCH_SIZE)


def _outside(faces: tuple[Face, ...], boxes: tuple[F32, ...]) -> tuple[Face, ...]:
    """Return the faces that fill none of `boxes` (4,)."""
    return tuple(
        face for face in faces if all(iou(face.box_xyxy_px, box) < SAME_FACE_IOU for box in boxes)
    )
