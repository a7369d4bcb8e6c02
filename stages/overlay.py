"""Draw a face filter on the picture, in the frame's own format and only where it shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from ..pipeline import stage
from ..pipeline.registry import module, register_stage
from ._choice import SELECTIONS, Choice
from ._threads import keep_opencv_single

if TYPE_CHECKING:
    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame


@register_stage("overlay")
class Overlay(stage.Transform):
    """Draws `filter` on the chosen faces of each frame; other frames pass as they are."""

    shorthand: ClassVar[str | None] = "filter"
    reads_traits: ClassVar[bool] = False
    keeps_pictures: ClassVar[bool] = False
    actions: ClassVar[frozenset[str]] = frozenset({"next_filter", "previous_filter"})

    class Params(stage.Params):
        """Properties of `overlay`."""

        filter: str = Field(
            default="glasses", description="name of a filter, or path to a filter's folder"
        )
        faces: str | int = Field(
            default="all", description="which faces: all, largest, leftmost, or a face's id"
        )
        opacity: float = Field(
            default=1.0, ge=0, le=1, description="1 = as drawn; a filter that hides ignores it"
        )

        @field_validator("filter")
        @classmethod
        def _can_be_read(cls, value: str) -> str:
            module("filters", "reading").read_filter(value)
            return value

        @field_validator("faces")
        @classmethod
        def _is_a_choice(cls, value: str | int) -> str | int:
            text = str(value)
            if text in SELECTIONS:
                return text
            if not text.isdecimal():
                raise ValueError(f"{value!r} is none of {', '.join(SELECTIONS)} or a face's id")
            return int(text)

    def __init__(self, params: Params, context: stage.Context) -> None:
        super().__init__(params, context)
        self.options = params
        self._caps: Caps | None = None
        self._painter: Any = None
        self._choice = Choice(params.faces)

    def start(self, caps: Caps) -> Caps:
        """Load the filter and make its art ready for `caps`."""
        keep_opencv_single()
        self._caps = caps
        self._load()
        return caps

    def process(self, frame: Frame) -> Frame:
        """Return the frame with the filter drawn; the same object where nothing is drawn."""
        drawn = self._painter.draw(frame, self._choice.among(frame.faces))
        result: Frame = drawn.frame
        return result

    def stop(self) -> None:
        """Forget the art and what was remembered of faces."""
        self._painter = None

    def set_property(self, name: str, value: Any) -> None:
        """Change filter, faces or opacity; `next_filter` and `previous_filter` take no value."""
        if name in ("next_filter", "previous_filter"):
            name, value = "filter", self._neighbour(1 if name == "next_filter" else -1)
        if name not in type(self.options).model_fields:
            super().set_property(name, value)
        # Validated as from a file: a copy with an update would not be.
        self.options = type(self.options)(**{**self.options.model_dump(), name: value})
        if name == "faces":
            self._choice = Choice(self.options.faces)
        elif self._caps is not None:
            self._load()

    def _load(self) -> None:
        chosen = module("filters", "engine").load_filter(self.options.filter)
        self._painter = chosen.painter(self._caps, self.options.opacity)
        self.context.request("filter", Path(self.options.filter).name)  # for a window's title

    def _neighbour(self, step: int) -> str:
        names: tuple[str, ...] = module("filters", "reading").filter_names()
        current = self.options.filter
        # From a folder of the user's own, one goes to the first or the last of ours.
        start = names.index(current) if current in names else (-1 if step > 0 else 0)
        return names[(start + step) % len(names)]
