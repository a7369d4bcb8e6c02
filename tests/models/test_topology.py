"""Point schemes: regions by name, mirror permutations."""

from __future__ import annotations

import numpy as np
import pytest

from vidfilter.models.topology import topology
from vidfilter.models.training.landmark_formats import read_helen, read_pts

SHARED_REGIONS = {
    "face.contour",
    "brow.left",
    "brow.right",
    "nose",
    "nose.base",
    "eye.left",
    "eye.right",
    "lips.outer",
    "lips.inner",
}


@pytest.mark.parametrize(("name", "points"), [("ibug68", 68), ("helen194", 194)])
def test_flip_is_an_involution_that_swaps_left_and_right(name: str, points: int) -> None:
    scheme = topology(name)
    flip = scheme.flip
    assert len(flip) == scheme.points == points
    assert np.array_equal(flip[flip], np.arange(points))
    for part in ("eye", "brow"):
        left, right = scheme.region(f"{part}.left"), scheme.region(f"{part}.right")
        assert set(flip[left]) == set(right)
    for whole in ("face.contour", "nose", "lips.outer", "lips.inner"):
        region = scheme.region(whole)
        assert set(flip[region]) == set(region)
    left, right = scheme.eye_corners
    assert flip[left] == right
    assert left in scheme.region("eye.left")


@pytest.mark.parametrize("name", ["ibug68", "helen194"])
def test_both_schemes_answer_to_the_same_region_names(name: str) -> None:
    scheme = topology(name)
    assert set(scheme.regions) >= SHARED_REGIONS
    used = np.concatenate([scheme.region(region) for region in scheme.regions])
    assert set(used) == set(range(scheme.points))


def test_regions_cannot_be_changed_by_a_user() -> None:
    with pytest.raises(ValueError, match="read-only"):
        topology("ibug68").region("nose")[0] = 3


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"eye\.left"):
        topology("ibug68").region("ear.left")
    with pytest.raises(KeyError, match="helen194"):
        topology("wflw98")


@pytest.mark.parametrize("name", ["ibug68", "helen194"])
def test_mirrored_mean_face_is_the_mean_face(name: str, shared_data) -> None:
    if name == "ibug68":
        paths = sorted((shared_data / "helen68" / "train").glob("*.pts"))[:200]
        faces = np.stack([read_pts(path) for path in paths])
    else:
        paths = sorted((shared_data / "helen194" / "annotation").glob("*.txt"))[:200]
        faces = np.stack([read_helen(path)[1] for path in paths])
    scheme = topology(name)
    left, right = scheme.eye_corners
    middle = (faces[:, [left]] + faces[:, [right]]) / 2
    mean = np.median((faces - middle) / scheme.interocular(faces)[:, None, None], axis=0)
    mirrored = (mean * [-1, 1])[scheme.flip]
    assert np.abs(mirrored - mean).mean() < 0.06
    assert mean[scheme.region("eye.left"), 0].max() < mean[scheme.region("eye.right"), 0].min()
