"""The detector's training: what the network is taught on a canvas, and that a run resumes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vidfilter.models.detector import squares  # noqa: E402
from vidfilter.models.detector_rows import decode  # noqa: E402
from vidfilter.models.training import (  # noqa: E402
    detector_metrics,
    detector_mine,
    detector_train,
    detector_watch,
)
from vidfilter.models.training.detector_augment import Augmenter  # noqa: E402
from vidfilter.models.training.detector_data import Sample, renders  # noqa: E402
from vidfilter.models.training.detector_loss import assign  # noqa: E402
from vidfilter.models.training.detector_net import DetectorNet, OfSquares, decode_boxes, grid  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch wait for no other core, whatever else the machine does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)
    return [*renders(singles=4, scenes=2), Sample("noise", "noise", "negative", noise)]


def test_canvas_targets_lie_on_the_canvas(samples: list[Sample]) -> None:
    augmenter = Augmenter(samples, np.random.default_rng(1))
    canvases = [augmenter.canvas(128) for _ in range(60)]
    boxes = np.concatenate([c.boxes for c in canvases])
    assert len(boxes) >= 20
    assert (boxes >= 0).all()
    assert (boxes <= 128).all()
    for c in canvases:
        assert c.luma.shape == (128, 128)
        left, right = c.keypoints[:, 0], c.keypoints[:, 1]
        upright = np.abs(left[:, 1] - right[:, 1]) < np.abs(left[:, 0] - right[:, 0])
        assert (left[upright, 0] < right[upright, 0]).all(), "a mirrored face swaps its eyes"


def test_every_face_is_answered_for_by_cells_at_its_place() -> None:
    cells = grid(128, 128)
    faces = torch.tensor([[[10.0, 10, 22, 24], [40, 40, 120, 124], [0, 0, 0, 0]]])
    real = torch.tensor([[True, True, False]])
    boxes = torch.cat([cells[:, :2] - 10, cells[:, :2] + 10], 1)[None]
    face, target = assign(torch.full((1, len(cells)), 0.1), boxes, cells, faces, real)
    assert set(face[0].tolist()) == {-1, 0, 1}
    assert (target[0][face[0] < 0] == 0).all()
    for i in (0, 1):
        centres = cells[face[0] == i, :2]
        middle = (faces[0, i, :2] + faces[0, i, 2:]) / 2
        assert ((centres - middle).abs() <= 45).all()
        assert target[0][face[0] == i].max() == 1


def test_numpy_decoding_agrees_with_training() -> None:
    rows = DetectorNet().eval()(torch.rand(1, 1, 64, 96) * 255)[0].detach()
    cells = grid(64, 96)
    boxes = decode(rows.numpy(), cells.numpy())
    np.testing.assert_allclose(boxes, decode_boxes(rows, cells).numpy(), atol=1e-3)


def test_a_run_resumes_from_its_checkpoint(samples: list[Sample], tmp_path: Path) -> None:
    settings = detector_train.Settings(tmp_path, tmp_path, smoke=True)
    first = detector_train.Trainer(settings, Augmenter(samples, np.random.default_rng(2)))
    first.train_step()
    first.save()
    second = detector_train.Trainer(settings, Augmenter(samples, np.random.default_rng(3)))
    second.load(first.path)
    assert second.step == 1
    for name, value in first.net.state_dict().items():
        assert torch.equal(value, second.net.state_dict()[name])


def test_a_run_that_gains_nothing_stops_early(samples: list[Sample], tmp_path: Path) -> None:
    settings = detector_train.Settings(tmp_path, tmp_path, minutes=0.5, rate=0.0)
    watch = detector_watch.Watch(samples, patience=2)
    trainer = detector_train.Trainer(settings, Augmenter(samples, np.random.default_rng(2)), watch)
    watch.is_over(trainer.average)
    watch.best_precision = 1.0  # cannot be passed
    trainer.run()
    assert trainer.done < 1
    state = torch.load(trainer.path, weights_only=True)
    assert state["watch"]["waited"] == 2
    for name, value in state["watch"]["best"].items():
        assert torch.equal(state["average"][name], value)


def test_watching_uses_no_picture_of_the_training() -> None:
    samples = list(renders(singles=30, scenes=5))
    train, watched = detector_watch.set_apart(samples)
    assert len(train) + len(watched) == len(samples)
    assert watched
    assert not {s.group for s in train} & {s.group for s in watched}
    assert detector_watch.set_apart(samples[:3]) == (samples[:3], [])


def test_a_face_nobody_boxed_is_left_out_of_training() -> None:
    (scene,) = (s for s in renders(singles=0, scenes=2) if len(s.boxes) == 2)
    forgotten = scene.boxes[1]
    scene.boxes, scene.keypoints = scene.boxes[:1], scene.keypoints[:1]
    mined = detector_mine.mine([scene])
    detector_mine.apply([scene], mined)
    assert detector_metrics.pairwise_iou(forgotten[None], scene.unsure).max() > 0.5
    canvases = [Augmenter([scene], np.random.default_rng(i)).canvas(256) for i in range(20)]
    covered = sum(len(c.ignored) for c in canvases)
    assert covered >= 5


def test_the_checkpoint_to_continue_from_loads(samples: list[Sample], tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "models/training/checkpoints/detector.pt"
    settings = detector_train.Settings(tmp_path, tmp_path, smoke=True)
    trainer = detector_train.Trainer(settings, Augmenter(samples, np.random.default_rng(2)))
    trainer.load(path)
    assert trainer.step > 0
    state = torch.load(path, weights_only=True)
    for net in (trainer.net, trainer.average):
        for name, value in state["average"].items():
            assert torch.equal(net.state_dict()[name], value)
    assert path.stat().st_size <= 4_000_000


def test_squares_of_a_picture_give_the_rows_of_the_picture() -> None:
    torch.manual_seed(0)
    net = DetectorNet().eval()
    luma = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    plain = net(torch.from_numpy(luma)[None, None].float())
    rows = OfSquares(net)(torch.from_numpy(squares(luma)))
    torch.testing.assert_close(rows, plain)
