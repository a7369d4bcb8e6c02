from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from vidfilter.pipeline.caps import Caps
from vidfilter.pipeline.frame import Frame
from vidfilter.pipeline.registry import stage_class

CAPS = Caps("yuv420p", 4, 4, Fraction(50))
PLANES = (np.zeros((4, 4), np.uint8),) + (np.zeros((2, 2), np.uint8),) * 2


def null(context, **properties):
    cls = stage_class("null")
    return cls(cls.Params(**properties), context)


def frames(count, caps=CAPS):
    return [Frame(PLANES, k, Fraction(1, 50), k, caps, duration=1) for k in range(count)]


def test_counts_every_frame_and_drops_none(context):
    sink = null(context)
    sink.start(CAPS)
    for frame in frames(20):
        sink.write(frame)
    sink.finish()
    sink.stop()
    assert sink.frames == 20
    assert not context.dropped
    assert sink.lossless


@pytest.mark.parametrize(("sync", "live", "waits"), [(1, 0, True), (0, 0, False), (1, 1, False)])
def test_sync_takes_recorded_frames_at_their_time(context, sync, live, waits):
    waited = []
    context.wait = waited.append
    caps = CAPS.with_(live=bool(live))
    sink = null(context, sync=bool(sync))
    sink.start(caps)
    for frame in frames(3, caps):
        sink.write(frame)
    assert bool(waited) is waits
