"""Change the index of a written MP4 or QuickTime file in place (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Box = tuple[bytes, int, int]  # kind, where its content begins, where that ends


def tidy(path: Path, *, chapters: bool) -> None:
    """Make tracks free space: those of pictures without any and, on demand, of chapters' texts.

    FFmpeg leaves the first for a cover. Without the others a film is as long as the rest of it.
    """
    with path.open("r+b") as file:
        place = _index(file)
        if place is None:
            return
        file.seek(place[1])
        index = bytearray(file.read(place[2] - place[1]))
        _drop(index, chapters=chapters)
        file.seek(place[1])
        file.write(index)


def _index(file: BinaryIO) -> Box | None:
    """Return the last `moov` of a file."""
    found, at, size = None, 0, file.seek(0, 2)
    while at + 8 <= size:
        file.seek(at)
        length, kind, long = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        begin = at + (16 if length == 1 else 8)
        end = at + (long if length == 1 else length or size - at)
        if end < begin:
            return found
        found = (kind, begin, end) if kind == b"moov" else found
        at = end
    return found


def _boxes(data: bytearray, begin: int, end: int) -> Iterator[Box]:
    while begin + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, begin)
        if not 8 <= length <= end - begin:
            return
        yield kind, begin + 8, begin + length
        begin += length


def _drop(index: bytearray, *, chapters: bool) -> None:
    tracks = [box for box in _boxes(index, 0, len(index)) if box[0] == b"trak"]
    named = (
        {n for _, *inside in tracks for n in _take_references(index, *inside)} if chapters else ()
    )
    lengths = [0]
    for _, begin, end in tracks:
        number, length = _track_header(index, begin, end)
        if number in named or _has_no_picture(index, begin, end):
            _free(index, begin)
        else:
            lengths.append(length)
    _set_length(index, max(lengths))


def _take_references(index: bytearray, begin: int, end: int) -> Iterator[int]:
    """Yield the numbers of the tracks that hold the chapters of this one, and drop that list."""
    for kind, inside, stop in _boxes(index, begin, end):
        if kind == b"tref" and index[inside + 4 : inside + 8] == b"chap":
            yield from struct.unpack_from(f">{(stop - inside - 8) // 4}I", index, inside + 8)
            _free(index, inside)


def _has_no_picture(index: bytearray, begin: int, end: int) -> bool:
    media = _find(index, begin, end, b"mdia")
    handler = _find(index, *media, b"hdlr")[0]
    table = _find(index, *_find(index, *media, b"minf"), b"stbl")
    sizes = _find(index, *table, b"stsz")[0]
    return index[handler + 8 : handler + 12] == b"vide" and not any(index[sizes + 8 : sizes + 12])


def _find(index: bytearray, begin: int, end: int, wanted: bytes) -> tuple[int, int]:
    """Return where the content of a box begins and ends that every file has."""
    return next((a, b) for kind, a, b in _boxes(index, begin, end) if kind == wanted)


def _free(index: bytearray, content: int) -> None:
    index[content - 4 : content] = b"free"


def _track_header(index: bytearray, begin: int, end: int) -> tuple[int, int]:
    """Return the number of a track and its length in the film's unit."""
    at = _find(index, begin, end, b"tkhd")[0]
    layout = ">20xI4xQ" if index[at] == 1 else ">12xI4xI"
    number, length = struct.unpack_from(layout, index, at)
    return number, length


def _set_length(index: bytearray, length: int) -> None:
    at = _find(index, 0, len(index), b"mvhd")[0]
    if index[at] == 1:
        struct.pack_into(">Q", index, at + 24, length)
    else:
        struct.pack_into(">I", index, at + 16, length)
