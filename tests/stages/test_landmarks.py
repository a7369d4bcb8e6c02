"""Following faces: who is who, when a face is lost, and when the detector runs."""

from __future__ import annotations

from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import pytest
from followed import World, at, follow, ids, install, number_of, stages

from vidfilter.models.landmarks import LandmarkModel
from vidfilter.pipeline.errors import InferenceError
from vidfilter.pipeline.frame import Frame
from vidfilter.stages._points import PASSES


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, context: Any) -> Any:
    """Run a world through the stages."""

    def run(world: World, **params: Any) -> list[Frame]:
        install(world, monkeypatch)
        return follow(world, context, **params)

    return run


def test_a_still_face_keeps_its_id_and_the_detector_rests(watch: Any) -> None:
    world = World([[at(300, 150)]] * 60)
    frames = watch(world, detect={"every": 20})
    assert ids(frames) == [[1]] * 60
    assert world.looks == [0, 20, 40]
    assert world.runs == 59 + PASSES
    face = frames[30].faces[0]
    np.testing.assert_allclose(face.landmarks_px, at(300, 150), atol=1e-3)
    assert face.score == pytest.approx(0.97)
    assert face.pose.yaw_deg == pytest.approx(0, abs=2)
    assert set(face.expressions) >= {"mouth_open", "smile"}
    x0, y0, x1, y1 = face.box_xyxy_px
    np.testing.assert_allclose((x0, x1), (249, 351), atol=5)
    np.testing.assert_allclose((y0, y1), (134, 230), atol=25)


def test_a_moving_face_is_followed_without_the_detector(watch: Any) -> None:
    world = World([[at(100 + 14 * n, 150)] for n in range(30)])
    frames = watch(world, detect={"every": 1000})
    assert ids(frames) == [[1]] * 30
    assert world.looks == [0]


def test_the_crop_of_a_face_at_rest_stays(watch: Any) -> None:
    rng = np.random.default_rng(0)
    world = World([[at(300, 150) + rng.normal(0, 0.5, (68, 2))] for _ in range(30)])
    watch(world, detect={"every": 1000})
    assert len({crop.centre_x for crop in world.crops[PASSES:]}) <= 3
    world = World([[at(300 + 3 * n, 150)] for n in range(30)])
    watch(world, detect={"every": 1000})
    assert len({crop.centre_x for crop in world.crops[PASSES:]}) > 10


def test_a_newcomer_is_found_within_every_frames(watch: Any) -> None:
    world = World([[at(150, 150)]] * 12 + [[at(150, 150), at(450, 150)]] * 20)
    found = ids(watch(world, detect={"every": 10}))
    assert found[19] == [1]
    assert found[20:] == [[1, 2]] * 12


def test_a_face_of_which_a_part_looks_like_one_too_is_one_person(watch: Any) -> None:
    world = World([[at(300, 150, 60), at(310, 160, 29)]] * 12)
    assert ids(watch(world, detect={"every": 1})) == [[1]] * 12


def test_a_first_face_is_found_at_once(watch: Any) -> None:
    world = World([[]] * 5 + [[at(300, 150)]] * 5)
    assert ids(watch(world, detect={"every": 100})) == [[]] * 5 + [[1]] * 5


def test_nobody_in_sight_costs_few_looks(watch: Any) -> None:
    world = World([[]] * 120)
    watch(world)
    assert len(world.looks) < 60
    assert max(np.diff(world.looks)) <= 3


def test_a_face_that_left_is_gone_on_that_frame(watch: Any) -> None:
    world = World([[at(300, 150)]] * 10 + [[]] * 10)
    assert ids(watch(world)) == [[1]] * 10 + [[]] * 10


def test_a_short_occlusion_keeps_the_id_and_a_long_one_does_not(watch: Any) -> None:
    for gap, after in ((12, 1), (60, 2)):
        world = World([[at(300, 150)]] * 10 + [[]] * gap + [[at(310, 150)]] * 10)
        found = ids(watch(world))
        assert found[-1] == [after]
        assert found[10 + gap + 3] == [after]


def test_a_weak_find_counts_only_where_somebody_was_just_lost(watch: Any) -> None:
    world = World([[at(300, 150)]] * 8 + [[]] * 4 + [[at(300, 150)]] * 8, weak=set(range(8, 20)))
    assert ids(watch(world))[-8:] == [[1]] * 8
    assert ids(watch(World([[at(300, 150)]] * 20, weak=set(range(20))))) == [[]] * 20


@pytest.mark.parametrize(("presence", "expected"), [(0.97, 5), (0.7, 2)])
def test_a_likely_find_counts_where_the_network_is_sure(
    context: Any, monkeypatch: pytest.MonkeyPatch, presence: float, expected: int
) -> None:
    world = World([[at(60 + 130 * k, 150, 40) for k in range(5)]])  # scores fall from 0.99 to 0.6
    install(world, monkeypatch)
    seen = World._seen
    monkeypatch.setattr(World, "_seen", lambda *args: (seen(*args)[0], presence))
    detect, points = stages(context)
    frame = detect.process(world.frame(0))
    frame = frame.with_(tags={**frame.tags, "sure_score": 0.84})
    assert len(points.process(frame).faces) == expected


def test_the_search_for_one_face_does_not_cost_another(watch: Any) -> None:
    both, alone = [at(150, 150), at(450, 150)], [at(150, 150)]
    world = World([both] * 10 + [alone] * 20, blind=set(range(11, 30)))
    found = ids(watch(world, detect={"every": 25}, landmarks={"min_presence": 0.9}))
    assert found[-1] == [1]


