"""Names of face regions and mirror permutations of the point schemes `ibug68` and `helen194`.

Left and right are those of an upright picture: `eye.left` is the eye at smaller x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Topology:
    """One point scheme: its regions in drawing order and what a mirror image does to it."""

    name: str
    points: int
    regions: Mapping[str, Indices]
    flip: Indices
    eye_corners: tuple[int, int]

    def region(self, name: str) -> Indices:
        """Return the point indices of a region; KeyError lists the known names."""
        try:
            return self.regions[name]
        except KeyError:
            known = ", ".join(sorted(self.regions))
            raise KeyError(f"{self.name} has no region {name!r}; known: {known}") from None

    def interocular(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distance of the outer eye corners of points (..., K, 2)."""
        left, right = self.eye_corners
        across = np.asarray(points[..., left, :] - points[..., right, :], dtype=np.float64)
        return np.asarray(np.linalg.norm(across, axis=-1))


def _span(*parts: tuple[int, int]) -> Indices:
    """Join inclusive runs of indices; a run may count down."""
    runs = [np.arange(a, b + 1) if a <= b else np.arange(a, b - 1, -1) for a, b in parts]
    indices = np.concatenate(runs)
    indices.flags.writeable = False
    return indices


def _mirror(points: int, *pairs: tuple[Indices, Indices]) -> Indices:
    """Build the permutation that renames points in a mirror image."""
    flip = np.full(points, -1)
    for source, target in pairs:
        flip[source] = target
    if not np.array_equal(flip[flip], np.arange(points)):
        raise AssertionError("a mirror permutation must undo itself")
    flip.flags.writeable = False
    return flip


def _ibug68() -> Topology:
    regions = {
        "face.contour": _span((0, 16)),
        "brow.left": _span((17, 21)),
        "brow.right": _span((22, 26)),
        "nose": _span((27, 35)),
        "nose.bridge": _span((27, 30)),
        "nose.base": _span((31, 35)),
        "eye.left": _span((36, 41)),
        "eye.right": _span((42, 47)),
        "lips.outer": _span((48, 59)),
        "lips.inner": _span((60, 67)),
    }
    flip = _mirror(
        68,
        (_span((0, 16)), _span((16, 0))),
        (_span((17, 26)), _span((26, 17))),
        (_span((27, 30)), _span((27, 30))),
        (_span((31, 35)), _span((35, 31))),
        (_span((36, 41)), _span((45, 42), (47, 46))),
        (_span((42, 47)), _span((39, 36), (41, 40))),
        (_span((48, 59)), _span((54, 48), (59, 55))),
        (_span((60, 67)), _span((64, 60), (67, 65))),
    )
    return Topology("ibug68", 68, MappingProxyType(regions), flip, (36, 45))


def _helen194() -> Topology:
    regions = {
        "face.contour": _span((0, 40)),
        "brow.left": _span((174, 193)),
        "brow.right": _span((154, 173)),
        "nose": _span((41, 57)),
        "nose.base": _span((44, 54)),
        "eye.left": _span((134, 153)),
        "eye.right": _span((114, 133)),
        "lips.outer": _span((58, 85)),
        "lips.inner": _span((86, 113)),
    }
    flip = _mirror(
        194,
        (_span((0, 40)), _span((40, 0))),
        (_span((41, 57)), _span((57, 41))),
        (_span((58, 85)), _span((71, 58), (85, 72))),
        (_span((86, 113)), _span((100, 86), (113, 101))),
        (_span((114, 133)), _span((134, 153))),
        (_span((134, 153)), _span((114, 133))),
        (_span((154, 173)), _span((174, 193))),
        (_span((174, 193)), _span((154, 173))),
    )
    return Topology("helen194", 194, MappingProxyType(regions), flip, (144, 124))


@cache
def topology(name: str) -> Topology:
    """Return a point scheme by name; KeyError lists the known names."""
    builders = {"ibug68": _ibug68, "helen194": _helen194}
    if name not in builders:
        raise KeyError(f"unknown point scheme {name!r}; known: {', '.join(builders)}")
    return builders[name]()
