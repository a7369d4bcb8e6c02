"""One thread budget for decoder, encoder, OpenCV and inference."""

from __future__ import annotations

import cv2


def keep_opencv_single() -> None:
    """Let OpenCV work in the calling thread only.

    The pictures it gets here are small, each stage has a thread already, and the encoder wants
    the other cores. The setting is the process's.
    """
    cv2.setNumThreads(1)