def test_a_jump_farther_than_a_person_moves_is_somebody_else(watch: Any) -> None:
    world = World([[at(100, 150)]] * 10 + [[at(500, 150)]] * 10)
    assert ids(watch(world)) == [[1]] * 10 + [[2]] * 10


def test_people_who_cross_keep_their_ids(watch: Any) -> None:
    faces = []
    for n in range(61):
        left, right = at(110 + 7 * n, 150), at(530 - 7 * n, 160)
        hidden = abs(n - 30) < 7  # the left one passes behind
        faces.append([right] if hidden else [left, right])
    frames = watch(World(faces), detect={"every": 5})
    first = {f.track_id: f.landmarks_px[:, 0].mean() for f in frames[10].faces}
    last = {f.track_id: f.landmarks_px[:, 0].mean() for f in frames[60].faces}
    assert len(first) == 2
    assert first.keys() == last.keys()
    for track_id, x in first.items():
        assert (last[track_id] > 320) == (x < 320)


def test_two_tracks_never_share_one_face(watch: Any) -> None:
    meeting = [[at(200 + 2 * n, 150), at(440 - 2 * n, 150)] for n in range(55)]
    merged = [[at(310, 150)]] * 10
    found = ids(watch(World(meeting + merged)))
    assert len(found[-1]) == 1


def test_a_cut_begins_anew(watch: Any) -> None:
    world = World([[at(300, 150)]] * 40, scenes=[0] * 15 + [1] * 25)
    frames = watch(world, detect={"every": 1000})
    assert ids(frames) == [[1]] * 15 + [[2]] * 25
    assert [f.seq for f in frames if f.discontinuity] == [15]


def test_a_gap_in_time_begins_anew(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([[at(300, 150)]] * 40)
    install(world, monkeypatch)
    detect, points = stages(context)
    numbers = [*range(5), *range(30, 35)]
    frames = [points.process(detect.process(world.frame(n))) for n in numbers]
    assert ids(frames) == [[1]] * 5 + [[2]] * 5


@pytest.mark.parametrize("stage", ["detect", "landmarks"])
def test_max_faces(watch: Any, stage: str) -> None:
    world = World([[at(100 + 140 * k, 150, 50) for k in range(4)]] * 20)
    frames = watch(world, **{stage: {"max_faces": 2}})
    assert ids(frames) == [[1, 2]] * 20


def test_pictures_stand_alone(watch: Any) -> None:
    faces = [[at(200, 150), at(450, 150)], [at(200, 150)], []]
    world = World(faces, tags=[{"file": f"{n}.jpg"} for n in range(3)])
    frames = watch(world, landmarks={"max_faces": 1})
    assert [len(f.faces) for f in frames] == [2, 1, 0]
    assert len({i for row in ids(frames) for i in row}) == 3
    first, second = frames[0].faces
    assert first.landmarks_px is not None
    assert second.landmarks_px is None
    assert second.score == pytest.approx(0.89, abs=0.01)


def test_pictures_show_weak_finds_that_the_network_confirms(watch: Any) -> None:
    world = World([[at(200, 150), at(450, 150)]], tags=[{"file": "a.jpg"}], weak={0})
    assert len(watch(world)[0].faces) == 2


def test_pictures_list_what_the_detector_found_and_the_network_denies(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World([[at(200, 150)]] * 2, tags=[{"file": "a.jpg"}, {}])
    install(world, monkeypatch)
    monkeypatch.setattr(World, "_seen", lambda *_: (at(0, 0), 0.1))
    frames = follow(world, context)
    assert [len(f.faces) for f in frames] == [1, 0]
    assert frames[0].faces[0].landmarks_px is None


def test_results_do_not_depend_on_timing(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a thread per stage the same frames get the same faces, whoever runs ahead."""
    rng = np.random.default_rng(2)
    faces = [
        [at(*rng.uniform(100, 500, 2) * (1, 0.5))] * int(rng.integers(0, 2)) for _ in range(60)
    ]
    alone, threaded = World(faces), World(faces)
    install(alone, monkeypatch)
    wanted = follow(alone, context)
    install(threaded, monkeypatch)
    detect, points = stages(context)
    queue: Queue[Frame] = Queue()
    numbers = range(len(faces))
    thread = Thread(target=lambda: [queue.put(detect.process(threaded.frame(n))) for n in numbers])
    thread.start()
    thread.join()  # detect is done before landmarks begins: as far ahead as it can be
    got = [points.process(queue.get()) for _ in numbers]
    assert ids(got) == ids(wanted)
    assert sorted(threaded.looks) == sorted(alone.looks)


def test_landmarks_alone_say_what_is_missing(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([[at(300, 150)]])
    install(world, monkeypatch)
    _, points = stages(context)
    assert points.process(world.frame(0)).faces == ()
    assert context.warnings == ["landmarks has no faces to start from: put detect before it"]


def test_values_that_are_not_finite_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LandmarkModel()

    class Broken:
        def run(self, *_: Any) -> list[np.ndarray]:
            return [np.full((1, 68, 2), np.nan), np.ones(1), np.ones((1, 68))]

    monkeypatch.setattr(model, "_session", Broken())
    with pytest.raises(InferenceError, match="not finite"):
        model.run(np.zeros((64, 64), np.uint8), [model.next_crop(at(30, 30, 20))])


def test_the_frame_number_is_read_back() -> None:
    assert number_of(World([[]] * 700).frame(678).luma) == 678
