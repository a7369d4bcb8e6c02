"""Placeholder sink that becomes a window, a file, a virtual camera or nothing before the start."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ..pipeline import stage
from ..pipeline.errors import DeviceError
from ..pipeline.outputs import part_path
from ..pipeline.registry import register_stage
from ..pipeline.stage import Resolution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..pipeline.frame import Frame


@register_stage("sink")
class AutoSink(stage.Sink):
    """Choose a sink: a window where there is a screen, else a new file in the current folder.

    The builder calls `resolve` before anything is opened and puts the stage it names in place of
    this one, so no frame ever comes here.
    """

    class Params(stage.Params):
        """Properties of `sink`."""

        kind: Literal["auto", "window", "file", "virtualcam", "null"] = Field(
            "auto", description="which sink; auto = a window where there is a screen, else a file"
        )
        duration: float = Field(
            10.0,
            gt=0,
            description="how long the test face is recorded where auto chose a file",
            json_schema_extra={"unit": "s"},
        )

    shorthand: ClassVar[str | None] = "kind"

    @classmethod
    def resolve(cls, params: AutoSink.Params, hints: Mapping[str, Any]) -> Resolution:
        """Return what to use instead; `hints["source"]` is camera, test, file, image, ...;
        `hints["duration"]` is the source's own limit in seconds, where it has one, and
        `hints["taken"]` the paths of other stages.

        A new file is free at the time of asking. Raises DeviceError where only a recording of a
        camera is left that nobody asked for.
        """
        if params.kind == "file":
            return _new_file(params, hints, "as asked")
        if params.kind != "auto":
            return Resolution(params.kind, {}, f"{params.kind}, as asked")
        return cls._auto(params, hints)

    @classmethod
    def _auto(cls, params: AutoSink.Params, hints: Mapping[str, Any]) -> Resolution:
        from ._screens import screen_available

        driver = screen_available()
        if driver is not None:
            return Resolution("window", {}, f"a window, because there is a screen ({driver})")
        if hints.get("source") == "camera":
            raise DeviceError(
                "there is no screen to show the camera on, and a camera is recorded only when "
                "asked: add `--output out.mp4` or `--sink file`"
            )
        return _new_file(params, hints, "because there is no screen")

    def write(self, frame: Frame) -> None:
        """Refuse: the builder replaces this stage."""
        raise NotImplementedError("`sink` must be resolved before the pipeline starts")


def _new_file(params: AutoSink.Params, hints: Mapping[str, Any], why: str) -> Resolution:
    path = free_path(hints.get("taken", ()))
    if hints.get("source") != "test":
        return Resolution("file", {"path": path}, f"writing {path}, {why}")
    length_s = hints.get("duration") or params.duration
    reason = f"writing {length_s:g} s of the test face to {path}, {why}"
    return Resolution("file", {"path": path}, reason, {"duration": params.duration})


def free_path(taken: Iterable[str | Path] = ()) -> str:
    """Return the first `vidfilter-NNN.mp4` that is not `taken`, there or being written."""
    others = {os.path.abspath(path) for path in taken}  # noqa: PTH100 - takes any text
    for number in count(1):
        path = Path(f"vidfilter-{number:03d}.mp4")
        if str(path.absolute()) in others or path.exists() or part_path(path).exists():
            continue
        return str(path)
    raise AssertionError  # numbers do not end
