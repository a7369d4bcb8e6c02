"""Reading pipeline.yaml: what is accepted, and that every mistake is one line that helps."""

from __future__ import annotations

from pathlib import Path

import config_stages  # noqa: F401 - registers the stages used here
import pytest

from vidfilter.pipeline import ConfigError, Leaky, StageSpec, TeeSpec, config

HEAD = "version: 1\nstages:\n"
SOURCE = "  - c-source: {}\n"
END = "  - c-file: {path: out.mp4}\n"
TWICE = "  - tee:\n    - [c-file: {{path: a.mp4}}]\n    - [c-file: {{id: two, path: {}}}]\n"


def load(stages: str) -> list[StageSpec | TeeSpec]:
    return list(config.loads(HEAD + stages, where="p.yaml").stages)


def error_of(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.loads(text, where="p.yaml")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_pipeline_keeps_order_ids_properties_and_positions():
    source, overlay, sink = load(SOURCE + "  - c-overlay: {id: hat, opacity: 0.5}\n" + END)
    assert [source.id, overlay.id, sink.id] == ["c-source", "hat", "c-file"]
    assert overlay.name == "c-overlay"
    assert overlay.properties == {"opacity": 0.5}
    assert str(overlay.where) == "p.yaml:4:5"


def test_a_bare_value_is_the_shorthand_property():
    assert load(SOURCE + "  - c-overlay: lips\n" + END)[1].properties == {"filter": "lips"}


def test_no_properties_may_be_written_in_four_ways():
    for item in ("c-overlay", "c-overlay:", "c-overlay: {}", "c-overlay: null"):
        assert load(f"{SOURCE}  - {item}\n{END}")[1].properties == {}


def test_a_stage_called_null_is_a_name_and_not_an_empty_value():
    assert load(SOURCE + "  - null\n")[1].name == "null"
    assert load(SOURCE + "  - null: {}\n")[1].name == "null"


def test_queue_limits_are_read():
    queue = load(SOURCE + "  - c-window: {queue: {leaky: downstream, max_frames: 2}}\n")[1].queue
    assert (queue.leaky, queue.max_frames) == (Leaky.DOWNSTREAM, 2)


def test_a_tee_nests_and_its_branches_hold_lists():
    tee = load(SOURCE + "  - tee:\n    - [c-window]\n    - [c-overlay: lips, c-file: {path: a}]\n")[
        1
    ]
    assert isinstance(tee, TeeSpec)
    assert [[s.name for s in branch] for branch in tee.branches] == [
        ["c-window"],
        ["c-overlay", "c-file"],
    ]


def test_timeouts_are_read():
    text = "version: 1\nstall_timeout: 2.5\nfirst_frame_timeout: 9\nstages:\n" + SOURCE + END
    spec = config.loads(text)
    assert (spec.stall_timeout_s, spec.first_frame_timeout_s) == (2.5, 9.0)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (
            SOURCE + "  - c-overlay: {fliter: x}\n" + END,
            "p.yaml:4:17: c-overlay: unknown property 'fliter'; did you mean 'filter'? "
            "(known: filter, faces, opacity, every, mirror, size, id, queue)",
        ),
        (SOURCE + "  - c-overlai\n" + END, "p.yaml:4:5: unknown stage 'c-overlai'; did you mean"),
        (SOURCE + "  - c-overlay: {faces: some}\n" + END, "4:24: c-overlay: faces must be one of"),
        (SOURCE + "  - c-overlay: {opacity: 2}\n" + END, "opacity must be a number from 0 to 1, g"),
        (SOURCE + "  - c-overlay: {opacity: '1'}\n" + END, "must be a number from 0 to 1, got '1'"),
        (SOURCE + "  - c-overlay: {opacity: yes}\n" + END, "from 0 to 1, got 'yes'"),
        (SOURCE + "  - c-overlay: {opacity: }\n" + END, "from 0 to 1, got nothing"),
        (SOURCE + "  - c-overlay: {opacity: .nan}\n" + END, "4:26: .nan is not a finite number"),
        (SOURCE + "  - c-overlay: {every: 0}\n" + END, "or null from 1 to 100 frames, got 0"),
        (SOURCE + "  - c-overlay: {mirror: 1}\n" + END, "mirror must be true or false, got 1"),
        (SOURCE + "  - c-overlay: {filter: 5}\n" + END, "filter must be text, got 5"),
        (SOURCE + "  - c-overlay: {size: [1, x]}\n" + END, "4:27: c-overlay: size: Input should"),
        (SOURCE + "  - c-overlay: {mirror: true, every: 2}\n" + END, "every exclude each other"),
        (SOURCE + "  - c-overlay: {filter: a, filter: b}\n" + END, "'filter' is given twice"),
        (SOURCE + "  - c-file: {}\n", "p.yaml:4:5: c-file: path is required: text"),
        (SOURCE + "  - c-window: lips\n", "c-window: properties must be a mapping"),
        (SOURCE + "  - {c-overlay: {}, c-window: {}}\n", "got 'c-overlay', 'c-window'"),
        (SOURCE + "  - {}\n", "each item is one stage such as"),
        (SOURCE + "  -\n", "each item is one stage such as"),
        (SOURCE + "  - c-window: {id: a.b}\n", "4:20: id must be a word of letters"),
        (SOURCE + "  - c-window: {queue: 3}\n", "queue must be a mapping"),
        (SOURCE + "  - c-window: {queue: {size: 3}}\n", "unknown key of queue 'size'"),
        (SOURCE + "  - c-window: {queue: {leaky: up}}\n", "one of none, upstream, downstream, g"),
        (SOURCE + "  - c-window: {queue: {max_frames: 0}}\n", "whole number from 1 to 256, got"),
        ("  - c-source: {queue: {max_frames: 2}}\n" + END, "is a source and has no input queue"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(stages: str, expected: str):
    assert expected in error_of(HEAD + stages)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (END, "3:5: c-file cannot come first: a pipeline begins with a source"),
        ("  - tee: [[c-window]]\n", "tee cannot come first"),
        (SOURCE, "must end in a sink or a tee, not in c-source"),
        (SOURCE + "  - c-overlay\n", "must end in a sink or a tee, not in c-overlay"),
        (SOURCE + "  - c-source: {id: b}\n" + END, "c-source is a source: it can only come first"),
        (SOURCE + END + "  - c-overlay\n", "5:5: c-file is a sink: nothing may follow it"),
        (SOURCE + "  - tee: [[c-window]]\n" + END, "5:5: nothing may follow a tee"),
        (SOURCE + "  - tee: [[c-overlay]]\n", "must end in a sink or a tee, not in c-overlay"),
        (SOURCE + "  - tee: []\n", "a tee holds a list of branches"),
        (SOURCE + "  - tee: {a: 1}\n", "a tee holds a list of branches"),
        (SOURCE + "  - tee:\n    - c-window: {}\n", "5:7: a tee holds a list of branches"),
        (SOURCE + "  - tee: [[c-window], [c-window]]\n", "id 'c-window' is given twice"),
        (SOURCE + TWICE.format("./a.mp4"), "6:32: two would write the same file as c-file"),
        (SOURCE + TWICE.format("a.part.mp4"), "6:32: two would write the same file as c-file"),
    ],
)
def test_an_impossible_order_is_refused(stages: str, expected: str):
    assert expected in error_of(HEAD + stages)


