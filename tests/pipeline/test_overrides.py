"""What flags change in a pipeline, and that their mistakes name the flag."""

from __future__ import annotations

import pytest

from vidfilter.pipeline import ConfigError, Leaky, PipelineSpec, StageSpec, config
from vidfilter.pipeline.builder import walk
from vidfilter.pipeline.config import Overrides

LINE = """version: 1
stages:
  - capture: test
  - overlay: glasses
  - {sink}
"""
TEE = LINE.replace("{sink}", "tee: [[window: {}], [file: {path: a.mp4}], ['null']]")


def load(overrides: Overrides, text: str = LINE, *, sink: str = "sink: auto") -> PipelineSpec:
    return config.loads(text.replace("{sink}", sink), where="p.yaml", overrides=overrides)


def stage(spec: PipelineSpec, ident: str) -> StageSpec:
    return next(item for item in walk(spec.stages) if item.id == ident)


def ids(spec: PipelineSpec) -> list[str]:
    return [item.id for item in walk(spec.stages)]


def error_of(overrides: Overrides, text: str = LINE, *, sink: str = "sink: auto") -> str:
    with pytest.raises(ConfigError) as caught:
        load(overrides, text, sink=sink)
    return str(caught.value)


def test_set_changes_a_property_and_is_read_as_yaml():
    spec = load(Overrides(sets=("overlay.opacity=0.25", "capture.source='5'")))
    assert stage(spec, "overlay").properties == {"filter": "glasses", "opacity": 0.25}
    assert stage(spec, "capture").properties == {"source": "5"}


def test_set_reaches_the_queue_and_keeps_what_else_it_says():
    spec = load(
        Overrides(sets=("window.queue.max_frames=4",)),
        sink="window: {queue: {leaky: downstream}}",
    )
    queue = stage(spec, "window").queue
    assert (queue.leaky, queue.max_frames) == (Leaky.DOWNSTREAM, 4)


def test_set_gives_a_whole_queue_but_no_id():
    queue = stage(load(Overrides(sets=("overlay.queue={max_frames: 3}",))), "overlay").queue
    assert (queue.leaky, queue.max_frames) == (None, 3)
    assert "queue must be a mapping" in error_of(Overrides(sets=("overlay.queue=3",)))
    assert "--set overlay.id=x: ids are given" in error_of(Overrides(sets=("overlay.id=x",)))


def test_set_uses_ids_and_beats_the_other_flags():
    text = LINE.replace("overlay: glasses", "overlay: {id: hat, filter: glasses}")
    spec = load(Overrides(sets=("hat.opacity=0", "capture.source=b.mp4"), input="a.mp4"), text)
    assert stage(spec, "hat").properties["opacity"] == 0
    assert stage(spec, "capture").properties == {"source": "b.mp4"}


def test_input_is_taken_as_it_is():
    assert stage(load(Overrides(input="0x10")), "capture").properties == {"source": "0x10"}


def test_output_turns_a_single_sink_into_a_file():
    for sink in ("sink: auto", "window: {mirror: true}", "'null'", "file: {path: b.mp4}"):
        spec = load(Overrides(output="o.mp4", overwrite=True), sink=sink)
        assert stage(spec, "file").name == "file"
        assert stage(spec, "file").properties == {"path": "o.mp4", "overwrite": True}


def test_output_sets_the_only_file_of_a_tee():
    spec = load(Overrides(output="o.mp4"), TEE)
    assert stage(spec, "file").properties["path"] == "o.mp4"
    assert ids(spec) == ["capture", "overlay", "window", "file", "null"]


def test_sink_replaces_the_last_stage():
    assert ids(load(Overrides(sink="null")))[-1] == "null"
    assert stage(load(Overrides(sink="auto"), sink="'null'"), "null").name == "sink"
    assert stage(load(Overrides(sink="file")), "file").properties == {"kind": "file"}
    kept = load(Overrides(sink="window"), sink="window: {mirror: true}")
    assert stage(kept, "window").properties == {"mirror": True}


