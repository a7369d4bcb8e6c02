"""Media files: how they are opened, and what frames tell of the one they come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
from av.stream import Disposition

from ..pipeline.errors import DecodeError, MediaError

if TYPE_CHECKING:
    from fractions import Fraction

    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

    from ._packet_lane import PacketLane

# To connect, and to send something more: less than the watchdog's patience, which knows no reason.
NETWORK_TIMEOUT_S = (10.0, 8.0)
# By the device a file that is redirected can be sought in; Windows has none, but FFmpeg's own name.
STDIN = "pipe:0" if os.name == "nt" else "/dev/stdin"


@dataclass(slots=True, eq=False)
class MediaInfo:
    """One medium; every frame read from it carries the same object as `tags["media"]`.

    `complete` turns true once it was read to its end: only then do its other tracks belong in the
    output to their own ends. `average_rate` in frames per second is a hint for encoders where the
    rate varies. `lane` has the other tracks of what can, or should, be read only once; None where
    a sink may read `path` again for itself. `limit_s` is how much of it is wanted at most.
    """

    path: str
    average_rate: Fraction | None = None
    complete: bool = False
    lane: PacketLane | None = None
    limit_s: float | None = None


def open_input(name: str, **arguments: Any) -> InputContainer:
    """Open `name`, a path or URL, for reading; raises what FFmpeg raises.

    A path is marked as one: FFmpeg would take `a:b.mp4` for protocol `a`. Titles in unknown
    encodings are no reason to refuse a file. An address that does not answer is given up.
    """
    url = name if "://" in name or name == "pipe:0" else f"file:{name}"
    if "://" in name:
        arguments.setdefault("timeout", NETWORK_TIMEOUT_S)
    if url.startswith(("http://", "https://")):
        # Over a connection closed after each answer FFmpeg 8 now and then fails to go back to the
        # beginning, and then finds no packet at all.
        arguments.setdefault("options", {"multiple_requests": "1"})
    container: InputContainer = av.open(url, metadata_errors="replace", **arguments)
    return container


def films_of(container: InputContainer) -> list[VideoStream]:
    """Return the video tracks that can be decoded, without covers."""
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]


@dataclass(frozen=True, slots=True)
class FilmFacts:
    """What a medium says of the video track that is read, such as its language."""

    metadata: dict[str, str]
    disposition: Disposition


def film_facts(container: InputContainer) -> FilmFacts:
    """Return what `container` says of its first video track."""
    for film in films_of(container):
        return FilmFacts(dict(film.metadata), film.disposition)
    return FilmFacts({}, Disposition(0))


def open_output(path: Path, format_name: str, options: dict[str, str]) -> OutputContainer:
    """Open `path` for writing; raises what FFmpeg raises."""
    container: OutputContainer = av.open(
        f"file:{path}", "w", format=format_name, container_options=options
    )
    return container


def open_container(name: str, **arguments: Any) -> InputContainer:
    """Open `name` for reading; raises DecodeError that says what is wrong with it."""
    try:
        return open_input(name, **arguments)
    except av.error.InvalidDataError:
        if _is_mp4(name):
            raise DecodeError(
                f"{name} is cut off before its index (moov): its recording or copying did not end"
            ) from None
        if "://" in name:
            raise MediaError(f"cannot open {name}: no video came from there") from None
        raise DecodeError(f"{name} is no video, picture or other media file") from None
    except av.error.ProtocolNotFoundError:
        raise MediaError(f"cannot open {name}: {_way_round(name)}") from None
    except av.error.EOFError:
        raise MediaError(f"cannot open {name}: it is empty") from None
    except (av.error.FFmpegError, OSError) as exc:
        raise MediaError(f"cannot open {name}: {reason_of(exc)}") from None


def _way_round(url: str) -> str:
    """Return what to do with a protocol that PyAV's FFmpeg lacks, such as SRT."""
    scheme = url.partition("://")[0]
    text = f"the FFmpeg that is built in does not speak {scheme}"
    if not scheme.isalnum() or "'" in url:
        return text
    command = f"ffmpeg -i '{url}' -c copy -f mpegts - | vidfilter run -i -"
    return f"{text}; another one may: `{command}`"


def reason_of(error: Exception) -> str:
    """Return why reading failed, in words."""
    if isinstance(error, av.error.ExitError):
        return "there is no answer"
    return getattr(error, "strerror", None) or str(error)


def _is_mp4(name: str) -> bool:
    path = Path(name)
    try:
        if not path.is_file():  # opening a pipe again would wait for somebody to write
            return False
        with path.open("rb") as file:
            return file.read(8)[4:] == b"ftyp"
    except (OSError, ValueError):
        return False


def check_readable(path: Path) -> None:
    """Raise MediaError where `path` is no file that could hold anything."""
    problem = ""
    try:
        if path.stat().st_size == 0 and path.is_file():
            problem = "it is empty"
    except FileNotFoundError:
        problem = "it does not exist"
    except (OSError, ValueError) as exc:  # ValueError: a null character in the name
        problem = getattr(exc, "strerror", None) or str(exc)
    if problem:
        raise MediaError(f"cannot open {path}: {problem}")
