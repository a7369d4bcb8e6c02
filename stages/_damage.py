"""What the bytes of a picture tell of it that OpenCV does not."""

from __future__ import annotations

import av
import av.error

# A JPEG begins with the first; its pixels come after the second, and end at the third.
_JPEG, _SCAN, END = b"\xff\xd8\xff", 0xDA, b"\xff\xd9"
_PNG = b"\x89PNG\r\n\x1a\n"
_WEBP_EXTENDED, _WEBP_MOVES = b"VP8X", 0x02
# An eighth of the size: the damage is in the code of the pixels, which is read whole even so.
_STRICT = {"err_detect": "explode", "lowres": "3"}


def is_cut_off(data: bytes) -> bool:
    """Return whether `data` is a JPEG whose pixels do not end (ITU-T T.81, B.1).

    Segments before the pixels may hold a thumbnail with an end mark of its own, and anything may
    follow the end, such as the film of a moving photo.
    """
    if not data.startswith(_JPEG):
        return False
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return data.find(END, at) < 0


def is_damaged(data: bytes) -> bool:
    """Return whether `data` is a JPEG with nonsense among its pixels.

    OpenCV fills the rest with grey, and says nothing that a program could hear. Asked of FFmpeg's
    decoder, which takes about as long as reading the picture.
    """
    if not data.startswith(_JPEG):
        return False
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options, decoder.thread_count = dict(_STRICT), 1
    try:
        decoder.decode(av.Packet(data))
        decoder.decode(None)
    except av.error.InvalidDataError:
        return True
    except av.error.FFmpegError:  # a kind of JPEG that FFmpeg does not read
        return False
    return False


def is_moving(data: bytes) -> bool:
    """Return whether `data` is an animated PNG or WebP, of which one picture is read."""
    if data.startswith(_PNG):
        return b"acTL" in data[: data.find(b"IDAT")]  # it stands before the pixels
    extended = data[8:16] == b"WEBP" + _WEBP_EXTENDED and len(data) > 20
    return extended and bool(data[20] & _WEBP_MOVES)
