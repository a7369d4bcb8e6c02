"""OpenCV's YuNet as a peer of the shipped detector, where the user gives its weights.

Source: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector" (2023); the file is
`face_detection_yunet_2023mar.onnx` of the OpenCV model zoo, or a later one with the same outputs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from ..pipeline.errors import WeightsError
from ..pipeline.frame import Frame
from . import detector
from .colour_crops import cut_rgb
from .crops import Crop
from .detector import Array, Detections
from .runtime import open_session, read_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRIDES = (8, 16, 32)
CHANNELS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
OUTPUTS = tuple(f"{kind}_{stride}" for kind in CHANNELS for stride in STRIDES)
NMS_IOU, TOP_K = 0.3, 5000  # OpenCV's own
_WHOLE = Crop(0.0, 0.0, 0.0)


def open_detector(weights: str | Path = "shipped") -> detector.FaceDetector | YuNet:
    """Return the shipped detector, or the one in an ONNX file: of this project, or YuNet.

    Raises WeightsError where the file is missing, damaged or neither.
    """
    if str(weights) == "shipped":
        return detector.FaceDetector()
    path = Path(weights)
    if path.with_suffix(".json").is_file():
        try:
            return detector.FaceDetector(path)
        except KeyError as error:
            raise WeightsError(f"{path} is no detector: its .json lacks {error}") from error
    return YuNet(path)


class _Identity(NamedTuple):
    """What is known of a file of weights."""

    sha256: str


class YuNet:
    """YuNet in OpenCV, with the face of `FaceDetector`; one thread may use it at a time.

    Sees colour: `colour` says that `detect` wants a frame or a BGR picture. Raises WeightsError.
    """

    colour = True
    default_score = 0.9  # OpenCV's own

    def __init__(self, weights: Path) -> None:
        data = read_file(weights)
        self._path = weights
        self.model = _Identity(hashlib.sha256(data).hexdigest())
        _check_outputs(weights, data)
        self._net = self._load(cv2.dnn.readNetFromONNX, np.frombuffer(data, np.uint8))
        self._detector = self._load(
            cv2.FaceDetectorYN.create, str(weights), "", (32, 32), nms_threshold=NMS_IOU
        )
        self._size, self._checked = (0, 0), set[tuple[int, int]]()

    def detect(
        self,
        picture: NDArray[np.uint8] | Frame,
        *,
        long_side: int = 320,
        min_score: float | None = None,
        max_faces: int = 50,
    ) -> Detections:
        """Find the faces of a frame, or of a picture (H, W) or (H, W, 3) BGR uint8.

        It is scaled to `long_side` px; results are in px of the picture, boxes end at its border.
        Raises WeightsError where OpenCV cannot run the network, ValueError for other pictures.
        """
        plane = picture.luma if isinstance(picture, Frame) else picture
        if plane.dtype != np.uint8 or plane.ndim not in (2, 3) or not plane.size:
            raise ValueError(f"cannot look for faces in {plane.dtype} {plane.shape}")
        height, width = plane.shape[:2]
        scale = long_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self._fit(size)
        score = self.default_score if min_score is None else min_score
        self._detector.setScoreThreshold(max(score, 1e-3))
        _, rows = self._load(self._detector.detect, scaled_bgr(picture, size))
        shape = (width / size[0], height / size[1])
        return _detections(rows, np.array(shape, np.float32), (width, height), max_faces)

    def _fit(self, size: tuple[int, int]) -> None:
        """Prepare for pictures of `size`."""
        if size == self._size:
            return
        if size not in self._checked:
            self._check(size)
            self._checked.add(size)
        self._detector.setInputSize(size)
        self._size = size

    def _check(self, size: tuple[int, int]) -> None:
        """Refuse a network whose outputs are not YuNet's: OpenCV would read beyond their end."""
        width, height = (-(-side // 32) * 32 for side in size)
        self._net.setInput(np.zeros((1, 3, height, width), np.float32))
        for name, output in zip(OUTPUTS, self._load(self._net.forward, list(OUTPUTS)), strict=True):
            kind, stride = name.split("_")
            wanted = (width // int(stride)) * (height // int(stride)) * CHANNELS[kind]
            if output.size != wanted or output.dtype != np.float32:
                raise WeightsError(
                    f"{self._path} is no YuNet: {name} holds {output.size} {output.dtype}"
                    f" for a picture of {width}x{height}, expected {wanted} float32"
                )

    def _load(self, call: Any, *args: Any, **named: Any) -> Any:
        try:
            return call(*args, **named)
        except cv2.error as error:
            reason = " ".join(str(error).split())
            raise WeightsError(f"OpenCV cannot run {self._path}: {reason}") from error


def scaled_bgr(picture: NDArray[np.uint8] | Frame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a frame or picture as (height, width, 3) BGR uint8 of `size` (width, height)."""
    if isinstance(picture, Frame):
        # Planes are scaled first, so that only a small picture is converted.
        rgb = cut_rgb(picture, _WHOLE, 0, lambda plane, *_: _scaled(plane, size))
        return np.ascontiguousarray(rgb[::-1].transpose(1, 2, 0).round().astype(np.uint8))
    small = _scaled(picture, size)
    return small if small.ndim == 3 else np.repeat(small[:, :, None], 3, axis=2)


def _scaled(plane: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    method = cv2.INTER_AREA if size[0] < plane.shape[1] else cv2.INTER_LINEAR
    small = cv2.resize(np.ascontiguousarray(plane), size, interpolation=method)
    return np.asarray(small, np.uint8)


def _detections(
    rows: Array | None, scale: Array, edge: tuple[int, int], max_faces: int
) -> Detections:
    """Turn OpenCV's rows (N, 15) into faces: x, y, width, height, five points, score.

    Its points begin with the person's right eye, which is the left one in an upright picture.
    """
    table = np.zeros((0, 15), np.float32) if rows is None else np.asarray(rows, np.float32)
    table = table[np.argsort(-table[:, 14], kind="stable")][:max_faces]
    corners = np.stack([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1) * scale
    boxes = corners.clip(0, np.array(edge, np.float32)).reshape(-1, 4)
    points = table[:, 4:14].reshape(-1, 5, 2) * scale
    return Detections(boxes, table[:, 14].copy(), points)


def _check_outputs(path: Path, data: bytes) -> None:
    session = open_session(path, data)
    if set(OUTPUTS) - {output.name for output in session.get_outputs()}:
        raise WeightsError(
            f"{path} is neither YuNet (its outputs are {OUTPUTS[0]} ... {OUTPUTS[-1]}) nor a"
            f" detector of this project ({path.stem}.json is not beside it)"
        )
