"""Containers and codecs the file sink writes, and what each asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

_MIN_SCALE, _MAX_SCALE = 10_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Container:
    """One kind of file; the last two codecs are for tracks that it cannot hold as they are."""

    name: str
    video_codecs: tuple[str, ...]
    audio_codec: str
    text_codec: str
    options: dict[str, str] = field(default_factory=dict)

    def options_for(self, unit: Fraction) -> dict[str, str]:
        """Return the muxer's options for video that is counted in `unit` seconds."""
        if self.name not in ("mp4", "mov"):
            return self.options
        # What a track waits before it begins is counted in a unit of the whole file, 1 ms unless
        # told: too coarse for 1/90000 s.
        scale = min(unit.denominator, _MAX_SCALE)
        while scale < _MIN_SCALE:
            scale *= 2
        return {**self.options, "movie_timescale": str(scale)}


# Packets reach the disk at once and never wait long for another track, so that a killed run
# leaves all but its last seconds.
_SAFE = {"flush_packets": "1", "max_interleave_delta": "300000"}
# Fragments while writing; at the end they become one index, in place. The index waits for the
# first packets, since their times belong in it.
_MP4 = {**_SAFE, "movflags": "hybrid_fragmented+frag_keyframe+delay_moov"}
# Audio that begins before 0 stays there instead of shifting the video.
_MATROSKA = {**_SAFE, "avoid_negative_ts": "disabled"}

_MP4_CODECS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9")
CONTAINERS = {
    ".mp4": Container("mp4", _MP4_CODECS, "aac", "mov_text", _MP4),
    ".m4v": Container("mp4", _MP4_CODECS, "aac", "mov_text", _MP4),
    ".mov": Container("mov", ("libx264", "libx265"), "aac", "mov_text", _MP4),
    ".mkv": Container("matroska", (*_MP4_CODECS, "ffv1"), "libopus", "subrip", _MATROSKA),
    ".webm": Container("webm", ("libvpx-vp9", "libsvtav1"), "libopus", "webvtt", _MATROSKA),
}
VIDEO_CODECS = tuple(dict.fromkeys(c for kind in CONTAINERS.values() for c in kind.video_codecs))
SMALLEST = {"libx265": 16, "libsvtav1": 4}  # width and height in px; others take any
_DEFAULT_CRF = {"libx264": 23, "libx265": 26, "libvpx-vp9": 32, "libsvtav1": 32}


def container_of(path: Path) -> Container:
    """Return the container that the name of `path` asks for; raises ValueError listing all."""
    kind = CONTAINERS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(CONTAINERS)
        raise ValueError(f"{path.name!r} has no known video extension (known: {known})")
    return kind


def codec_of(path: Path, codec: str) -> str:
    """Return the codec to use for `path`, `auto` resolved; raises ValueError where none fits."""
    kind = container_of(path)
    if codec == "auto":
        return kind.video_codecs[0]
    if codec not in VIDEO_CODECS:
        raise ValueError(f"unknown codec {codec!r} (known: auto, {', '.join(VIDEO_CODECS)})")
    if codec not in kind.video_codecs:
        fits = ", ".join(kind.video_codecs)
        raise ValueError(f"{path.suffix} files do not take {codec} (they take: {fits})")
    return codec


def encoder_options(
    codec: str, preset: str, crf: float | None, rate: float | None
) -> dict[str, str]:
    """Return the private options of `codec`; `rate` in frames per second where known."""
    quality = {"crf": f"{_DEFAULT_CRF.get(codec, 0) if crf is None else crf:g}"}
    match codec:
        case "libx264":
            return {"preset": preset, **quality, **_short_lookahead(rate)}
        case "libx265":
            return {"preset": preset, **quality, "x265-params": "log-level=error"}
        case "libvpx-vp9":
            speed = {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "lag-in-frames": "0"}
            return {"b": "0", **quality, **speed}
        case "libsvtav1":
            return {"preset": "9", **quality}
    return {"level": "3", "slicecrc": "1"}  # ffv1


def _short_lookahead(rate: float | None) -> dict[str, str]:
    """Keep what the encoder holds back short in seconds where frames are slow to come."""
    if rate is None or rate >= 20:
        return {}
    if rate < 16:
        return {"tune": "zerolatency", "x264-params": "sliced-threads=1"}
    return {"rc-lookahead": str(int(rate * 0.3))}
