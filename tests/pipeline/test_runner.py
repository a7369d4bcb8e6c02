"""A healthy pipeline: order, fates, tees, live entrance, converters, control."""

from __future__ import annotations

import json
import time

import pytest

from vidfilter.pipeline import CapsError, ConfigError, Leaky, Pipeline, QueueSpec, StageError

from stand_ins import line, stage, tee


def seqs(pipeline: Pipeline, sink: str = "file") -> list[int]:
    """Return the numbers of the frames a sink got."""
    return [frame.seq for frame in pipeline.stage(sink).seen]


def test_every_frame_arrives_once_and_in_order():
    pipeline = Pipeline(line(stage("t-source", frames=50), stage("t-transform"), stage("t-file")))
    report = pipeline.run()
    assert seqs(pipeline) == list(range(50))
    assert pipeline.stage("file").finished
    (sink,) = report.sinks
    assert (sink.captured, sink.written, sink.lost_at_stop, sink.dropped) == (50, 50, 0, [])
    assert report.problems() == []


def test_frames_held_back_come_out_at_the_end():
    spec = line(stage("t-source", frames=20), stage("t-transform", hold=5), stage("t-file"))
    pipeline = Pipeline(spec)
    pipeline.run()
    assert seqs(pipeline) == list(range(20))


def test_a_dropped_frame_is_reported_with_stage_and_cause():
    spec = line(stage("t-source", frames=9), stage("t-transform", drop_at=4), stage("t-file"))
    report = Pipeline(spec).run()
    (sink,) = report.sinks
    assert sink.dropped == [{"stage": "transform", "cause": "asked to", "count": 1}]
    assert (sink.written, sink.unaccounted) == (8, 0)
    assert report.problems() == ["file: 1 of 9 frames lost"]


def test_a_frame_that_vanishes_is_noticed():
    spec = line(stage("t-source", frames=9), stage("t-forgetful", lose_at=4), stage("t-file"))
    report = Pipeline(spec).run()
    assert report.sinks[0].unaccounted == 1
    assert report.problems() == ["file: 1 frames unaccounted for"]


def test_a_slow_window_leaks_while_the_file_beside_it_gets_everything():
    spec = line(
        stage("t-source", frames=60),
        tee([stage("t-file", slow_s=0.002)], [stage("t-window", slow_s=0.03)]),
    )
    pipeline = Pipeline(spec)
    report = pipeline.run()
    assert seqs(pipeline) == list(range(60))
    file, window = report.sinks
    assert (file.written, file.dropped) == (60, [])
    assert window.dropped[0]["cause"] == "queue full"
    assert window.written + window.dropped_total == 60
    assert report.problems() == []


def test_without_a_file_one_branch_sets_the_pace():
    spec = line(
        stage("t-source", frames=30),
        tee([stage("t-window", "a", slow_s=0.005)], [stage("t-window", "b")]),
    )
    report = Pipeline(spec).run()
    assert report.sinks[0].written == 30


def test_a_live_source_drops_the_oldest_at_the_entrance_only():
    spec = line(
        stage("t-source", frames=60, live=True, slow_s=0.001),
        stage("t-transform"),
        stage("t-file", slow_s=0.02),
    )
    pipeline = Pipeline(spec)
    (sink,) = pipeline.run().sinks
    assert {entry["stage"] for entry in sink.dropped} == {"transform"}
    assert sink.captured == 60
    assert sink.unaccounted == 0
    assert seqs(pipeline)[-1] == 59, "the newest frame is never the one to go"


def test_the_queue_of_a_stage_can_be_chosen():
    queue = QueueSpec(Leaky.UPSTREAM, 1)
    spec = line(stage("t-source", frames=40), stage("t-window", queue=queue, slow_s=0.01))
    pipeline = Pipeline(spec)
    pipeline.run()
    assert seqs(pipeline, "window")[0] == 0
    assert pipeline.report().stages[1].queue["leaky"] == "upstream"


@pytest.mark.parametrize(("sink", "frames"), [("t-window", 4), ("t-file", 8)])
def test_what_a_key_changes_shows_sooner_than_files_need(sink, frames):
    pipeline = Pipeline(line(stage("t-source", frames=3), stage(sink)))
    pipeline.run()
    assert pipeline.report().stages[1].queue["max_frames"] == frames


def test_tee_frames_are_shared_and_so_not_writable_in_place():
    spec = line(stage("t-source", frames=3), tee([stage("t-file", "a")], [stage("t-file", "b")]))
    pipeline = Pipeline(spec)
    pipeline.run()
    (one, *_), (other, *_) = pipeline.stage("a").seen, pipeline.stage("b").seen
    assert one.planes[0] is other.planes[0]
    assert not one.exclusive
    assert one.writable().planes[0] is not one.planes[0]