def test_sink_and_output_together_write_the_file():
    spec = load(Overrides(sink="file", output="o.mp4"))
    assert (stage(spec, "file").name, stage(spec, "file").properties["path"]) == ("file", "o.mp4")


def test_duration_limits_the_source_and_the_automatic_recording():
    spec = load(Overrides(duration_s=2.5))
    assert stage(spec, "capture").properties["duration"] == 2.5
    assert stage(spec, "sink").properties["duration"] == 2.5


def test_filter_changes_the_overlay():
    spec = load(Overrides(filter="glasses"), LINE.replace("overlay: glasses", "overlay: {}"))
    assert stage(spec, "overlay").properties == {"filter": "glasses"}


def test_tracks_take_the_place_of_the_models():
    text = LINE.replace("  - overlay", "  - detect\n  - landmarks\n  - smooth\n  - overlay")
    spec = load(Overrides(tracks="t.jsonl"), text)
    assert ids(spec) == ["capture", "tracks", "overlay", "sink"]
    assert stage(spec, "tracks").properties == {"path": "t.jsonl"}
    assert ids(load(Overrides(tracks="t.jsonl"))) == ["capture", "tracks", "overlay", "sink"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (Overrides(sets=("a",)), "--set a: write it as ID.PROPERTY=VALUE"),
        (Overrides(sets=("overlay=1",)), "--set overlay=1: write it as"),
        (Overrides(sets=("overlai.x=1",)), "unknown stage id 'overlai'; did you mean 'overlay'?"),
        (
            Overrides(sets=("overlay.fliter=1",)),
            "--set overlay.fliter=1: overlay: unknown property",
        ),
        (Overrides(sets=("overlay.opacity=[",)), "--set overlay.opacity=[: not valid YAML"),
        (Overrides(sets=("overlay.opacity=2",)), "opacity must be a number from 0 to 1, got 2"),
        (Overrides(sets=("overlay.queue.size=2",)), "unknown key of queue 'size'"),
        (Overrides(input=""), "--input: capture: source"),
        (Overrides(input="a\udcff"), "--input: is not valid UTF-8"),
        (Overrides(filter="glases"), "--filter: overlay: filter: "),
        (Overrides(sink="overlay"), "--sink overlay: overlay is no sink (known: auto, "),
        (Overrides(sink="windo"), "--sink windo: unknown sink 'windo'; did you mean 'window'?"),
        (Overrides(sink="x"), "unknown sink 'x' (known: auto, file, null, virtualcam, window)"),
        (Overrides(output="out"), "--output: file: 'out' has no known video extension"),
        (Overrides(output="a.webm", sets=("file.codec=ffv1",)), "--set file.codec=ffv1: file: "),
        (Overrides(duration_s=-1), "--duration: capture: duration must be"),
        (Overrides(duration_s=float("nan")), "--duration: capture: duration must be"),
    ],
)
def test_a_mistake_names_the_flag(overrides: Overrides, expected: str):
    assert expected in error_of(overrides)


def test_what_a_pipeline_cannot_take_is_refused():
    no_overlay = LINE.replace("  - overlay: glasses\n", "")
    assert "no stage of this pipeline has a filter" in error_of(Overrides(filter="x"), no_overlay)
    assert "tee with sinks of its own" in error_of(Overrides(sink="null"), TEE)
    two = TEE.replace("'null'", "file: {id: b, path: b.mp4}")
    assert "has 2 file sinks; use --set ID.path=o.mp4" in error_of(Overrides(output="o.mp4"), two)
    push = LINE.replace("capture: test", "appsrc: {width: 4, height: 4}")
    assert "--input: the source appsrc" in error_of(Overrides(input="a"), push)
    assert "--duration: the source appsrc" in error_of(Overrides(duration_s=1), push)
