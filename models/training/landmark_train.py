"""Train the landmark network: `python -m vidfilter.models.training.landmark_train`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from ...pipeline.errors import ConfigError, VidfilterError
from .landmark_dataset import FaceCache, load_or_build, read_cache
from .landmark_loop import Run, Settings
from .landmark_mine import save_mined


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Train the face landmark network.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--cache", type=Path, help="folder of decoded faces (default: OUT)")
    parser.add_argument("--minutes", type=float, default=Settings().minutes)
    parser.add_argument("--size", type=int, default=Settings().size, help="side of the crop in px")
    parser.add_argument("--seed", type=int, default=Settings().seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="continue OUT/last.pt")
    parser.add_argument("--smoke", action="store_true", help="a few seconds, to see that it works")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    try:
        _start(options).train(_say)
    except VidfilterError as error:
        parser.exit(1, f"error: {error}\n")
    return 0


def _start(options: argparse.Namespace) -> Run:
    settings = Settings(minutes=options.minutes, size=options.size, seed=options.seed)
    if options.smoke:
        settings = replace(settings, minutes=0.25, batch=8)
    checkpoint = options.out / "last.pt"
    if checkpoint.exists() and not options.resume:
        raise ConfigError(f"{checkpoint} exists: --resume continues it, or choose another folder")
    options.out.mkdir(parents=True, exist_ok=True)
    faces = training_faces(options.data, options.cache or options.out)
    run = Run(options.out, faces, settings)
    if options.resume:
        run.resume(checkpoint)
    return run


def training_faces(data: Path, folder: Path) -> FaceCache:
    """Return the faces of `data` and the false alarms of the shipped detector on its pictures.

    Both are built on first use and kept in `folder`, as `faces.npz` and `mined.npz`.
    """
    faces = load_or_build(data, folder)
    mined = folder / "mined.npz"
    if not mined.is_file() and (data / "facedet" / "boxes.csv").is_file():
        save_mined(data, mined)
    return joined(faces, read_cache(mined)) if mined.is_file() else faces


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def joined(first: FaceCache, second: FaceCache) -> FaceCache:
    """Return the samples of both caches."""
    return FaceCache(
        np.concatenate((first.images, second.images)),
        np.concatenate((first.kind, second.kind)),
        np.concatenate((first.roll, second.roll)),
        {key: np.concatenate((first.points[key], second.points[key])) for key in first.points},
        first.names + second.names,
        np.concatenate((first.held_out, second.held_out)),
    )


if __name__ == "__main__":
    raise SystemExit(main())