def test_a_mismatch_names_both_ends():
    spec = line(stage("t-source", pixel_format="gray9"), stage("t-nothing"))
    with pytest.raises(CapsError, match="source gives gray9, nothing accepts nothing"):
        Pipeline(spec).prepare()


def test_a_property_changes_between_two_frames():
    spec = line(stage("t-source", frames=100, slow_s=0.005), stage("t-transform"), stage("t-file"))
    pipeline = Pipeline(spec).start()
    time.sleep(0.1)
    pipeline.set_property("transform", "note", 5)
    pipeline.set_property("transform", "nonsense", 5)
    with pytest.raises(StageError, match="no stage 'elsewhere'"):
        pipeline.set_property("elsewhere", "note", 5)
    report = pipeline.wait()
    assert pipeline.stage("transform").note == 5
    assert report.warnings == ["transform: nonsense cannot change while running"]


def test_pause_holds_the_source():
    spec = line(stage("t-source", frames=10_000, slow_s=0.005), stage("t-file"))
    pipeline = Pipeline(spec).start()
    time.sleep(0.1)
    pipeline.pause(True)
    time.sleep(0.1)
    held = len(pipeline.stage("file").seen)
    time.sleep(0.15)
    assert len(pipeline.stage("file").seen) == held
    pipeline.pause(False)
    time.sleep(0.15)
    pipeline.stop()
    report = pipeline.wait()
    assert report.sinks[0].written > held


def test_frames_can_be_pulled():
    spec = line(stage("t-source", frames=25), stage("t-transform"), stage("appsink"))
    pipeline = Pipeline(spec)
    assert [frame.seq for frame in pipeline.frames()] == list(range(25))
    assert pipeline.report().stopped is None


def test_pulling_from_a_stage_that_is_not_there_is_a_clear_error():
    pipeline = Pipeline(line(stage("t-source", frames=2), stage("appsink")))
    with pytest.raises(StageError, match="no stage 'elsewhere'"):
        next(pipeline.frames("elsewhere"))


def test_a_reader_may_leave_early():
    spec = line(stage("t-source", frames=100_000), stage("appsink"))
    pipeline = Pipeline(spec)
    for frame in pipeline.frames():
        if frame.seq == 3:
            break
    assert pipeline.stuck_threads == []


def test_an_error_reaches_the_reader():
    spec = line(stage("t-source", frames=9, raise_at=5), stage("appsink"))
    with pytest.raises(StageError, match="stage source failed"):
        list(Pipeline(spec).frames())


def test_a_pipeline_runs_once():
    pipeline = Pipeline(line(stage("t-source"), stage("t-file")))
    pipeline.run()
    with pytest.raises(StageError, match="runs once"):
        pipeline.run()
    assert len(pipeline.stage("file").seen) == 10


@pytest.mark.parametrize(
    "stages",
    [[stage("t-source")], [stage("t-source"), tee([stage("t-file")], [stage("t-transform")])]],
)
def test_frames_that_would_go_nowhere_are_refused(stages):
    with pytest.raises(ConfigError, match="is no sink, but comes last"):
        Pipeline(line(*stages)).run()


def test_the_report_is_json_with_a_figure_per_stage():
    pipeline = Pipeline(line(stage("t-source"), stage("t-transform"), stage("t-file")))
    body = json.loads(pipeline.run().to_json())
    assert body["version"] == 1
    assert [s["id"] for s in body["stages"]] == ["source", "transform", "file"]
    assert set(body["stages"][1]["ms"]) == {"p50", "p95", "max"}
    assert body["stages"][1]["queue"]["peak"] >= 1
    assert body["sinks"][0]["latency_ms"]["max"] > 0


def test_a_line_of_stages_is_quickly_said():
    pipeline = Pipeline.line(**{"t-source": {"frames": 5}, "null": {}})
    assert pipeline.run().sinks[0].written == 5
    assert Pipeline.line(capture="a.mp4").spec.stages[0].properties == {"source": "a.mp4"}
    with pytest.raises(ConfigError, match="null: properties are given as a mapping, not as 3"):
        Pipeline.line(null=3)


@pytest.mark.parametrize(("end", "wanted"), [("null", False), ("appsink", True)])
def test_a_stage_knows_whether_anybody_reads_what_faces_do(end, wanted):
    pipeline = Pipeline.line(capture="test", smooth={}, overlay={}, **{end: {}})
    pipeline.prepare()
    assert pipeline.stage("smooth").context.traits_wanted is wanted
