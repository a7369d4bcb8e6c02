"""Load a network with what is known about it: `weights/NAME.onnx` beside `weights/NAME.json`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from ..pipeline.errors import WeightsError

WEIGHTS = Path(__file__).parent / "weights"
MAX_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network ready to run; `spec` is its JSON, `sha256` that of the ONNX file."""

    name: str
    session: ort.InferenceSession
    spec: dict[str, Any]
    sha256: str

    @property
    def input_name(self) -> str:
        """Name of the network's only input."""
        return str(self.session.get_inputs()[0].name)

    @property
    def output_names(self) -> list[str]:
        """Names of the network's outputs, in order."""
        return [str(output.name) for output in self.session.get_outputs()]


def load_model(weights: str | Path, threads: int = 1) -> Model:
    """Load the shipped network `weights`, or the ONNX file at that path.

    A path needs its spec beside it (`x.onnx`, `x.json`). Raises WeightsError where a file is
    missing or damaged, or where the ONNX is not the one that the spec's `sha256` names.
    """
    path = _locate(weights)
    data = read_file(path)
    spec = read_spec(path.with_suffix(".json"))
    digest = hashlib.sha256(data).hexdigest()
    if digest != spec.get("sha256"):
        raise WeightsError(f"{path} is not the network that {path.stem}.json describes (sha256)")
    return Model(path.stem, open_session(path, data, threads), spec, digest)


def available() -> tuple[str, ...]:
    """Return the names of the networks shipped with the package, sorted."""
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.onnx")))


def open_session(path: Path, data: bytes, threads: int = 1) -> ort.InferenceSession:
    """Return a session of the network `data` read from `path`, which a WeightsError names."""
    try:
        return ort.InferenceSession(data, session_options(threads), ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime derives its own errors from Exception itself
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{path} is no usable ONNX network: {reason}") from error


def session_options(threads: int = 1) -> ort.SessionOptions:
    """Return options for `threads` intra-op threads that sleep, not spin, between runs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def read_spec(path: Path) -> dict[str, Any]:
    """Read a network's JSON spec; raises WeightsError naming the file."""
    text = read_file(path)
    try:
        spec = json.loads(text)
    except ValueError as error:
        raise WeightsError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(spec, dict):
        raise WeightsError(f"{path} holds {type(spec).__name__}, expected an object")
    return spec


def _locate(weights: str | Path) -> Path:
    """Turn a shipped name or a path into the path of an ONNX file."""
    path = Path(weights)
    if path.suffix == ".onnx":
        return path
    shipped = WEIGHTS / f"{weights}.onnx"
    if path.name != str(weights) or not shipped.is_file():
        known = ", ".join(available()) or "none"
        raise WeightsError(f"no network {str(weights)!r} (shipped: {known}; or give a .onnx file)")
    return shipped


def read_file(path: Path) -> bytes:
    """Return what a file of weights holds; WeightsError where it is missing or too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WeightsError(f"{path} is larger than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from error
