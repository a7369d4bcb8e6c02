"""Expressions 0..1 from 68 points, measured against how this face looks at rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

NAMES = ("mouth_open", "eye_open_l", "eye_open_r", "brow_raise", "smile")
# Per name: value at rest of the average person, bounds for one person's, span from rest to 1,
# and the share of time a person spends below his value at rest; for the eyes rest means open.
# Found on annotated photographs and clips. The spans are a little short of those of true points:
# networks shrink every expression, the gap between the lids most (to about half).
_REST = np.array((0.020, 0.32, 0.32, 0.42, 0.325))
_REST_LOW = np.array((-0.02, 0.20, 0.20, 0.36, 0.27))
_REST_HIGH = np.array((0.06, 0.45, 0.45, 0.52, 0.42))
_SPAN = np.array((0.24, 1.0, 1.0, 0.055, 0.13))
_SHARE = np.array((0.25, 0.5, 0.5, 0.4, 0.35))
# A face is learnt quickly at first; later expressions that last must not pass for rest.
_LEARNING_S, _SLOWEST_S = 4.0, 20.0
# Eyes, as shares of their opening at rest: closed until a track shows less, and fully open.
_CLOSED, _OPEN = 0.6, 0.95
_CLOSING_S, _FORGETTING_S = 0.08, 30.0
_OTHER_EYE, _WINK = 0.3, 0.4  # lids mostly move together, and noise does not; but see winks
_BROW_LIFTS, _SMILE_NARROWS = 0.05, 0.03


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
        self._closed = np.full(2, _CLOSED)
        self._seen_s = 0.0

    def measure(self, frontal: NDArray[np.floating], dt_s: float) -> dict[str, float]:
        """Return the expressions by name for points as `head_pose` turns them frontal (68, 2).

        `dt_s` is the time since the face was last measured; 0 teaches nothing.
        """
        gap, lid_l, lid_r, wide_l, wide_r, brow, smile = _MEASURES @ frontal.reshape(136)
        now = np.array((gap, lid_l / max(wide_l, 0.1), lid_r / max(wide_r, 0.1), brow, smile))
        dt_s = min(dt_s, 0.2)
        self._learn_rest(now, dt_s)
        values = np.clip((now - self._rest) / _SPAN, 0.0, 1.0)
        values[1:3] = self._eyes(now[1:3] / self._rest[1:3], values[3], values[4], dt_s)
        return dict(zip(NAMES, values.tolist(), strict=True))

    def _learn_rest(self, now: F64, dt_s: float) -> None:
        learning_s = min(_LEARNING_S + self._seen_s, _SLOWEST_S)
        self._seen_s += dt_s
        step = (_REST_HIGH - _REST_LOW) * (dt_s / learning_s)
        self._rest += step * (_SHARE - (now < self._rest))
        self._rest = np.clip(self._rest, _REST_LOW, _REST_HIGH)

    def _eyes(self, opening: F64, brow: float, smile: float, dt_s: float) -> F64:
        """Return how far both eyes are open (2,) for their opening as a share of that at rest."""
        apart = opening[::-1] - opening
        opening = opening + _OTHER_EYE * apart * np.maximum(1 - np.abs(apart) / _WINK, 0.0)
        opening += _SMILE_NARROWS * smile - _BROW_LIFTS * brow
        closing = min(dt_s / _CLOSING_S, 1.0) * (opening - self._closed)
        forgetting = dt_s / _FORGETTING_S * (_CLOSED - self._closed)
        self._closed += np.where(opening < self._closed, closing, forgetting)
        return np.asarray(np.clip((opening - self._closed) / (_OPEN - self._closed), 0.0, 1.0))
