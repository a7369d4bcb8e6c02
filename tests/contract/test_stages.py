"""What every stage promises, parametrised over everything registered."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from vidfilter.pipeline import Pipeline, PipelineSpec, Sink, Source, StageSpec, Transform
from vidfilter.pipeline.registry import stage_class, stage_names

NAMES = [name for name in stage_names() if not name.startswith("t-")]
# What a stage cannot do without; `{tmp}` becomes the test's folder.
NEEDED = {
    "appsrc": {"width": 64, "height": 48},
    "capture": {"source": "test"},
    "convert": {"to": "bgr24"},
    "file": {"path": "{tmp}/out.mp4"},
    "tracks": {"path": "{tmp}/tracks.jsonl"},
    "tracks_file": {"path": "{tmp}/tracks.jsonl"},
}
KINDS = (Source, Transform, Sink)


class QuietContext:
    """A context that only swallows messages."""

    stage_id = "tested"
    stopping = realtime = False

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def properties(name: str, folder) -> dict:
    """Return the least properties for stage `name`."""
    text = json.dumps(NEEDED.get(name, {})).replace("{tmp}", str(folder))
    return json.loads(text)


def of_kind(kind) -> list[str]:
    """Return the names of the stages of one kind."""
    return [name for name in NAMES if issubclass(stage_class(name), kind)]


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_is_of_one_kind_and_says_what_it_does(name):
    cls = stage_class(name)
    assert sum(issubclass(cls, kind) for kind in KINDS) == 1 or hasattr(cls, "resolve")
    assert (cls.__doc__ or "").strip()


@pytest.mark.parametrize("name", NAMES)
def test_every_property_is_described(name):
    params = stage_class(name).Params
    assert issubclass(params, BaseModel)
    assert params.model_config["extra"] == "forbid"
    bare = [key for key, field in params.model_fields.items() if not field.description]
    assert bare == []


@pytest.mark.parametrize("name", NAMES)
def test_the_shorthand_is_a_property(name):
    cls = stage_class(name)
    assert cls.shorthand is None or cls.shorthand in cls.Params.model_fields


@pytest.mark.parametrize("name", NAMES)
def test_stop_is_harmless_before_start_and_twice(name, tmp_path):
    cls = stage_class(name)
    stage = cls(cls.Params(**properties(name, tmp_path)), QuietContext())
    stage.interrupt()
    stage.stop()
    stage.stop()


@pytest.mark.parametrize("name", [n for n in of_kind(Transform) if n != "tracks"])
def test_a_transform_keeps_count_order_and_time(name, tmp_path):
    source = {"source": "test", "width": 160, "height": 120, "duration": 0.5}
    spec = PipelineSpec(
        (
            StageSpec("capture", "capture", source),
            StageSpec(name, "tested", properties(name, tmp_path)),
            StageSpec("appsink", "appsink"),
        )
    )
    pipeline = Pipeline(spec)
    seen = [(frame.seq, frame.pts, frame.time_base) for frame in pipeline.frames()]
    plain = Pipeline(PipelineSpec((spec.stages[0], spec.stages[2])))
    assert seen == [(frame.seq, frame.pts, frame.time_base) for frame in plain.frames()]
    assert len(seen) == 15
    assert pipeline.report().sinks[0].unaccounted == 0
