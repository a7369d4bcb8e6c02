"""Nothing hangs: stages that raise, stall for ever, or are blocked when the stop comes."""

from __future__ import annotations

import threading
import time

import pytest

from vidfilter.pipeline import Pipeline, StageError, StallError
from vidfilter.pipeline.errors import DeviceError

from stand_ins import line, stage, tee

LIMIT_S = 2.0  # the promise: ended within two seconds of the stop or of the watchdog
MANY = 10_000


def three(**faults) -> list:
    """Return source, transform and file with the faults asked for by stage name."""
    source = {"frames": MANY, **faults.get("source", {})}
    return [
        stage("t-source", **source),
        stage("t-transform", **faults.get("transform", {})),
        stage("t-file", **faults.get("file", {})),
    ]


def run_aside(pipeline: Pipeline) -> tuple[threading.Thread, list[BaseException]]:
    """Run in a thread; the list receives the error."""
    errors: list[BaseException] = []

    def body():
        try:
            pipeline.run()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, errors


def ended_within(thread: threading.Thread, seconds: float) -> bool:
    """Wait at most `seconds` for `thread`."""
    thread.join(seconds)
    return not thread.is_alive()


@pytest.mark.parametrize("guilty", ["source", "transform", "file"])
@pytest.mark.parametrize("at", [0, 7])
def test_a_stage_that_raises_is_named_and_ends_the_run(guilty, at):
    pipeline = Pipeline(line(*three(**{guilty: {"raise_at": at}})))
    thread, errors = run_aside(pipeline)
    assert ended_within(thread, LIMIT_S + 1)
    assert str(errors[0]) == f"stage {guilty} failed: RuntimeError: as asked"
    assert errors[0].stage == guilty
    assert not pipeline.stage("file").finished
    assert pipeline.report().error["stage"] == guilty


@pytest.mark.parametrize("guilty", ["source", "transform", "file"])
@pytest.mark.parametrize("at", [0, 7])
def test_a_stage_that_stalls_for_ever_is_named_with_its_stack(guilty, at):
    pipeline = Pipeline(line(*three(**{guilty: {"stall_at": at}})))
    thread, errors = run_aside(pipeline)
    assert ended_within(thread, LIMIT_S + 1)
    assert isinstance(errors[0], StallError)
    assert errors[0].stage == guilty
    assert "misbehave" in errors[0].stack
    assert pipeline.stuck_threads == [guilty]
    assert pipeline.report().sinks[0].unaccounted == 0


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("guilty", ["source", "transform", "file"])
def test_a_stage_blocked_when_the_stop_comes_does_not_hold_us(guilty, drain):
    spec = line(*three(**{guilty: {"stall_at": 3}}), stall_timeout_s=30)
    pipeline = Pipeline(spec)
    thread, errors = run_aside(pipeline)
    time.sleep(0.3)
    assert thread.is_alive()
    pipeline.stop(drain=drain)
    assert ended_within(thread, LIMIT_S)
    assert errors
    assert errors[0].stage == guilty


def test_a_source_blocked_when_the_drain_comes_leaves_a_whole_output():
    pipeline = Pipeline(line(*three(source={"stall_at": 20}), stall_timeout_s=30))
    thread, errors = run_aside(pipeline)
    time.sleep(0.3)
    pipeline.stop()
    assert ended_within(thread, LIMIT_S)
    assert str(errors[0]) == "stage source did not react to the stop"
    assert "misbehave" in errors[0].stack
    assert pipeline.ended_in_order
    assert pipeline.stage("file").finished
    assert [frame.seq for frame in pipeline.stage("file").seen] == list(range(20))
    (sink,) = pipeline.report().sinks
    assert (sink.captured, sink.written, sink.unaccounted) == (20, 20, 0)


@pytest.mark.parametrize("stop", [True, False])
def test_a_source_that_hangs_after_its_last_frame_holds_nobody(stop):
    source = stage("t-unsettled-source", frames=MANY if stop else 20)
    pipeline = Pipeline(line(source, stage("t-file"), stall_timeout_s=30))
    thread, errors = run_aside(pipeline)
    if stop:
        time.sleep(0.3)
        pipeline.stop()
    assert ended_within(thread, LIMIT_S + 1)
    assert errors == []
    assert pipeline.stage("file").finished
    assert stop or len(pipeline.stage("file").seen) == 20
    assert pipeline.report().sinks[0].unaccounted == 0


