"""What a filter folder says: `filter.yaml` read into checked values, without opening its pictures.

A filter is data. Unknown keys, missing art, paths outside the folder and oversized pictures are
refused with file and line.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ..pipeline.errors import ConfigError, RegistryError
from ..pipeline.registry import module, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
DESCRIPTION = "filter.yaml"
MAX_YAML_BYTES = 64 * 1024
MAX_ART_BYTES = 8 * 1024 * 1024
MAX_ART_SIDE_PX = 2048
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Strict(BaseModel):
    """Base of everything in filter.yaml: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _known_place(text: str) -> str:
    regions = ("eyes", *module("models", "topology").topology("ibug68").regions)
    name, at, fraction = text.partition("@")
    if name not in regions:
        raise ValueError(unknown("region", name, tuple(regions)))
    if at and not re.fullmatch(r"0(\.\d+)?|1(\.0+)?", fraction):
        raise ValueError(f"{text!r}: after @ comes a fraction of the region's points, 0 to 1")
    return text


def _known_region(text: str) -> str:
    if "@" in text or text == "eyes":
        raise ValueError(f"{text!r} is a place; a region is needed here, such as lips.outer")
    return _known_place(text)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _flat(value: Any) -> Any:
    return [*value, 0.0] if isinstance(value, list) and len(value) == 2 else value


Place = Annotated[str, AfterValidator(_known_place)]
"""Where on a face: `eyes` (midway between them), a region (its centre), or `region@fraction`."""
Places = Annotated[tuple[Place, ...], BeforeValidator(_listed), Field(min_length=1, max_length=8)]
"""One place, or several to go midway between."""
Region = Annotated[str, AfterValidator(_known_region)]
Pixel = tuple[float, float]
Offset = Annotated[tuple[float, float, float], BeforeValidator(_flat)]
"""Across, down and, if given, ahead (towards the camera), in distances of the outer eye corners."""
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Sticker(Strict):
    """A picture fixed to the face.

    The pixel `pivot_px` of the art (its centre if not given) lies at `at` + `offset`; the art is
    `width` wide. With `stretch_to` the pixel `end_px` lies there as well. Offsets and widths count
    distances between the outer eye corners. `follow: affine` narrows the art as the head turns.
    """

    image: str
    at: Places
    offset: Offset = (0.0, 0.0, 0.0)
    width: float = Field(gt=0, le=20)
    pivot_px: Pixel | None = None
    follow: Literal["similarity", "affine"] = "similarity"
    stretch_to: Place | None = None
    stretch_offset: Offset = (0.0, 0.0, 0.0)
    end_px: Pixel | None = None

    @model_validator(mode="after")
    def _stretch_needs_both_ends(self) -> Sticker:
        if self.stretch_to and not (self.pivot_px and self.end_px):
            raise ValueError("stretch_to needs pivot_px and end_px, the two pixels to pin")
        if self.pivot_px is not None and self.pivot_px == self.end_px:
            raise ValueError("pivot_px and end_px must differ")
        return self


class Recolor(Strict):
    """Colour one region, less another, keeping its light and shade; edges are soft."""

    region: Region
    without: Region | None = None
    colour: Colour
    strength: Share = 0.6
    shade: Share = 0.5
    soften: float = Field(default=0.03, ge=0, le=0.5)


class Pixelate(Strict):
    """Hide heads behind a mosaic, and the whole picture while a face is lost.

    `grow` is the mosaic's width over the extent of the face's points; at least `blocks` / 1.5
    blocks cross these. A lost face is held for `hold_s`, then all is hidden for up to `hide_s`.
    """

    grow: float = Field(default=2.0, ge=1, le=4)
    blocks: int = Field(default=8, ge=2, le=16)
    hold_s: float = Field(default=1.0, ge=0, le=60)
    hide_s: float = Field(default=5.0, ge=0, le=600)


class Inset(Strict):
    """Show a region of the face again elsewhere, alive, with soft edges.

    It lies at `at` + `offset`, enlarged by `scale`; `grow` is how far the cut reaches beyond the
    region, `blend` how much the skin around takes the colour of what lies below.
    """

    region: Region
    at: Places = ("eyes",)
    offset: Offset = (0.0, 0.0, 0.0)
    scale: float = Field(default=1.0, gt=0, le=5)
    grow: float = Field(default=0.1, ge=0, le=1)
    soften: float = Field(default=0.06, ge=0, le=0.5)
    blend: Share = 0.8


class Points(Strict):
    """Draw the landmarks, the box, the id and the score."""

    colour: Colour = "#39ff88"
    box_colour: Colour = "#ffb020"
    radius: float = Field(default=0.012, gt=0, le=0.2)


LayerSpec = Sticker | Recolor | Pixelate | Inset | Points


class Layer(Strict):
    """One layer: exactly one of the kinds."""

    sticker: Sticker | None = None
    recolor: Recolor | None = None
    pixelate: Pixelate | None = None
    inset: Inset | None = None
    points: Points | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Layer:
        if len(self.model_fields_set) != 1 or self.spec is None:
            raise ValueError(f"a layer is one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def spec(self) -> LayerSpec | None:
        """The layer itself."""
        return self.sticker or self.recolor or self.pixelate or self.inset or self.points


class FilterSpec(Strict):
    """A whole filter.yaml."""

    version: Literal[1]
    title: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=400)
    licence: str = Field(min_length=1, max_length=80)
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=32)


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
