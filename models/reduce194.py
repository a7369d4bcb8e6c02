"""Read 194 Helen points roughly as 68, for what is known about the 68: pose and expressions.

The two schemes label jaws and brows differently: agreement is about 5 % of the distance of the
outer eye corners, good for angles and ratios, not for training or evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Each of the 68 points as the middle of two of the 194, found on photographs that have both.
_PAIRS = (
    (0, 0), (0, 0), (2, 3), (5, 6), (8, 9), (10, 13), (12, 17), (16, 19), (18, 22), (21, 25),
    (23, 29), (27, 31), (30, 34), (33, 37), (36, 39), (40, 40), (40, 40), (184, 184), (182, 182),
    (179, 179), (176, 177), (174, 174), (154, 155), (157, 157), (159, 160), (162, 163),
    (164, 165), (174, 155), (174, 155), (174, 155), (41, 57), (45, 47), (46, 49), (49, 49),
    (49, 52), (51, 53), (144, 144), (141, 141), (137, 138), (134, 153), (134, 148), (145, 149),
    (114, 114), (118, 118), (121, 121), (124, 124), (125, 129), (128, 133), (58, 58), (60, 61),
    (63, 63), (64, 65), (66, 66), (68, 69), (71, 71), (72, 76), (75, 78), (77, 80), (79, 81),
    (83, 83), (86, 87), (90, 92), (92, 94), (95, 95), (99, 100), (103, 106), (105, 109), (107, 110),
)  # fmt: skip
# Helen has no points on the bridge of the nose: they lie between the brows and the nose's sides.
_BRIDGE = {27: ((45, 53), 0.25), 28: ((44, 54), 0.5), 29: ((44, 54), 0.75), 30: ((48, 50), 0.5)}


def _matrix() -> NDArray[np.float64]:
    matrix = np.zeros((68, 194))
    for row, pair in enumerate(_PAIRS):
        for column in pair:
            matrix[row, column] += 0.5
    for row, (pair, share) in _BRIDGE.items():
        matrix[row] *= 1 - share
        matrix[row, list(pair)] += share / 2
    return matrix


_MATRIX = _matrix()


def ibug68_from_helen194(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return points (..., 194, 2) as (..., 68, 2)."""
    return np.asarray(_MATRIX @ points)
