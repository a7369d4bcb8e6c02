"""Read a filter's folder: its `filter.yaml` into checked values, without opening its pictures.

Missing art, paths outside the folder and oversized pictures are refused with file and line.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ..pipeline.errors import ConfigError, RegistryError
from ..pipeline.registry import unknown
from .spec import FilterSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
DESCRIPTION = "filter.yaml"
MAX_YAML_BYTES = 64 * 1024
MAX_ART_BYTES = 8 * 1024 * 1024
MAX_ART_SIDE_PX = 2048
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def filter_names() -> tuple[str, ...]:
    """Return the names of the filters that come with the program, sorted."""
    return tuple(sorted(path.parent.name for path in HERE.glob(f"*/{DESCRIPTION}")))


def filter_folder(name_or_path: str) -> Path:
    """Return the folder of a filter by name or path; raises RegistryError or ConfigError."""
    if Path(name_or_path).name != name_or_path or name_or_path in (".", ".."):
        folder = Path(name_or_path).expanduser()
        if not (folder / DESCRIPTION).is_file():
            raise ConfigError(f"{name_or_path}: a filter folder with a {DESCRIPTION} is needed")
        return folder
    if name_or_path not in filter_names():
        raise RegistryError(unknown("filter", name_or_path, filter_names()))
    return HERE / name_or_path


def read_filter(name_or_path: str) -> tuple[Path, FilterSpec]:
    """Return folder and description of a filter, its art checked but not decoded.

    Raises RegistryError for an unknown name, ConfigError with file, line and column otherwise.
    """
    folder = filter_folder(name_or_path)
    path = folder / DESCRIPTION
    tree = _read_yaml(path)
    try:
        spec = FilterSpec.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{path}:{_explain(error, tree)}") from None
    _check_art(path, tree, spec)
    return folder, spec


def _read_yaml(path: Path) -> Any:
    if path.stat().st_size > MAX_YAML_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_YAML_BYTES} bytes")
    try:
        tree = YAML(typ="rt", pure=True).load(path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{mark.line + 1}:{mark.column + 1}:" if mark else ""
        raise ConfigError(f"{path}:{where} {getattr(error, 'problem', error)}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}:1:1: expected the keys version, title, licence and layers")
    return tree


def _explain(error: ValidationError, tree: Any) -> str:
    """Return the place and text of what to mend first: a misspelt key before a missing one."""
    errors = error.errors(include_url=False)
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        text = f"unknown key {str(first['loc'][-1])!r}"
        if missing := [str(e["loc"][-1]) for e in errors if e["type"] == "missing"]:
            text += f" ({', '.join(missing)} missing)"
    name = ".".join(str(part) for part in first["loc"])
    return f"{_line(tree, first['loc'])} {name}: {text}" if name else f"{_line(tree, ())} {text}"


def _line(tree: Any, location: Sequence[int | str]) -> str:
    """Return "line:column:" of the deepest known part of `location` in a round-trip tree."""
    line, column = 0, 0
    for key in location:
        try:
            line, column = tree.lc.data[key][:2]
            tree = tree[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return f"{line + 1}:{column + 1}:"


def _check_art(path: Path, tree: Any, spec: FilterSpec) -> None:
    for index, layer in enumerate(spec.layers):
        if layer.sticker is not None:
            try:
                art_file(path.parent, layer.sticker.image)
            except ConfigError as error:
                where = _line(tree, ("layers", index, "sticker", "image"))
                raise ConfigError(f"{path}:{where} {error}") from None


def art_file(folder: Path, image: str) -> Path:
    """Return the path of a PNG of `folder` after looking at its header; raises ConfigError."""
    path = (folder / image).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ConfigError(f"{image}: art must lie inside the filter's folder")
    if not path.is_file():
        raise ConfigError(f"{image}: no such picture in the filter's folder")
    if path.stat().st_size > MAX_ART_BYTES:
        raise ConfigError(f"{image}: larger than {MAX_ART_BYTES} bytes")
    with path.open("rb") as file:
        header = file.read(24)
    if len(header) < 24 or not header.startswith(PNG_SIGNATURE):
        raise ConfigError(f"{image}: not a PNG picture")
    width, height = struct.unpack(">II", header[16:24])
    if not (0 < width <= MAX_ART_SIDE_PX and 0 < height <= MAX_ART_SIDE_PX):
        raise ConfigError(f"{image}: {width}x{height} is larger than {MAX_ART_SIDE_PX} px a side")
    return path
