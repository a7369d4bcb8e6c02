"""How still the points of a still face are, and how far they lag behind one that moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import ModelError
from ..crops import Crop

if TYPE_CHECKING:
    from collections.abc import Iterator

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
FPS, SECONDS, SEEDS = 30, 10.0, 5
INTEROCULAR_PX, SIDE_PX = 100.0, 512
NOISE, JPEG_QUALITY = 5.0, 75
AMPLITUDE_PX, FREQUENCY_HZ = 60.0, 0.5
MOST_LAG, LAG_STEP = 3.0, 0.01  # frames
_SETTLED_S = 1.0  # of a motion that begins at once


@dataclass(frozen=True, slots=True)
class Portrait:
    """A picture scaled for the measurement: BGR (S, S, 3), the face in its middle."""

    bgr: U8

    @classmethod
    def of(cls, bgr: U8, centre: tuple[float, float], interocular_px: float) -> Portrait:
        """Scale (H, W, 3) so that the outer eye corners are 100 px apart, `centre` in the middle.

        Wide enough for the motion; beyond the picture its edge is repeated.
        """
        side = (SIDE_PX + 4 * AMPLITUDE_PX) * interocular_px / INTEROCULAR_PX
        scale = INTEROCULAR_PX / interocular_px
        picture, shrunk = bgr, 1.0
        while scale / shrunk < 0.7:  # sampling alone would alias
            half = (max(picture.shape[1] // 2, 1), max(picture.shape[0] // 2, 1))
            picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), np.uint8)
            shrunk /= 2
        x, y = ((value + 0.5) * shrunk - 0.5 for value in centre)
        size = round(SIDE_PX + 4 * AMPLITUDE_PX)
        matrix = Crop(x, y, side * shrunk).to_crop(size)
        border = cv2.BORDER_REPLICATE
        return cls(np.asarray(cv2.warpAffine(picture, matrix, (size, size), borderMode=border)))

    def shifted(self, x_px: float) -> U8:
        """Return the middle (512, 512, 3), with the face moved to the right by so much."""
        middle = (self.bgr.shape[1] - 1) / 2 - x_px, (self.bgr.shape[0] - 1) / 2
        return np.asarray(cv2.getRectSubPix(self.bgr, (SIDE_PX, SIDE_PX), middle), np.uint8)


def motion_px(seconds: float) -> F64:
    """Return where the moving face is in each frame."""
    times = np.arange(round(seconds * FPS)) / FPS
    return np.asarray(AMPLITUDE_PX * np.sin(2 * np.pi * FREQUENCY_HZ * times))


def still(portrait: Portrait, seconds: float, seed: int) -> Iterator[U8]:
    """Yield the frames of a still face, each with noise of its own."""
    picture, rng = portrait.shifted(0.0), np.random.default_rng(seed)
    for _ in range(round(seconds * FPS)):
        yield spoiled(picture, rng)


def moving(portrait: Portrait, seconds: float, seed: int) -> Iterator[U8]:
    """Yield the frames of a face that swings from side to side."""
    rng = np.random.default_rng(seed)
    for x in motion_px(seconds):
        yield spoiled(portrait.shifted(float(x)), rng)


def spoiled(bgr: U8, rng: np.random.Generator) -> U8:
    """Add Gaussian noise of deviation 5, then pass through JPEG at quality 75."""
    noise = rng.standard_normal(bgr.shape, np.float32) * np.float32(NOISE)
    noisy = np.clip(np.rint(bgr + noise), 0, 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def deviation(points_px: F32) -> float:
    """Return the RMS deviation of points (T, K, 2) from their means, over 100 px; a fraction."""
    away = points_px - points_px.mean(axis=0)
    return float(np.sqrt(np.square(away).sum(axis=2).mean())) / INTEROCULAR_PX


def lag_and_gain(found_px: F64, true_px: F64) -> tuple[float, float]:
    """Return the lag in frames and the gain of a found course (T,) against the true one.

    The lag is the shift of the true course, up to 3 frames to either side, that agrees best with
    the found one by cross-correlation, the gain their ratio at this shift. Raises ModelError for
    courses too short to tell.
    """
    times = np.arange(len(true_px), dtype=float)
    settled = slice(round(_SETTLED_S * FPS), -int(MOST_LAG) or None)
    found = found_px[settled] - found_px[settled].mean()
    if len(found) < FPS:
        raise ModelError("two seconds are needed to tell the lag")
    best, lag, gain = -np.inf, 0.0, 0.0
    for shift in np.arange(-MOST_LAG, MOST_LAG + LAG_STEP, LAG_STEP):
        true = np.interp(times - shift, times, true_px)[settled]
        true = true - true.mean()
        product = float(found @ true)
        agreement = product / float(np.sqrt((found @ found) * (true @ true)) or 1.0)
        if agreement > best:
            best, lag, gain = agreement, float(shift), product / float(true @ true)
    return lag, gain
