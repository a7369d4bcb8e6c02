"""Find the points of faces: warp each face into a square crop, run all crops as one batch."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..pipeline.errors import InferenceError, WeightsError
from .colour_crops import cut_rgb
from .crops import Crop, crop_from_box, crop_from_landmarks
from .detector import TIGHT_TO_HAND_DRAWN, tight_box_from_detection
from .reduce194 import ibug68_from_helen194
from .runtime import load_model
from .topology import topology

if TYPE_CHECKING:
    from pathlib import Path

    from ..pipeline.frame import Frame

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
# The networks shipped, by the scheme of their points.
SHIPPED = {"ibug68": "landmarks68", "helen194": "landmarks194"}

_TO_HAND_DRAWN = TIGHT_TO_HAND_DRAWN.tolist()

UNSEEN, SEEN = 0.4, 0.6  # mean visibility


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Points of N faces: points_px (N, K, 2) of the picture, x before y; presence (N,) 0..1 says
    whether the crop shows a face that can be seen; visibility (N, K) 0..1. All float32.
    """

    points_px: F32
    presence: F32
    visibility: F32


class LandmarkModel:
    """A landmark network with what it needs around it; one thread may use it at a time.

    `weights` is a scheme (ibug68, helen194), which means the network shipped for it, or the path
    of an ONNX file; raises WeightsError where it is unusable.
    """

    _coarse: LandmarkModel | None = None

    def __init__(self, weights: str | Path = "ibug68", threads: int = 1) -> None:
        model = load_model(SHIPPED.get(str(weights), weights), threads)
        shape = model.session.get_inputs()[0].shape
        size = shape[-1] if isinstance(shape[-1], int) else model.spec.get("input", {}).get("size")
        if len(shape) != 4 or shape[1] not in (1, 3) or not isinstance(size, int):
            raise WeightsError(f"{weights}: input {shape} is no batch of square luma or RGB crops")
        self.size = size
        self.colour = shape[1] == 3
        self.tells_presence = "presence" in model.output_names
        self.scheme = str(model.spec.get("scheme", "ibug68"))
        regions = topology(self.scheme)
        self._left_eye, self._right_eye = regions.region("eye.left"), regions.region("eye.right")
        if not self.colour:
            self._coarse = _coarse_for(model.spec, threads)
        self.sha256, self._session = model.sha256, model.session
        self._input = model.input_name
        self._outputs = ["landmarks", "presence", "visibility"]
        if not self.tells_presence:
            self._outputs = ["landmarks"]
        self._batch = np.zeros((1, shape[1], size, size), np.float32)
        self._crop = np.empty((size, size), np.uint8)

    def run(self, picture: U8 | Frame, crops: list[Crop]) -> Landmarks:
        """Find the points of the faces in `crops` of a picture's luma (H, W).

        A network with `colour` takes a frame or a BGR picture (H, W, 3) instead; one that does
        not tell presence gives 1.0. Raises InferenceError where the network returns a value that
        is not finite.
        """
        batch = self._fill(picture, crops)
        points, *rest = self._session.run(self._outputs, {self._input: batch})
        count = len(crops)
        if rest:
            visibility = rest[1].reshape(count, -1)
            found = zip(rest[0].reshape(count).tolist(), visibility, strict=True)
            presence = [value * _trust(seen) for value, seen in found]
        else:
            presence, visibility = [1.0] * count, np.ones_like(points[..., 0])
        # A sum is finite where all its terms are, and quicker to test.
        if not math.isfinite(float(np.add.reduce(points, axis=None)) + sum(presence)):
            raise InferenceError("the landmark network returned a value that is not finite")
        placed = np.empty(points.shape, np.float32)
        for row, crop, inside in zip(placed, crops, points, strict=True):
            _place(inside, crop, self.size, row)
        return Landmarks(placed, np.array(presence, np.float32), visibility)

    def look(self, picture: U8 | Frame, crops: list[Crop]) -> Landmarks:
        """Find the points in rough crops, as a detector gives them: `run` on them set right."""
        return self.run(picture, self.set_right(picture, crops))

    def set_right(self, picture: U8 | Frame, crops: list[Crop]) -> list[Crop]:
        """Return rough crops upright and centred, after a glance of the coarse network at each.

        Crops that follow a face are right already. A network that names no coarse one gets its
        crops as they are.
        """
        if self._coarse is None:
            return crops
        luma = picture if isinstance(picture, np.ndarray) else picture.luma
        glance = self._coarse.run(luma, crops)
        return [self._coarse.next_crop(points) for points in glance.points_px]

    def first_crop(self, box_xyxy_px: F32, keypoints_px: F32 | None) -> Crop:
        """Return the crop for a detected box (4,), upright by the key points' eyes (5, 2)."""
        crop = crop_from_box(tight_box_from_detection(box_xyxy_px))
        if keypoints_px is None:
            return crop
        across = keypoints_px[1] - keypoints_px[0]
        return replace(crop, angle=math.atan2(across[1], across[0]))

    def next_crop(self, points_px: F32, shift_px: tuple[float, float] = (0.0, 0.0)) -> Crop:
        """Return the crop around points (K, 2), moved by how far the face should have gone."""
        crop = crop_from_landmarks(points_px, self._left_eye, self._right_eye)
        x, y = shift_px
        if not x and not y:
            return crop
        return replace(crop, centre_x=crop.centre_x + x, centre_y=crop.centre_y + y)

    def tight_box(self, box_xyxy_px: F32) -> F32:
        """Return the box (4,) that the points of a detected face should fill."""
        return tight_box_from_detection(box_xyxy_px)

    def face_box(self, tight_box: NDArray[np.floating]) -> F32:
        """Return the box (4,) that the detector would draw for the tight one of a face's points."""
        x0, y0, x1, y1 = tight_box.tolist()
        width, height = x1 - x0, y1 - y0
        left, top, right, bottom = _TO_HAND_DRAWN
        return np.array(
            (x0 + left * width, y0 + top * height, x1 + right * width, y1 + bottom * height),
            np.float32,
        )

    def as_ibug68(self, points_px: F32) -> F32 | NDArray[np.float64]:
        """Return points (K, 2) as 68, roughly where the scheme is another."""
        return points_px if self.scheme == "ibug68" else ibug68_from_helen194(points_px)

    def _fill(self, picture: U8 | Frame, crops: list[Crop]) -> F32:
        if len(crops) > len(self._batch):
            self._batch = np.zeros((len(crops), *self._batch.shape[1:]), np.float32)
        for row, crop in zip(self._batch, crops, strict=False):
            if self.colour or not isinstance(picture, np.ndarray):
                row[:] = cut_rgb(picture, crop, self.size, cut)
            else:
                row[0] = cut(picture, crop, self.size, self._crop)
        return self._batch[: len(crops)]


