"""Small media files that tests make for themselves, and what is in a file."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]


def noise(index: int, width: int, height: int) -> U8:
    """Smooth coloured noise (height, width, 3) BGR that differs from frame to frame."""
    rng = np.random.default_rng(index)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width].copy()


def corners(index: int, width: int, height: int) -> U8:
    """Grey with a white corner at the top left: shows how a picture was turned."""
    image = np.full((height, width, 3), 60, np.uint8)
    image[: height // 3, : width // 3] = 255
    return image


@dataclass
class Clip:
    """What `write_clip` shall write."""

    width: int = 64
    height: int = 48
    frames: int = 10
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    time_base: Fraction = Fraction(1, 25)
    pts: Sequence[int] | None = None
    duration: int = 1
    audio: int = 0  # how many tracks
    audio_codec: str = "aac"
    audio_start_s: float = 0.0
    audio_s: float | None = None
    picture: Callable[[int, int, int], U8] = noise
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    rotation: tuple[float, bool, bool] | None = None
    sample_aspect: Fraction | None = None
    colour: dict[str, int] = field(default_factory=dict)


def write_clip(path: Path, clip: Clip | None = None, **changes: Any) -> Path:
    """Write a clip; `changes` are fields of `Clip`."""
    clip = clip or Clip(**changes)
    with av.open(str(path), "w", container_options=clip.container_options) as output:
        stream = _video(output, clip)
        tracks = [_audio(output, clip, number) for number in range(clip.audio)]
        for number, track in enumerate(tracks):
            for packet in _tone(track, clip, number):
                output.mux(packet)
        for index in range(clip.frames):
            image = clip.picture(index, clip.width, clip.height)
            picture = av.VideoFrame.from_ndarray(image, "bgr24").reformat(
                format=clip.pixel_format, dst_colorspace=clip.colour.get("sws")
            )
            picture.pts = index * clip.duration if clip.pts is None else clip.pts[index]
            picture.time_base, picture.duration = clip.time_base, clip.duration
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


def _video(output: Any, clip: Clip) -> Any:
    stream = output.add_stream(clip.codec, rate=round(1 / (clip.time_base * clip.duration)))
    stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, clip.pixel_format
    coder = stream.codec_context
    coder.time_base = clip.time_base
    coder.flags |= av.codec.context.Flags.frame_duration
    coder.options = clip.options or ({"preset": "ultrafast"} if clip.codec == "libx264" else {})
    if clip.sample_aspect:
        coder.sample_aspect_ratio = clip.sample_aspect
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        if name in clip.colour:
            setattr(coder, name, clip.colour[name])
    if clip.rotation:
        degrees, hflip, vflip = clip.rotation
        stream.set_display_rotation(degrees, hflip, vflip)
    return stream


def _audio(output: Any, clip: Clip, number: int) -> Any:
    track = output.add_stream(clip.audio_codec, rate=48000, layout="mono")
    track.metadata["language"] = ("eng", "fra", "deu")[number]
    return track


def _tone(track: Any, clip: Clip, number: int) -> list[Any]:
    wanted = clip.audio_s
    if wanted is None:
        wanted = float(clip.frames * clip.duration * clip.time_base)
    samples = int(48000 * wanted)
    wave = np.sin(np.arange(samples) * (0.05 + 0.02 * number)) * 0.3
    format_ = track.codec_context.format.name
    values = wave.astype(np.float32) if "flt" in format_ else (wave * 32767).astype(np.int16)
    packets = []
    step = 1024
    for start in range(0, samples, step):
        frame = av.AudioFrame.from_ndarray(values[None, start : start + step], format_, "mono")
        frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
        frame.pts = start + int(clip.audio_start_s * 48000)
        packets += track.encode(frame)
    return packets + list(track.encode(None))


@dataclass(frozen=True)
class Track:
    """One track's packets: codec, count and checksum of all bytes, first and last time."""

    kind: str
    codec: str
    count: int
    checksum: int
    start_s: float
    end_s: float
    language: str


def tracks(path: Path) -> list[Track]:
    """Audio and subtitle tracks of `path`."""
    with av.open(str(path)) as container:
        kinds = [s.index for s in container.streams if s.type in ("audio", "subtitle")]
    return [_track(path, index) for index in kinds]


def _track(path: Path, index: int) -> Track:
    with av.open(str(path)) as container:
        stream = container.streams[index]
        checksum = count = 0
        times: list[float] = []
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                checksum, count = zlib.crc32(bytes(packet), checksum), count + 1
                times += [float(packet.pts * packet.time_base)]
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
        name = stream.codec_context.name.removesuffix("float")
        language = stream.metadata.get("language", "")
        return Track(stream.type, name, count, checksum, times[0], end, language)


def times(path: Path) -> list[Fraction]:
    """Presentation times in seconds of all frames of the first video track."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [f.pts * f.time_base for f in container.decode(stream) if f.pts is not None]


def decoded(path: Path, format_: str | None = None) -> list[U8]:
    """All pictures as arrays, in `format_` or their own."""
    with av.open(str(path)) as container:
        arguments = {"format": format_} if format_ else {}
        return [f.to_ndarray(**arguments) for f in container.decode(video=0)]