@pytest.mark.parametrize("drain", [True, False])
def test_stop_with_full_queues_ends_at_once(drain):
    pipeline = Pipeline(line(*three(file={"slow_s": 0.05})))
    thread, errors = run_aside(pipeline)
    time.sleep(0.5)
    pipeline.stop(drain=drain)
    assert ended_within(thread, LIMIT_S)
    assert errors == []
    assert pipeline.stage("file").finished == drain
    (sink,) = pipeline.report().sinks
    assert sink.unaccounted == 0
    assert (sink.lost_at_stop == 0) == drain


@pytest.mark.parametrize("drain", [True, False])
def test_stop_with_empty_queues_ends_at_once(drain):
    pipeline = Pipeline(line(*three(source={"frames": MANY, "slow_s": 0.3})))
    thread, errors = run_aside(pipeline)
    time.sleep(0.2)
    pipeline.stop(drain=drain)
    assert ended_within(thread, LIMIT_S)
    assert errors == []


def test_the_first_error_wins_and_everybody_is_released():
    spec = line(
        stage("t-source", frames=MANY),
        tee(
            [stage("t-file", "first", raise_at=5)],
            [stage("t-transform"), stage("t-file", "second")],
        ),
    )
    pipeline = Pipeline(spec)
    with pytest.raises(StageError, match="stage first failed"):
        pipeline.run()
    assert pipeline.stage("second").stopped >= 1
    assert pipeline.stage("transform").stopped >= 1
    assert pipeline.stuck_threads == []
    assert all(sink.unaccounted == 0 for sink in pipeline.report().sinks)


def test_a_failing_start_releases_what_was_started():
    spec = line(stage("t-source"), stage("t-transform"), stage("t-bad-start"))
    pipeline = Pipeline(spec)
    with pytest.raises(StageError, match="no luck"):
        pipeline.run()
    assert pipeline.stage("transform").started == 1
    assert pipeline.stage("transform").stopped == 1


def deaf(guilty: str) -> list:
    """Return a source and a file, one of which never comes back from opening or starting."""
    if guilty == "deaf-source":
        return [stage("t-deaf-source"), stage("t-file")]
    return [stage("t-source"), stage("t-deaf-start")]


@pytest.mark.parametrize("guilty", ["deaf-source", "deaf-start"])
def test_a_stage_that_never_opens_is_named_with_its_stack(guilty):
    pipeline = Pipeline(line(*deaf(guilty)))
    thread, errors = run_aside(pipeline)
    assert ended_within(thread, LIMIT_S + 1)
    assert str(errors[0]) == f"stage {guilty} did not start within 0.6 s"
    assert "stand_ins.py" in errors[0].stack
    assert pipeline.stuck_threads == [guilty]


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("guilty", ["deaf-source", "deaf-start"])
def test_a_stop_is_heard_while_a_stage_opens(guilty, drain):
    pipeline = Pipeline(line(*deaf(guilty), first_frame_timeout_s=30))
    thread, errors = run_aside(pipeline)
    time.sleep(0.3)
    pipeline.stop(drain=drain)
    assert ended_within(thread, LIMIT_S)
    assert str(errors[0]) == f"stage {guilty} did not react to the stop"


@pytest.mark.parametrize("faults", [{}, {"raise_at": 3}])
def test_a_stage_that_never_stops_is_named_and_holds_nobody(faults):
    pipeline = Pipeline(
        line(stage("t-source"), stage("t-transform", **faults), stage("t-deaf-stop"))
    )
    thread, errors = run_aside(pipeline)
    assert ended_within(thread, LIMIT_S + 1)
    assert pipeline.stuck_threads == ["deaf-stop"]
    guilty = "transform" if faults else "deaf-stop"
    assert errors[0].stage == guilty
    assert faults or str(errors[0]) == "stage deaf-stop did not stop within 0.4 s"


def test_a_source_that_is_lost_leaves_a_whole_output_and_an_error():
    pipeline = Pipeline(line(stage("t-lost-source", frames=20), stage("t-file")))
    with pytest.raises(DeviceError, match="it is gone"):
        pipeline.run()
    assert pipeline.ended_in_order
    assert pipeline.stage("file").finished
    assert len(pipeline.stage("file").seen) == 20
    assert pipeline.report().error["stage"] == "lost-source"


def test_a_source_that_fails_to_open_is_named():
    pipeline = Pipeline(line(stage("t-bad-source"), stage("t-file")))
    with pytest.raises(StageError, match="stage bad-source failed: RuntimeError: no luck"):
        pipeline.run()


def test_no_thread_is_left_after_a_run():
    before = threading.active_count()
    Pipeline(line(*three(source={"frames": 20}))).run()
    assert threading.active_count() == before


def test_a_stop_before_the_run_ends_it_at_once():
    pipeline = Pipeline(line(*three()))
    pipeline.stop()
    report = pipeline.run()
    assert report.sinks[0].captured < MANY
    assert report.sinks[0].unaccounted == 0
