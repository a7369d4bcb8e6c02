"""Any text at all is a pipeline or one ConfigError of one line, never another exception."""

from __future__ import annotations

import json

import config_stages  # noqa: F401 - registers the stages used here
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vidfilter.pipeline import ConfigError, PipelineSpec, config

VALID = """version: 1
stages:
  - c-source: {source: auto, duration_s: 3}
  - c-overlay: {filter: glasses, opacity: 0.5, size: [1, 2], queue: {leaky: none}}
  - tee:
      - [c-window: {queue: {max_frames: 2}}]
      - [c-file: {path: out.mp4}]
"""
PIECES = st.sampled_from(
    [
        "[",
        "]",
        "{",
        "}",
        ":",
        "- ",
        "\n",
        "  ",
        "&a ",
        "*a",
        "!!int ",
        "%YAML 1.1\n",
        "---\n",
        "|\n",
        "<<: ",
        "? ",
        "'",
        '"',
        '"\\U99999999"',
        "null",
        "~",
        ".inf",
        "1e999",
        "0x",
        "9" * 5000,
        "tee",
        "c-source",
        "c-file",
        "version: 1\n",
        "stages:\n",
        "path: a",
        "id: a",
        "queue",
        "\t",
        "\x00",
        "é",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
OVERRIDES = st.builds(
    config.Overrides,
    sets=st.lists(st.text(max_size=20) | st.just("c-overlay.size=[1"), max_size=2).map(tuple),
    input=st.none() | st.text(max_size=5),
    output=st.none() | st.text(max_size=5),
    sink=st.none() | st.text(max_size=5),
    filter=st.none() | st.text(max_size=5),
    duration_s=st.none() | st.floats(),
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(text: str, overrides: config.Overrides | None = None) -> None:
    try:
        spec = config.loads(text, where="p.yaml", overrides=overrides)
    except ConfigError as error:
        message = str(error)
        assert message
        assert "\n" not in message
    else:
        assert isinstance(spec, PipelineSpec)


@quick
@given(st.text() | st.lists(PIECES, max_size=30).map("".join))
def test_any_text(text: str):
    check(text)


@quick
@given(st.integers(0, len(VALID)), st.integers(0, 12), PIECES | st.text(max_size=4))
def test_a_pipeline_with_a_piece_replaced(at: int, length: int, piece: str):
    check(VALID[:at] + piece + VALID[at + length :])


@quick
@given(st.sampled_from(["c-source", "c-overlay", "c-file", "tee", "null"]), VALUES, VALUES)
def test_any_values_in_the_right_places(name: str, body: object, queue: object):
    stages = [{"c-source": None}, {name: body}, {"c-file": {"path": "a", "queue": queue}}]
    check(json.dumps({"version": 1, "stages": stages}))


@quick
@example(config.Overrides(sink="\n"))
@given(OVERRIDES)
def test_any_overrides(overrides: config.Overrides):
    check(VALID, overrides)


def test_the_pipeline_that_is_changed_above_is_valid():
    assert len(config.loads(VALID).stages) == 3
