"""Expressions 0..1 from 68 points, measured against how this face looks at rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

NAMES = ("mouth_open", "eye_open_l", "eye_open_r", "brow_raise", "smile")
# Per name: value at rest of the average person, bounds for one person's, span from rest to 1,
# and the share of time a person spends below his value at rest. For the eyes rest means open:
# their span runs down to the value of a closed eye. Found on annotated photographs and clips.
_REST = np.array((0.020, 0.32, 0.32, 0.42, 0.325))
_REST_LOW = np.array((-0.02, 0.20, 0.20, 0.36, 0.27))
_REST_HIGH = np.array((0.06, 0.45, 0.45, 0.52, 0.42))
_SPAN = np.array((0.27, np.nan, np.nan, 0.075, 0.15))
_SHARE = np.array((0.25, 0.65, 0.65, 0.4, 0.35))
_CLOSED_EYE = 0.06
_LEARNING_S = 4.0


def _measures() -> F64:
    """Return (7, 136): lip gap, lid gaps, eye widths, brow height, smile of flattened points."""
    rows = np.zeros((7, 68, 2))
    rows[0, [65, 66, 67], 1], rows[0, [61, 62, 63], 1] = 1 / 3, -1 / 3
    for row, eye in ((1, 36), (2, 42)):
        rows[row, [eye + 4, eye + 5], 1], rows[row, [eye + 1, eye + 2], 1] = 0.5, -0.5
        rows[row + 2, eye + 3, 0], rows[row + 2, eye, 0] = 1.0, -1.0
    rows[5, 27:31, 1], rows[5, 17:27, 1] = 1 / 4, -1 / 10
    # A smile lifts the corners and widens the mouth; an open mouth alone must not count.
    rows[6, [51, 57, 62, 66], 1], rows[6, [48, 54, 60, 64], 1] = 1 / 4, -1 / 4
    rows[6, 54, 0], rows[6, 48, 0] = 0.5, -0.5
    rows[6] += 0.15 * rows[0]
    return rows.reshape(7, 136)


_MEASURES = _measures()


class ExpressionMeter:
    """Expressions of one tracked face; learns its values at rest as slow running quantiles."""

    def __init__(self) -> None:
        self._rest = _REST.copy()

    def measure(self, frontal: NDArray[np.floating], dt_s: float) -> dict[str, float]:
        """Return the expressions by name for points as `head_pose` turns them frontal (68, 2).

        `dt_s` is the time since the face was last measured; 0 teaches nothing.
        """
        gap, lid_l, lid_r, wide_l, wide_r, brow, smile = _MEASURES @ frontal.reshape(136)
        now = np.array((gap, lid_l / max(wide_l, 0.1), lid_r / max(wide_r, 0.1), brow, smile))
        step = (_REST_HIGH - _REST_LOW) * (min(dt_s, 0.2) / _LEARNING_S)
        self._rest += step * (_SHARE - (now < self._rest))
        self._rest = np.clip(self._rest, _REST_LOW, _REST_HIGH)
        values = (now - self._rest) / _SPAN
        values[1:3] = (now[1:3] - _CLOSED_EYE) / (self._rest[1:3] - _CLOSED_EYE)
        return dict(zip(NAMES, np.clip(values, 0.0, 1.0).tolist(), strict=True))
