"""What a `filter.yaml` may say. A filter is data; unknown keys are refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from ..pipeline.registry import module, unknown


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
