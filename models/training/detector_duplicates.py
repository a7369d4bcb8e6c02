"""Drop near-duplicates of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .detector_data import Sample

HASH_DISTANCE = 6  # of 64 bits; counted below this, two pictures are the same photograph


def perceptual_hash(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return 63 bits as (8,) bytes: signs of the low DCT frequencies about their median."""
    small = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()[1:]
    return np.packbits(low > np.median(low))


def drop_duplicates(samples: list[Sample]) -> list[Sample]:
    """Keep the first of every set of near-duplicates (also mirrored ones) of complete scenes."""
    kept: list[Sample] = []
    hashes = np.zeros((len(samples), 8), np.uint8)
    for sample in samples:
        both = [perceptual_hash(sample.luma), perceptual_hash(sample.luma[:, ::-1])]
        known = hashes[: len(kept)]
        apart = [np.unpackbits(known ^ h, axis=1).sum(1) for h in both]
        if len(kept) and min(int(a.min()) for a in apart) <= HASH_DISTANCE:
            continue
        hashes[len(kept)] = both[0]
        kept.append(sample)
    return kept
