"""The queue: limits, leaks, control items, EOS and flush."""

from __future__ import annotations

import threading

import pytest

from vidfilter.pipeline.bounded_queue import BoundedQueue, Gap, Reconfigure
from vidfilter.pipeline.errors import EndOfStream, Flushing
from vidfilter.pipeline.frame import Frame
from vidfilter.pipeline.spec import Leaky

from stand_ins import make_frame


def numbers(queue: BoundedQueue) -> list[int | str]:
    """Drain `queue`: frames as numbers, control items by name."""
    queue.end()
    found: list[int | str] = []
    while True:
        try:
            item = queue.get()
        except EndOfStream:
            return found
        found.append(item.seq if isinstance(item, Frame) else type(item).__name__)


def in_thread(function) -> tuple[threading.Thread, list]:
    """Run `function` aside; the list receives its result or exception type."""
    result: list = []

    def body():
        try:
            result.append(function())
        except (EndOfStream, Flushing) as signal:
            result.append(type(signal))

    thread = threading.Thread(target=body)
    thread.start()
    return thread, result


def test_full_queue_blocks_until_a_frame_is_taken():
    queue = BoundedQueue(1)
    queue.put(make_frame(0))
    thread, result = in_thread(lambda: queue.put(make_frame(1)))
    thread.join(0.1)
    assert thread.is_alive()
    assert queue.get().seq == 0
    thread.join(5)
    assert result == [True]
    assert queue.get().seq == 1


def test_a_waiting_writer_goes_on_once_there_is_room_for_several():
    queue = BoundedQueue(8)
    for number in range(8):
        queue.put(make_frame(number))
    thread, result = in_thread(lambda: queue.put(make_frame(8)))
    for _ in range(5):
        queue.get()
    thread.join(0.1)
    assert thread.is_alive()
    queue.get()
    thread.join(5)
    assert result == [True]
    assert numbers(queue) == [6, 7, 8]


def test_leaky_upstream_drops_the_new_frame_and_leaves_a_gap():
    queue = BoundedQueue(2, leaky=Leaky.UPSTREAM)
    assert [queue.put(make_frame(n)) for n in range(4)] == [True, True, False, False]
    assert queue.stats().leaked == 2
    assert numbers(queue) == [0, 1, "Gap"]


def test_leaky_downstream_drops_the_oldest_and_merges_gaps():
    queue = BoundedQueue(2, leaky=Leaky.DOWNSTREAM)
    assert all(queue.put(make_frame(n)) for n in range(5))
    stats = queue.stats()
    assert (stats.leaked, stats.level, stats.peak) == (3, 2, 2)
    assert queue.get() == Gap(2, 3)
    assert numbers(queue) == [3, 4]


def test_control_items_bypass_limits_keep_order_and_are_never_leaked():
    queue = BoundedQueue(1, leaky=Leaky.DOWNSTREAM)
    queue.put(make_frame(0))
    queue.put_control(Reconfigure("a", 1))
    queue.put(make_frame(1))
    queue.put_control(Reconfigure("b", 2))
    queue.put(make_frame(2))
    assert numbers(queue) == ["Gap", "Reconfigure", "Gap", "Reconfigure", 2]


def test_end_drains_then_ends_and_refuses_more():
    queue = BoundedQueue(4)
    queue.put(make_frame(0))
    queue.end()
    with pytest.raises(Flushing):
        queue.put(make_frame(1))
    assert numbers(queue) == [0]
    with pytest.raises(EndOfStream):
        queue.get()


def test_flush_wakes_a_blocked_put():
    queue = BoundedQueue(1)
    queue.put(make_frame(0))
    thread, result = in_thread(lambda: queue.put(make_frame(1)))
    assert queue.flush() == 1
    thread.join(5)
    assert result == [Flushing]


def test_flush_wakes_a_blocked_get():
    queue = BoundedQueue(1)
    thread, result = in_thread(queue.get)
    queue.flush()
    thread.join(5)
    assert result == [Flushing]


def test_end_after_flush_stays_flushed():
    queue = BoundedQueue(1)
    queue.flush()
    queue.end()
    with pytest.raises(Flushing):
        queue.get()


def test_bytes_limit_blocks_but_lets_one_big_frame_through():
    queue = BoundedQueue(100, leaky=Leaky.UPSTREAM, max_bytes=400)
    assert queue.put(make_frame(0))
    assert not queue.put(make_frame(1))


def test_age_limit_drops_what_is_too_old():
    queue = BoundedQueue(100, leaky=Leaky.DOWNSTREAM, max_age_s=1.0)
    queue.put(make_frame(0).with_(captured_ns=0))
    queue.put(make_frame(1).with_(captured_ns=int(0.9e9)))
    queue.put(make_frame(2).with_(captured_ns=int(1.5e9)))
    assert numbers(queue) == ["Gap", 1, 2]


def test_a_stuck_reader_does_not_let_gaps_pile_up():
    queue = BoundedQueue(1, leaky=Leaky.UPSTREAM)
    for number in range(1000):
        queue.put(make_frame(number))
    assert numbers(queue) == [0, "Gap"]


def test_no_frame_is_lost_between_many_threads():
    queue = BoundedQueue(3)
    taken: list[int] = []
    lock = threading.Lock()

    def read():
        while True:
            item = queue.get()
            with lock:
                taken.append(item.seq)

    readers = [in_thread(read)[0] for _ in range(3)]
    writers = [
        in_thread(lambda k=k: [queue.put(make_frame(n)) for n in range(k * 200, k * 200 + 200)])[0]
        for k in range(3)
    ]
    for thread in writers:
        thread.join()
    queue.end()
    for thread in readers:
        thread.join()
    assert sorted(taken) == list(range(600))
