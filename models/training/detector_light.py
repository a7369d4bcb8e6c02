"""Vary sharpness, tone, noise and coding of training canvases, as cameras and codecs do."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
MOST = 512  # px; canvases may be as large


class Light:
    """Spoils luma pictures up to 512 px; `spoil` scales how often they are blurred, noisy or
    coarsely coded, 1 by default.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.spoil = 1.0
        self.noise = rng.normal(0, 1, (2, MOST, MOST)).astype(np.float32)
        self.noise[1] = cv2.GaussianBlur(self.noise[1], (3, 3), 0.8) * 1.8

    def __call__(self, luma: Image) -> Image:
        """Return the square picture as a worse camera would have taken it."""
        rng = self.rng
        if rng.random() < 0.12 * self.spoil:
            luma = self._blur(luma)
        luma = np.asarray(cv2.LUT(luma, self._tone()), np.uint8)
        if rng.random() < 0.2 * self.spoil:
            n = len(luma)
            y, x = rng.integers(0, MOST - n + 1, 2)
            noise = self.noise[int(rng.integers(2)), y : y + n, x : x + n]
            luma = np.clip(luma + noise * np.float32(rng.uniform(1, 10)), 0, 255).astype(np.uint8)
        if rng.random() < 0.12 * self.spoil:
            quality = int(rng.integers(15, 70))
            _, data = cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, quality])
            luma = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
        return luma

    def _blur(self, luma: Image) -> Image:
        """Blur as out of focus, or along a line as in motion."""
        if self.rng.random() < 0.5:
            return np.asarray(cv2.GaussianBlur(luma, (0, 0), self.rng.uniform(0.5, 1.6)), np.uint8)
        kernel = np.zeros((5, 5), np.uint8)
        start, end = self.rng.integers(0, 5, (2, 2)).tolist()
        cv2.line(kernel, start, end, 1)
        return np.asarray(cv2.filter2D(luma, -1, kernel / kernel.sum()), np.uint8)

    def _tone(self) -> Image:
        """Draw a tone curve (256,): gamma, gain and offset; limited range is one of them."""
        rng = self.rng
        ramp = np.linspace(0, 1, 256, dtype=np.float32) ** np.exp(rng.normal(0, 0.35))
        gain = rng.uniform(0.55, 1.1) if rng.random() < 0.9 else rng.uniform(0.15, 0.6)
        offset = rng.uniform(0, max(0.0, 1 - gain)) if rng.random() < 0.7 else 0.03
        curve: Image = np.clip((ramp * gain + offset) * 255, 0, 255).astype(np.uint8)
        return curve
