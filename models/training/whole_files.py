"""Write files whole or not at all: a stop, a full disk or a kill leaves what was there before."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numpy.lib.format import open_memmap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import DTypeLike


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give the place to write at; it becomes `path` in one rename when that is done, or goes.

    An OSError names `path` where it names no file.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole."""
    with whole_file(path) as part:
        part.write_bytes(content)


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """Create a `.npy` to be filled in place; OSError where the disk has no room for all of it.

    Room is taken at once: a mapped file that the disk cannot hold ends the process, untold.
    """
    try:
        array = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    return array
