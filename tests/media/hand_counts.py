"""Score `analyze` against faces counted by hand; run as a script to print the table.

`hand_counts.json` beside this file holds the counts and their rule, numbers only. A face found
shows a counted one where its box centre lies within half the counted height of the counted
centre, and its box is 0.5 to 2.5 times as high; each is used once, the nearest first.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidfilter.pipeline import Pipeline, PipelineSpec, StageSpec

COUNTS = json.loads(Path(__file__).with_suffix(".json").read_text())["clips"]
STAGES = ("detect", "landmarks", "smooth")


@dataclass
class Score:
    """What became of the counted faces of one clip.

    `counted` and `found` by kind (front, side); `false` are finds where no person was; `switches`
    counts ids that changed from one sighting of a person to the next in a shot, and ids that two
    people of a shot had.
    """

    frames: int = 0
    counted: dict[str, int] = field(default_factory=lambda: {"front": 0, "side": 0})
    found: dict[str, int] = field(default_factory=lambda: {"front": 0, "side": 0})
    false: int = 0
    switches: int = 0
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = [f"{kind} {self.found[kind]}/{self.counted[kind]}" for kind in self.counted]
        wrong = f"false {self.false}, id switches {self.switches}"
        return f"{self.frames} frames: {', '.join(kinds)}, {wrong}"


def analyze(source: Path, **params: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the faces of every frame as `vidfilter analyze` writes them."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "tracks.jsonl"
        stages = [StageSpec("capture", "capture", {"source": str(source)})]
        stages += [StageSpec(name, name, params.get(name, {})) for name in STAGES]
        stages.append(StageSpec("tracks_file", "tracks_file", {"path": str(output)}))
        Pipeline(PipelineSpec(tuple(stages))).run()
        return [json.loads(line)["faces"] for line in output.read_text().splitlines()]


def score(clip: str, rows: list[list[dict[str, Any]]]) -> Score:
    """Compare the faces of each frame of `clip` with the count."""
    counts, result = COUNTS[clip], Score()
    last: dict[str, int] = {}
    owner: dict[int, str] = {}
    for number in counts["sampled"]:
        if number in counts["shots_begin"]:
            last, owner = {}, {}
        frame = counts["frames"].get(str(number), {"faces": [], "ignored": []})
        shown, rest = match(frame["faces"], rows[number])
        result.frames += 1
        for (person, kind, *_), face in zip(frame["faces"], shown, strict=True):
            result.counted[kind] += 1
            if face is None:
                result.notes.append(f"{number}: {person} ({kind}) missed")
                continue
            result.found[kind] += 1
            if last.get(person, face["id"]) != face["id"] or (
                owner.get(face["id"], person) != person
            ):
                result.switches += 1
                result.notes.append(f"{number}: {person} now has id {face['id']}")
            last[person], owner[face["id"]] = face["id"], person
        false = [face for face in rest if not any(holds(r, face) for r in frame["ignored"])]
        result.false += len(false)
        result.notes += [f"{number}: nobody at {centre(face)}" for face in false]
    return result


def match(
    counted: list[list[Any]], faces: list[dict[str, Any]]
) -> tuple[list[dict[str, Any] | None], list[dict[str, Any]]]:
    """Return the face found for each counted one, or None, and the faces left over."""
    pairs = []
    for i, (_, _, x, y, height) in enumerate(counted):
        for k, face in enumerate(faces):
            dx, dy = centre(face)[0] - x, centre(face)[1] - y
            high = (face["box_xyxy_px"][3] - face["box_xyxy_px"][1]) / height
            if max(abs(dx), abs(dy)) <= height / 2 and 0.5 <= high <= 2.5:
                pairs.append((dx * dx + dy * dy, i, k))
    shown: list[dict[str, Any] | None] = [None] * len(counted)
    used: set[int] = set()
    for _, i, k in sorted(pairs):
        if shown[i] is None and k not in used:
            shown[i] = faces[k]
            used.add(k)
    return shown, [face for k, face in enumerate(faces) if k not in used]


def centre(face: dict[str, Any]) -> tuple[float, float]:
    """Return the middle of a found face's box."""
    x0, y0, x1, y1 = face["box_xyxy_px"]
    return (x0 + x1) / 2, (y0 + y1) / 2


def holds(region: list[float], face: dict[str, Any]) -> bool:
    """Return whether a region xyxy holds the middle of a found face."""
    x, y = centre(face)
    return region[0] <= x <= region[2] and region[1] <= y <= region[3]


if __name__ == "__main__":
    media = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/media")
    for name in COUNTS:
        outcome = score(name, analyze(media / name))
        sys.stdout.write(f"{name}: {outcome}\n")
        sys.stdout.writelines(f"    {note}\n" for note in outcome.notes)
