from __future__ import annotations

import pytest

from vidfilter.pipeline.clock import Clock


class Wall:
    """A wall clock set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def wall() -> Wall:
    return Wall()


def play(clock: Clock, wall: Wall, time_s: float, duration_s: float) -> float:
    """Show one frame as a sink would; returns the wall time it appears at."""
    wall.time += max(clock.due(time_s, duration_s), 0.0)
    return wall.time


def test_first_frame_is_due_at_once_whatever_its_time(wall):
    assert Clock(wall).due(3600.0, 0.04) == 0.0


def test_frames_follow_their_presentation_times(wall):
    clock = Clock(wall)
    shown = [play(clock, wall, 5.0 + k * 0.04, 0.04) for k in range(50)]
    assert shown == pytest.approx([100.0 + k * 0.04 for k in range(50)])


def test_variable_durations_are_kept(wall):
    clock = Clock(wall)
    times, durations = [0.0, 0.1, 2.1, 2.2], [0.1, 2.0, 0.1, 0.1]
    shown = [play(clock, wall, *frame) for frame in zip(times, durations, strict=True)]
    assert shown == pytest.approx([100.0, 100.1, 102.1, 102.2])


def test_a_little_late_catches_up(wall):
    clock = Clock(wall)
    play(clock, wall, 0.0, 0.04)
    wall.time += 0.2
    assert clock.due(0.04, 0.04) == pytest.approx(-0.16)
    assert clock.due(0.24, 0.04) == pytest.approx(0.04)


def test_very_late_starts_a_new_timeline(wall):
    clock = Clock(wall)
    play(clock, wall, 0.0, 0.04)
    wall.time += 3.0
    assert clock.due(0.04, 0.04) == 0.0
    assert clock.due(0.08, 0.04) == pytest.approx(0.04)


def test_one_dropped_frame_leaves_its_time_empty(wall):
    clock = Clock(wall)
    play(clock, wall, 0.0, 0.04)
    assert clock.due(0.08, 0.04) == pytest.approx(0.08)


def test_preview_of_a_faster_pipeline_shows_each_frame_for_its_duration(wall):
    clock = Clock(wall)
    shown = [play(clock, wall, k * 0.4, 0.04) for k in range(10)]  # 9 of 10 frames leaked
    assert shown == pytest.approx([100.0 + k * 0.04 for k in range(10)])


def test_time_that_runs_backwards_continues_after_the_frame_on_screen(wall):
    clock = Clock(wall)
    play(clock, wall, 9.0, 0.04)
    assert clock.due(0.0, 0.04) == pytest.approx(0.04)


def test_without_durations_gaps_are_kept(wall):
    clock = Clock(wall)
    play(clock, wall, 0.0, 0.0)
    assert clock.due(1.5, 0.0) == pytest.approx(1.5)


def test_asking_again_changes_nothing(wall):
    clock = Clock(wall)
    play(clock, wall, 0.0, 0.04)
    wall.time += 1.0
    assert clock.due(0.04, 0.04) == 0.0
    wall.time += 0.01
    assert clock.due(0.04, 0.04) == pytest.approx(-0.01)


def test_pause_shifts_the_timeline(wall):
    clock = Clock(wall)
    play(clock, wall, 0.0, 0.04)
    wall.time += 0.01
    clock.pause()
    wall.time += 60.0
    clock.pause()
    assert clock.paused
    assert clock.due(0.04, 0.04) == pytest.approx(0.03)
    clock.resume()
    clock.resume()
    assert not clock.paused
    assert clock.due(0.04, 0.04) == pytest.approx(0.03)


def test_pause_before_the_first_frame(wall):
    clock = Clock(wall)
    clock.pause()
    wall.time += 5.0
    clock.resume()
    assert clock.due(1.0, 0.04) == 0.0
