"""Run landmark networks on annotated faces: what the commands under `eval` share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = {"landmarks68": "ibug68", "landmarks194": "helen194"}
SCHEMES = {68: "ibug68", 194: "helen194"}


def load_network(model: str, points: int | None) -> Any:
    """Load a network; ConfigError where it finds other points than are asked for."""
    from ..errors import ConfigError
    from ..registry import module

    weights = Path(model) if model.endswith(".onnx") else model
    network = module("models", "landmarks").LandmarkModel(weights)
    if points is not None and points_of(network) != points:
        raise ConfigError(f"{model} finds {points_of(network)} points, not {points}")
    return network


def points_of(network: Any) -> int:
    """Return how many points a network finds."""
    from ..registry import module

    return int(module("models", "topology").topology(network.scheme).points)


def end_to_end(faces: Any, model: str, judge: Any, progress: Callable[[float], None]) -> Any:
    """Return the points (N, K, 2) that `analyze` would find nearest each truth."""
    import numpy as np

    from ..errors import VidfilterError

    with tempfile.TemporaryDirectory(prefix="vidfilter-eval-") as name:
        places: dict[Path, str] = {}
        for face in faces:
            path = face.image.resolve()
            if path not in places:
                places[path] = f"{len(places):07d}{path.suffix}"
                (Path(name) / places[path]).symlink_to(path)
        seen: dict[str, list[Any]] = {}
        for number, frame in enumerate(_run(Path(name), model), 1):
            points = [face.landmarks_px for face in frame.faces]
            seen[frame.tags["file"]] = [found for found in points if found is not None]
            progress(number * len(faces) / len(places))
    for path, link in places.items():
        if link not in seen:
            raise VidfilterError(f"{path}: not a readable image")
    rows = [judge.nearest(face, seen.get(places[face.image.resolve()], ())) for face in faces]
    return np.stack(rows)


def _run(folder: Path, model: str) -> Any:
    from ..runner import Pipeline

    stages = {"detect": {}, "landmarks": {"model": model}, "smooth": {}, "appsink": {}}
    return Pipeline.line(capture=str(folder), **stages).frames()
