"""Show training crops as worse cameras, lamps and codecs would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from .landmark_occlude import grain, noise_of

if TYPE_CHECKING:
    from numpy.random import Generator

Luma = NDArray[np.uint8]


@dataclass(slots=True)
class Spoiler:
    """Shrinks, blurs, lights, adds noise and codes crops; `strength` scales how often."""

    rng: Generator
    strength: float = 1.0
    noise: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.noise = noise_of(self.rng)

    def spoil(self, image: Luma) -> Luma:
        """Return the crop (S, S) as a worse camera, lamp or codec would show it."""
        rng, size = self.rng, len(image)
        if self._often(0.2):
            image = self._shrink(image, int(size * np.exp(rng.uniform(np.log(0.2), np.log(0.9)))))
        if self._often(0.12):
            image = self._blur(image)
        image = self._light(image)
        if self._often(0.3):
            noisy = image + rng.uniform(1, 12) * grain(rng, self.noise, image.shape)
            image = np.clip(noisy, 0, 255).astype(np.uint8)
        if self._often(0.15):
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 60))]
            coded = cv2.imencode(".jpg", image, quality)[1]
            image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
        return image

    def _shrink(self, image: Luma, pixels: int) -> Luma:
        if pixels >= len(image):
            return image
        small = cv2.resize(image, (pixels, pixels), interpolation=cv2.INTER_AREA)
        ways = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)
        way = ways[int(self.rng.choice(3, p=(0.6, 0.3, 0.1)))]
        return np.asarray(cv2.resize(small, image.shape[::-1], interpolation=way), dtype=np.uint8)

    def _blur(self, image: Luma) -> Luma:
        if self.rng.random() < 0.6:
            blurred = cv2.GaussianBlur(image, (0, 0), self.rng.uniform(0.005, 0.022) * len(image))
            return np.asarray(blurred, dtype=np.uint8)
        length = int(len(image) * self.rng.uniform(0.04, 0.11)) | 1
        kernel = np.zeros((length, length), dtype=np.float32)
        turn = self.rng.uniform(0, np.pi)
        middle, reach = (length - 1) / 2, length / 2 * np.array([np.cos(turn), np.sin(turn)])
        ends = [tuple(np.round(middle + s * reach).astype(int).tolist()) for s in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)

    def _light(self, image: Luma) -> Luma:
        """Change gamma, gain and offset; sometimes light from one side or near darkness."""
        rng = self.rng
        ramp = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.6, 0.6))
        dark = self._often(0.06)
        gain = rng.uniform(0.1, 0.3) if dark else rng.uniform(0.45, 1.25)
        table = ramp * gain * 255 + rng.uniform(0 if dark else -25, 45)
        image = np.asarray(cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)), dtype=np.uint8)
        if rng.random() < 0.15:
            ends = rng.uniform(0.2, 1), rng.uniform(0.6, 1.3)
            slope = np.broadcast_to(np.linspace(*ends, len(image), dtype=np.float32), image.shape)
            slope = slope.T if rng.random() < 0.4 else slope
            image = np.clip(image * slope, 0, 255).astype(np.uint8)
        elif self._often(0.25):
            image = np.clip(image * self._shade(len(image)), 0, 255).astype(np.uint8)
        return np.asarray(image, dtype=np.uint8)

    def _shade(self, size: int) -> NDArray[np.float32]:
        """Return smooth random gains (S, S), as lamps and shadows give."""
        knots = self.rng.normal(0, self.rng.uniform(0.1, 0.4), (4, 4)).astype(np.float32)
        smooth = cv2.resize(knots, (size, size), interpolation=cv2.INTER_CUBIC)
        return np.asarray(np.exp(smooth), dtype=np.float32)

    def _often(self, chance: float) -> bool:
        return bool(self.rng.random() < chance * self.strength)
