"""Rendered groups of faces, boxed as by hand, and what `eval detect` says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
from giving import Command

from vidfilter.models.detector import hand_drawn_from_tight
from vidfilter.stages._testface import FaceScene

HEADER = "image,xmin,ymin,xmax,ymax,label"


def write_scenes(folder: Path, count: int = 4) -> Path:
    """Write rendered groups of 1, 2, ... faces, boxed as by hand; return the table."""
    folder.mkdir(exist_ok=True)
    lines = [HEADER]
    for number in range(count):
        scene = FaceScene(640, 360, faces=1 + number, seed=number)
        cv2.imwrite(str(folder / f"{number}.png"), scene.render(1.0))
        for truth in scene.truth(1.0):
            box = hand_drawn_from_tight(truth.box_xyxy_px)
            lines.append(",".join([f"{number}.png", *(f"{v:.1f}" for v in box), "face"]))
    table = folder / "boxes.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def figures(vidfilter: Command, table: Path, *args: object) -> dict[str, Any]:
    parts = ("eval", "detect", table, "--images", table.parent, *args, "--json")
    done = vidfilter(*(str(part) for part in parts))
    assert done.code == 0, done.err
    return dict(json.loads(done.out))
