"""The lines of a tracks file, one JSON object per frame, and what file they belong to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipeline.frame import F32, Face, Pose
from ._images import is_picture

if TYPE_CHECKING:
    from ..pipeline.frame import Frame

MAX_LINE_BYTES = 16 * 2**20
_SCHEMES = {68: "ibug68", 194: "helen194"}
_CHUNK = 2**20


def meta_path(path: Path) -> Path:
    """Return where the facts about a tracks file stand: `tracks.jsonl.meta.json`."""
    return path.with_name(f"{path.name}.meta.json")


def identify(path: str | Path) -> dict[str, Any] | None:
    """Return name, bytes and sha256 of a file, or of a folder's pictures; None for all else."""
    source = Path(path)
    if source.is_file():
        files = [source]
    elif source.is_dir():
        files = sorted(entry for entry in source.iterdir() if is_picture(entry) and entry.is_file())
    else:
        return None
    digest, size = hashlib.sha256(), 0
    for file in files:
        if file is not source:
            digest.update(file.name.encode() + b"\0")
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    return {"name": source.name, "bytes": size, "sha256": digest.hexdigest()}


def source_of(frame: Frame) -> str | None:
    """Return the path of the medium that `frame` came from, None where there is none."""
    path = frame.tags.get("source") or getattr(frame.tags.get("media"), "path", None)
    return None if path is None else str(path)


def encode(frame: Frame) -> str:
    """Return the line of `frame`, without its end; coordinates in px of the whole picture."""
    row: dict[str, Any] = {"seq": frame.seq, "pts": frame.pts, "time_s": round(frame.time_s, 6)}
    if "file" in frame.tags:
        row["file"] = str(frame.tags["file"])
    row["faces"] = [_face_row(face) for face in frame.faces]
    return json.dumps(row, separators=(",", ":"), allow_nan=False)


def _face_row(face: Face) -> dict[str, Any]:
    pose = face.pose
    return {
        "id": face.track_id,
        "box_xyxy_px": _rounded(face.box_xyxy_px, 2),
        "score": round(float(face.score), 4),
        "landmarks_px": _rounded(face.landmarks_px, 2),
        "visibility": _rounded(face.visibility, 3),
        "pose": pose
        and {
            "yaw_deg": round(pose.yaw_deg, 2),
            "pitch_deg": round(pose.pitch_deg, 2),
            "roll_deg": round(pose.roll_deg, 2),
        },
        "expressions": {name: round(value, 3) for name, value in face.expressions.items()},
    }


def _rounded(values: F32 | None, digits: int) -> Any:
    return None if values is None else np.round(values.astype(np.float64), digits).tolist()


def decode(line: str | bytes) -> tuple[dict[str, Any], tuple[Face, ...]]:
    """Return the object and the faces of a line; raises ValueError that says what is wrong."""
    row = json.loads(line)
    if not isinstance(row, dict) or not isinstance(row.get("faces"), list):
        raise ValueError("expected an object with a list of faces")
    if type(row.get("pts")) is not int:
        raise ValueError("pts is missing or no integer")
    try:
        return row, tuple(_face(face) for face in row["faces"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a face is incomplete: {error}") from None


def _face(row: dict[str, Any]) -> Face:
    points = _array(row["landmarks_px"], (None, 2), "landmarks_px")
    if points is not None and len(points) not in _SCHEMES:
        raise ValueError(f"landmarks_px has {len(points)} points, expected 68 or 194")
    box = _array(row["box_xyxy_px"], (4,), "box_xyxy_px")
    if box is None:
        raise ValueError("box_xyxy_px is missing")
    visibility = _array(row.get("visibility"), (None,), "visibility")
    pose = row.get("pose")
    return Face(
        int(row["id"]),
        box,
        float(row["score"]),
        points,
        visibility,
        pose and Pose(*(float(pose[key]) for key in ("yaw_deg", "pitch_deg", "roll_deg"))),
        {str(name): float(value) for name, value in (row.get("expressions") or {}).items()},
        scheme=_SCHEMES[68 if points is None else len(points)],
    )


def _array(values: Any, shape: tuple[int | None, ...], name: str) -> F32 | None:
    """Return `values` as float32 of `shape`, None = any length; raises ValueError."""
    if values is None:
        return None
    try:
        array = np.array(values, np.float32)
    except (ValueError, TypeError):
        raise ValueError(f"{name} is no array of numbers") from None
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or not np.isfinite(array).all():
        raise ValueError(f"{name} has shape {array.shape}, or values that are not finite")
    return array
