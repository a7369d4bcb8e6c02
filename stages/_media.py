"""Media files: how they are opened, and what frames tell of the one they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from av.container import InputContainer, OutputContainer


@dataclass(slots=True, eq=False)
class MediaInfo:
    """One media file; every frame read from it carries the same object as `tags["media"]`.

    `complete` turns true once the file was read to its end: only then do its other tracks belong
    in the output to their own ends. `average_rate` in frames per second is a hint for encoders
    where the rate varies.
    """

    path: str
    average_rate: Fraction | None = None
    complete: bool = False


def open_input(name: str, **arguments: Any) -> InputContainer:
    """Open `name`, a path or URL, for reading; raises what FFmpeg raises.

    A path is marked as one: FFmpeg would take `a:b.mp4` for protocol `a`. Titles in unknown
    encodings are no reason to refuse a file.
    """
    url = name if "://" in name else f"file:{name}"
    container: InputContainer = av.open(url, metadata_errors="replace", **arguments)
    return container


def open_output(path: Path, format_name: str, options: dict[str, str]) -> OutputContainer:
    """Open `path` for writing; raises what FFmpeg raises."""
    container: OutputContainer = av.open(
        f"file:{path}", "w", format=format_name, container_options=options
    )
    return container
