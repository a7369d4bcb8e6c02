"""Sink that writes a video file, with the sound and subtitles of what the frames came from."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path  # noqa: TC003 - pydantic resolves the annotation
from typing import TYPE_CHECKING, ClassVar, Literal

import av
import av.error
from pydantic import Field, model_validator

from ..pipeline import stage
from ..pipeline.caps import WORKING_FORMATS
from ..pipeline.errors import EncodeError, MediaError
from ..pipeline.outputs import part_path
from ..pipeline.registry import register_stage
from ._formats import SMALLEST, VIDEO_CODECS, codec_of, container_of, encoder_options
from ._geometry import letterbox
from ._mux import Encoding, Writer, encoder_time_base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..pipeline.caps import Caps
    from ..pipeline.frame import Frame
    from ..pipeline.stage import Context

_CLOSE_TIMEOUT_S = 1.0


@register_stage("file")
class File(stage.Sink):
    """Encode frames to `path`, written as `NAME.part.EXT` and renamed when it is whole."""

    class Params(stage.Params):
        """Properties of `file`."""

        path: Path = Field(
            description="file to write; its extension chooses the container: mp4, m4v, mov, mkv, "
            "webm"
        )
        codec: str = Field(
            "auto",
            description="video encoder: auto (libx264, in webm libvpx-vp9), "
            + ", ".join(VIDEO_CODECS),
        )
        preset: Literal[
            "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower",
            "veryslow",
        ] = Field("veryfast", description="speed of libx264 and libx265")  # fmt: skip
        crf: float | None = Field(
            None,
            ge=0,
            le=63,
            description="quality, smaller is better; none = what suits the codec, 23 for libx264",
        )
        pixel_format: Literal["auto", "yuv420p", "nv12", "bgra"] = Field(
            "auto", description="format handed to the encoder; auto = that of the frames"
        )
        audio: Literal["copy", "none"] = Field(
            "copy", description="copy takes over all audio and subtitle tracks of the input"
        )
        keyframe_interval: float = Field(
            1.0,
            gt=0,
            le=2,
            description="longest time between key frames, which bounds what a killed run loses",
            json_schema_extra={"unit": "s"},
        )
        overwrite: bool = Field(False, description="replace an existing file")

        @model_validator(mode="after")
        def _known(self) -> File.Params:
            formats = _formats_of(codec_of(self.path, self.codec))
            if self.pixel_format not in ("auto", *formats):
                raise ValueError(
                    f"{self.codec} does not take {self.pixel_format} "
                    f"(it takes: {', '.join(formats)})"
                )
            return self

    params: Params
    lossless: ClassVar[bool] = True
    reads_traits: ClassVar[bool] = False
    shorthand: ClassVar[str | None] = "path"

    def __init__(self, params: Params, context: Context) -> None:
        super().__init__(params, context)
        self._lock = threading.Lock()  # `stop` may come while another thread still writes
        self._writer: Writer | None = None
        self._placeholder = False

    @cached_property
    def accepts(self) -> tuple[str, ...]:  # type: ignore[override]
        """Pixel formats that the chosen codec takes."""
        if self.params.pixel_format != "auto":
            return (self.params.pixel_format,)
        return _formats_of(self._codec)

    @property
    def takes_packets(self) -> bool:  # type: ignore[override]
        """Whether sound and subtitles are wanted."""
        return self.params.audio == "copy"

    @property
    def _codec(self) -> str:
        return codec_of(self.params.path, self.params.codec)

    def start(self, caps: Caps) -> Caps:
        """Check that the file can be written; raises MediaError."""
        path, part = self.params.path, part_path(self.params.path)
        self._caps = caps
        self._check_size(caps)
        try:
            self._check_place(path)
            new = not part.exists()
            with part.open("ab"):  # appending spares a part that is the input itself
                self._placeholder = new
        except EncodeError:
            raise
        except OSError as exc:
            raise EncodeError(f"cannot write {path}: {exc.strerror}") from None
        return caps

    def _check_size(self, caps: Caps) -> None:
        least = SMALLEST.get(self._codec, 1)
        if min(caps.width, caps.height) < least:
            size = f"{caps.width}x{caps.height}"
            raise EncodeError(
                f"{self._codec} takes no pictures under {least}x{least}, these are {size}: "
                "choose another codec"
            )

    def _check_place(self, path: Path) -> None:
        if path.is_dir():
            raise EncodeError(f"{path} is a folder: give the name of a file to write")
        if not path.parent.is_dir():
            raise EncodeError(f"folder {path.parent} does not exist: create it first")
        if self.params.overwrite:
            return
        if path.exists():
            raise EncodeError(f"{path} exists already: --overwrite replaces it")
        part = part_path(path)
        if part.exists():
            raise EncodeError(
                f"{part} is left from a run that was interrupted: move it away, or pass --overwrite"
            )

    def write(self, frame: Frame) -> None:
        """Encode `frame`; raises EncodeError where the file cannot be written."""
        caps = self._caps
        if frame.caps.width != caps.width or frame.caps.height != caps.height:
            frame = self._fitted(frame)
        with self._lock, self._guarded():
            if self._writer is None:
                self._begin(frame)
            self._writer.write(frame)  # type: ignore[union-attr]

    def _begin(self, frame: Frame) -> None:
        params, caps = self.params, self._caps
        self._refuse_input(frame)
        rate = float(caps.framerate) if caps.framerate else None
        options = encoder_options(self._codec, params.preset, params.crf, rate)
        encoding = Encoding(self._codec, options, params.keyframe_interval)
        kind, unit = container_of(params.path), encoder_time_base(frame)
        self._writer = Writer(params.path, kind, encoding, caps, self.context, unit)
        self._pattern = frame.with_(planes=(), owner=None, claim=None)
        self._writer.begin(frame, copy_tracks=params.audio == "copy")

    def _refuse_input(self, frame: Frame) -> None:
        """Raise EncodeError where writing would destroy the file that `frame` comes from."""
        media = frame.tags.get("media")
        for path in (self.params.path, part_path(self.params.path)):
            same = False
            # The error below is an OSError too: raised in here it would be swallowed.
            with suppress(OSError):
                same = media is not None and path.samefile(media.path)
            if same:
                raise EncodeError(f"{path} is the input itself: choose another output")

    def _fitted(self, frame: Frame) -> Frame:
        self.context.warn("pictures of other sizes are scaled to fit the first one's")
        buffer, planes = letterbox(frame.planes, self._caps)
        return frame.with_(planes=planes, owner=buffer, caps=self._caps, exclusive=True)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what the encoder and the disk raise into one line that names the file."""
        try:
            yield
        except MediaError:
            raise
        except (av.error.FFmpegError, OSError) as exc:
            reason = _reason(exc)
            part = part_path(self.params.path)
            raise EncodeError(f"cannot write {self.params.path}: {reason}; {part} stays") from exc

    def finish(self) -> None:
        """Complete the file and give it its name; raises EncodeError."""
        if self._writer is None:
            raise EncodeError(f"no frame arrived: {self.params.path} was not written")
        with self._lock, self._guarded():
            self._writer.finish()
            self._writer = None

    def stop(self) -> None:
        """Close what is open; a file that is not whole keeps its part name."""
        if not self._lock.acquire(timeout=_CLOSE_TIMEOUT_S):
            return  # the thread that writes is stuck, and closing under its hands would crash
        try:
            with suppress(av.error.FFmpegError, OSError):
                if self._writer is not None:
                    for _ in range(self._writer.held):
                        self.context.drop(self._pattern, "still in the encoder")
                    self._writer.close()
                elif self._placeholder:
                    part_path(self.params.path).unlink()
            self._writer, self._placeholder = None, False
        finally:
            self._lock.release()


def _formats_of(codec: str) -> tuple[str, ...]:
    """Return the working formats that `codec` encodes."""
    names = {form.name for form in av.Codec(codec, "w").video_formats or []}
    return tuple(name for name in WORKING_FORMATS if name in names)


def _reason(exc: Exception) -> str:
    number = getattr(exc, "errno", None)
    if number == errno.EFBIG:
        return "the file grew to the limit set for this process"
    text = getattr(exc, "strerror", None) or str(exc)
    return os.strerror(number) if number and not text else text