def test_two_names_of_one_place_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").symlink_to(".")
    text = error_of(HEAD + SOURCE + TWICE.format("here/a.mp4"))
    assert "two would write the same file as c-file" in text


def test_a_queue_that_leaks_on_the_way_to_a_file_is_refused():
    leaky = "{queue: {leaky: downstream}}"
    text = error_of(f"{HEAD}{SOURCE}  - c-overlay: {leaky}\n{END}")
    assert text.startswith("p.yaml:4:32: the queue of c-overlay may drop frames that c-file must")
    branch = f"  - tee:\n    - [c-window: {leaky}]\n    - [c-file: {{path: a}}]\n"
    assert len(load(SOURCE + branch)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "p.yaml:1:1: is empty"),
        ("# nothing\n", "is empty"),
        ("- a\n", "holds no mapping"),
        ("stages: []\n", "'version: 1' is missing"),
        ("version: 2\nstages: []\n", "1:10: version must be 1, got 2"),
        ("version: true\nstages: []\n", "version must be 1, got true"),
        ("version: 1\n", "'stages:' is missing"),
        ("version: 1\nstages: {}\n", "stages must be a list"),
        ("version: 1\nstage: []\n", "2:1: unknown key 'stage'; did you mean 'stages'?"),
        ("version: 1\nstall_timeout: 0\nstages: []\n", None),
        ("a: [1\n", "2:1: not valid YAML: expected ',' or ']'"),
        ("a: b: c\n", "1:5: not valid YAML: mapping values are not allowed here"),
        ("a: \x01\n", "1:4: control character"),
        ('a: "\\0"\n', "1:4: a NUL character is not allowed"),
        ("a: &x 1\nb: *x\n", "1:4: anchors and aliases"),
        ("a: !!python/object:os.system x\n", "1:4: tags such as"),
        ("a: 1\n---\nb: 1\n", "2:1: a second document"),
        ("%YAML 1.1\n---\na: 1\n", "directives such as %YAML"),
        ("a: 1\na: 2\n", "2:1: 'a' is given twice"),
        ("? [a]\n: 1\n", "a key must be one word"),
        ("[" * 2000, "nested deeper than 24 levels"),
        ("a: [" + "x, " * 20000 + "x]", "more than 10000 values"),
        ("#" * 1_000_001, "larger than 1000 kB"),
    ],
)
def test_text_that_is_no_pipeline_is_refused_in_one_line(text: str, expected: str | None):
    assert (expected or "stall_timeout must be a number above 0") in error_of(text) or not expected


def test_numbers_are_read_as_yaml_1_2_does():
    stages = load(SOURCE + "  - c-overlay: {every: 0o14, opacity: 1e-1, filter: 1:30}\n" + END)
    assert stages[1].properties == {"every": 12, "opacity": 0.1, "filter": "1:30"}


def test_a_file_is_read_and_named_in_errors(tmp_path: Path):
    path = tmp_path / "p.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + SOURCE + END).encode())
    assert len(config.load(path).stages) == 2
    path.write_bytes(b"version: 1\nstages: \xff\n")
    for bad, words in (
        (path, "not UTF-8 text (byte 19)"),
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "cannot be read: Is a directory"),
        (Path("/dev/zero"), "larger than 1000 kB"),
    ):
        with pytest.raises(ConfigError) as caught:
            config.load(bad)
        assert str(caught.value).startswith(f"{bad}: ")
        assert words in str(caught.value)


def test_the_packaged_pipeline_equals_the_one_at_the_root():
    root = Path(__file__).parents[2] / "pipeline.yaml"
    assert config.DEFAULT_PIPELINE.read_bytes() == root.read_bytes()
