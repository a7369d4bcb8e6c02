"""The 194 points read as 68, on photographs that have both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidfilter.models.pose import head_pose
from vidfilter.models.reduce194 import ibug68_from_helen194
from vidfilter.models.training.landmark_formats import read_helen, read_pts


def test_schemes_agree_roughly_and_give_the_same_pose(shared_data: Path) -> None:
    errors, angles = [], []
    for file in sorted((shared_data / "helen194" / "annotation").glob("*.txt"))[:120]:
        name, points = read_helen(file)
        stem = name.removesuffix(".jpg")
        wanted = read_pts(shared_data / "helen68" / "train" / f"{stem}.pts")
        got = ibug68_from_helen194(points)
        span = np.linalg.norm(wanted[36] - wanted[45])
        errors.append(np.linalg.norm(got - wanted, axis=1).mean() / span)
        mine, true = head_pose(got)[0], head_pose(wanted)[0]
        angles.append(
            (
                mine.yaw_deg - true.yaw_deg,
                mine.pitch_deg - true.pitch_deg,
                mine.roll_deg - true.roll_deg,
            )
        )
    assert np.mean(errors) < 0.07
    assert (np.abs(angles).mean(axis=0) < (4, 6, 3)).all()
