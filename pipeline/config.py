"""pipeline.yaml and the command line's overrides -> PipelineSpec, or an error of one line.

Everything that YAML and flags can get wrong is found here, before any media or device is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import _draft, _validate
from ._yaml import MAX_BYTES, Node, parse, refuse
from .errors import ConfigError
from .registry import unknown
from .spec import PipelineSpec

DEFAULT_PIPELINE = Path(__file__).with_name("default.yaml")
VERSION = 1
_KEYS = ("version", "stages", "stall_timeout", "first_frame_timeout")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line changes: see `vidfilter run --help`.

    `sets` holds `id.key=value` texts; `duration_s` in seconds; `overwrite` allows every sink to
    replace an existing file; `tracks` is a tracks.jsonl that takes the place of the models.
    """

    sets: tuple[str, ...] = ()
    input: str | None = None
    output: str | None = None
    sink: str | None = None
    filter: str | None = None
    duration_s: float | None = None
    tracks: str | None = None
    overwrite: bool = False


def load(path: str | Path, *, overrides: Overrides | None = None) -> PipelineSpec:
    """Read a pipeline from a YAML file; raises ConfigError with file, line and column."""
    name = str(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{name}: no such file; give the path of a pipeline.yaml") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{name}: cannot be read: {reason}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_BYTES // 1000} kB; this is no pipeline.yaml")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: not UTF-8 text (byte {error.start})") from error
    return loads(text, where=name, overrides=overrides)


def loads(
    text: str, *, where: str = "<pipeline>", overrides: Overrides | None = None
) -> PipelineSpec:
    """Read a pipeline from YAML text; `where` names it in errors. Raises ConfigError."""
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{where}: larger than {MAX_BYTES // 1000} kB")
    root = parse(text, where)
    top = _top_level(root, where)
    draft = _draft.read(top["stages"])
    if overrides is not None:
        from ._overrides import apply

        apply(draft, overrides)
    timeouts: dict[str, Any] = {
        f"{key}_s": _seconds(top[key], key)
        for key in ("stall_timeout", "first_frame_timeout")
        if key in top
    }
    spec = PipelineSpec(_validate.check(draft), where=where)
    return replace(spec, **timeouts)


def _top_level(root: Node, where: str) -> dict[str, Node]:
    if not isinstance(root.value, dict):
        what = "is empty" if root.value is None else "holds no mapping"
        raise refuse(root.where, f"{what}; a pipeline begins with 'version: 1' and 'stages:'")
    for key, node in root.value.items():
        if key not in _KEYS:
            raise refuse(node.key_where, unknown("key", key, _KEYS))
    if "version" not in root.value:
        raise refuse(root.where, f"'version: {VERSION}' is missing")
    version = root.value["version"]
    if version.value is True or version.value != VERSION:
        raise refuse(version.where, f"version must be {VERSION}, got {version.text or 'a list'}")
    if "stages" not in root.value:
        raise refuse(root.where, "'stages:' is missing: the list of stages, source first")
    return root.value


def _seconds(node: Node, key: str) -> float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 86400:
        raise refuse(node.where, f"{key} must be a number above 0 to 86400 s, got {node.text!r}")
    return float(value)
