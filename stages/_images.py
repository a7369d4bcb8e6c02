"""Frames from a picture, or from a folder of pictures of any size."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..pipeline.caps import Caps
from ..pipeline.errors import DecodeError, MediaError
from ..pipeline.frame import Frame
from ._damage import END, is_cut_off, is_damaged, is_moving
from ._geometry import Orientation, even, fill
from ._media import check_readable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction
    from pathlib import Path

    from ..pipeline.frame import U8
    from ..pipeline.stage import Context

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_UPRIGHT = Orientation()


def is_picture(path: Path) -> bool:
    """Return whether the name of `path` is that of a picture."""
    return path.suffix.lower() in SUFFIXES


class ImagesReader:
    """Pictures in the natural order of their names, one frame each.

    A picture of a folder comes as bgr24 in its own size (odd sizes padded): `frame.caps` may
    differ from frame to frame. A single picture with transparency comes as bgra.
    `tags["file"]` is the name, `tags["source"]` the path of the picture or folder.
    """

    def __init__(self, path: Path, context: Context, fps: Fraction) -> None:
        self._path, self._context, self._fps = path, context, fps
        self._files: list[Path] = []

    @property
    def duration_s(self) -> float | None:
        """How long the pictures last at the frame rate."""
        return float(len(self._files) / self._fps)

    def open(self) -> Caps:
        """Find the pictures and read the first; raises MediaError, DecodeError."""
        # What is wrong with a picture we tell ourselves, in one line.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        if self._path.is_dir():
            self._files = _pictures_in(self._path)
        else:
            check_readable(self._path)
            self._files = [self._path]
        self._alpha = not self._path.is_dir()
        self._skipped = 0
        self._images = self._read_all()
        first = next(self._images, None)
        if first is None:
            raise DecodeError(f"{self._path} holds no picture that can be read")
        self._first = first
        return self._caps(first[1])

    def _read_all(self) -> Iterator[tuple[Path, U8]]:
        for file in self._files:
            data = _bytes_of(file)
            cut = is_cut_off(data)
            # OpenCV takes a JPEG only with its end mark.
            image = decode_picture(data + END if cut else data, alpha=self._alpha)
            if image is None:
                self._skipped += 1
                self._tell_damage(f"{file} {_why_unreadable(data)}: skipped")
                continue
            if cut:
                self._tell_damage(f"{file} is cut off: what is there is kept")
            elif is_damaged(data):
                self._tell_damage(f"{file} is damaged: what can be read is kept")
            elif is_moving(data):
                self._context.warn(f"{file} moves: only its first picture is read")
            yield file, image

    def _tell_damage(self, text: str) -> None:
        self._context.warn(text)
        self._context.tag("truncated", True)

    def _caps(self, image: U8) -> Caps:
        height, width = image.shape[:2]
        name = "bgra" if image.shape[2] == 4 else "bgr24"
        return Caps(name, even(width), even(height), self._fps, "rgb", "full", transfer="srgb")

    def frames(self) -> Iterator[Frame]:
        """Yield one frame per readable picture."""
        item: tuple[Path, U8] | None = self._first
        seq = 0
        del self._first
        while item is not None and not self._context.stopping:
            yield self._frame(*item, seq)
            seq += 1
            item = next(self._images, None)
        if self._skipped:
            self._context.tag("skipped_pictures", self._skipped)

    def _frame(self, file: Path, image: U8, seq: int) -> Frame:
        caps = self._caps(image)
        buffer, planes = image, (image,)
        if image.shape[:2] != (caps.height, caps.width):
            buffer, planes = fill(planes, caps, _UPRIGHT)  # type: ignore[assignment]
        return Frame(
            planes,
            seq,
            1 / self._fps,
            seq,
            caps,
            duration=1,
            captured_ns=time.monotonic_ns(),
            owner=buffer,
            exclusive=True,
            discontinuity=True,
            tags={"file": file.name, "source": str(self._path)},
        )

    def settle(self) -> None:
        """Do nothing: there is no sound."""

    def interrupt(self) -> None:
        """Do nothing: reading a picture never blocks for long."""

    def close(self) -> None:
        """Do nothing: pictures are read whole."""


def _pictures_in(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if is_picture(path) and path.is_file()]
    except OSError as exc:
        raise MediaError(f"cannot list {folder}: {exc.strerror}") from None
    if not found:
        kinds = " ".join(sorted(SUFFIXES))
        raise DecodeError(f"folder {folder} holds no pictures ({kinds})")
    return sorted(found, key=lambda path: _natural(path.name))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts `2.png` before `10.png`."""
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def decode_picture(data: bytes, *, alpha: bool) -> U8 | None:
    """Return (H, W, 3) BGR, upright; (H, W, 4) where it has alpha and that is wanted.

    None where `data` is no readable picture.
    """
    if not data:
        return None
    array = np.frombuffer(data, np.uint8)
    try:
        if alpha:
            image = cv2.imdecode(array, cv2.IMREAD_UNCHANGED)
            if image is not None and image.ndim == 3 and image.shape[2] == 4:
                return _eight_bits(image) if image.dtype in (np.uint8, np.uint16) else None
        found: U8 | None = cv2.imdecode(array, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    except cv2.error:
        return None
    return found


def _why_unreadable(data: bytes) -> str:
    with suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(data or b" ", np.uint8), cv2.IMREAD_UNCHANGED)
        if image is not None and image.dtype.kind == "f":  # what of it is white, nobody says
            return "holds floating-point numbers, not colours of 8 or 16 bits"
    return "is no picture that can be read"


def _eight_bits(image: np.ndarray) -> U8:
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    return image.astype(np.uint8)