def _coarse_for(spec: dict[str, Any], threads: int) -> LandmarkModel | None:
    """Load the shipped network that a spec names as its `coarse`; WeightsError where it is none."""
    name = spec.get("coarse")
    if name is None:
        return None
    coarse = LandmarkModel(str(name), threads)
    if coarse.scheme != "ibug68" or coarse.colour:
        raise WeightsError(f"coarse {name!r} finds no 68 points in luma")
    return coarse


def _trust(visibility: F32) -> float:
    """Return how far the visibility (K,) of one face's points speaks for a face.

    A head from behind, or a face behind a hand, may well look like a face to `presence`, but the
    network then expects large errors everywhere; of real faces hardly any falls below `SEEN`.
    """
    mean: float = sum(visibility.tolist()) / len(visibility)
    return min(max((mean - UNSEEN) / (SEEN - UNSEEN), 0.0), 1.0)


def _place(points: F32, crop: Crop, size: int, out: F32) -> None:
    """Write points (K, 2) of a crop of `size` px into `out` (K, 2) as px of the picture.

    As complex numbers: for so few points, a product of matrices takes far longer.
    """
    turn = cmath.rect(crop.side / size, crop.angle)
    middle = (size - 1) / 2
    shift = complex(crop.centre_x, crop.centre_y) - turn * complex(middle, middle)
    # In double precision, since single would lose a thousandth of a pixel in large pictures.
    flat = points.astype(np.float64).view(np.complex128)
    flat *= turn
    flat += shift
    out[:] = flat.view(np.float64)


def cut(luma: U8, crop: Crop, size: int, out: U8 | None = None) -> U8:
    """Cut `crop` from luma (H, W) as (size, size); beyond the picture its edge is repeated.

    A crop much larger than `size` is halved first, by averaging: sampling alone would alias and
    let the camera's noise through.
    """
    halvings = round(math.log2(max(crop.side / size, 1.0)))
    x, y, side = crop.centre_x, crop.centre_y, crop.side
    if halvings or not luma.flags.c_contiguous:
        luma, left, top = _surroundings(luma, crop, halvings)
        x, y = x - left, y - top
    for _ in range(halvings):
        half = (max(luma.shape[1] // 2, 1), max(luma.shape[0] // 2, 1))
        luma = np.asarray(cv2.resize(luma, half, interpolation=cv2.INTER_AREA), np.uint8)
        x, y, side = (x - 0.5) / 2, (y - 0.5) / 2, side / 2
    matrix, border = Crop(x, y, side, crop.angle).to_crop(size), cv2.BORDER_REPLICATE
    crop_px = cv2.warpAffine(luma, matrix, (size, size), out, cv2.INTER_LINEAR, border)
    return np.asarray(crop_px, np.uint8)


def _surroundings(luma: U8, crop: Crop, halvings: int) -> tuple[U8, int, int]:
    """Return a copy of the picture under `crop` and its corner; its sides can be halved.

    A copy, since to fetch what was just decoded in one go is far quicker than while averaging.
    """
    step = 2**halvings
    reach = crop.side * (abs(math.cos(crop.angle)) + abs(math.sin(crop.angle))) / 2 + 2 * step
    height, width = luma.shape
    x0, x1 = _span(crop.centre_x - reach, crop.centre_x + reach, width, step)
    y0, y1 = _span(crop.centre_y - reach, crop.centre_y + reach, height, step)
    return np.ascontiguousarray(luma[y0:y1, x0:x1]), x0, y0


def _span(low: float, high: float, length: int, step: int) -> tuple[int, int]:
    """Clip low..high to 0..length, at least 1 long and a multiple of `step` where possible."""
    start = int(min(max(low, 0), max(length - step, 0)))
    stop = int(min(max(high, start + step), length))
    return start, max(start + (stop - start) // step * step, start + 1)
