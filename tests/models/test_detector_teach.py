"""What finished detectors teach: the same places in pictures and mirror images, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from skimage import data as pictures  # noqa: E402

import vidfilter.models  # noqa: E402
from vidfilter.models.training import detector_train  # noqa: E402
from vidfilter.models.training.detector_augment import Augmenter  # noqa: E402
from vidfilter.models.training.detector_data import Sample, renders  # noqa: E402
from vidfilter.models.training.detector_net import DetectorNet, decode_boxes, grid  # noqa: E402
from vidfilter.models.training.detector_teach import (  # noqa: E402
    Teachers,
    taught_loss,
    unmirrored,
)

SIDE = 256


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let torch wait for no other core, whatever else the machine does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shipped() -> Path:
    """Return the checkpoint of the shipped detector."""
    folder = Path(vidfilter.models.__file__).with_name("training") / "checkpoints"
    return folder / "detector.pt"


@pytest.fixture
def portrait() -> torch.Tensor:
    """Return the top of the astronaut's portrait, her face left of its middle."""
    luma = pictures.astronaut()[:SIDE, 130 : 130 + SIDE].mean(2).astype(np.float32)
    return torch.from_numpy(luma)[None, None]


def box_of_best(rows: torch.Tensor) -> torch.Tensor:
    """Return the box (4,) of the best cell of one picture."""
    best = rows[0, :, 0].argmax()
    return decode_boxes(rows[0], grid(SIDE, SIDE))[best]


def test_a_mirror_image_tells_of_the_same_face(shipped: Path, portrait: torch.Tensor) -> None:
    (net,) = Teachers.read([shipped]).nets
    plain = box_of_best(net(portrait))
    turned = box_of_best(unmirrored(net(portrait.flip(3)), SIDE))
    width = plain[2] - plain[0]
    assert (turned - plain).abs().max() < 0.1 * width
    # Off the middle, so that an answer still mirrored would lie elsewhere.
    assert (plain[0] + plain[2] - SIDE).abs() > 0.2 * width


def test_teachers_answer_as_one(shipped: Path, portrait: torch.Tensor) -> None:
    teachers = Teachers.read([shipped, shipped])
    answer = teachers.answer(portrait, np.random.default_rng(0))
    net = teachers.nets[0]
    both = torch.stack([net(portrait), unmirrored(net(portrait.flip(3)), SIDE)])
    assert torch.allclose(answer, both.mean(0)[..., :5], atol=1e-5)


def test_who_answers_alike_has_nothing_to_learn_and_who_does_not_gets_there() -> None:
    cells = grid(64, 64)
    torch.manual_seed(0)
    taught = torch.randn(2, len(cells), 5) * torch.tensor([1.0, 0.3, 0.3, 0.3, 0.3])
    loss, parts = taught_loss(torch.cat([taught, torch.zeros(2, len(cells), 10)], 2), taught, cells)
    assert abs(float(loss)) < 1e-4
    assert set(parts) == {"taught_score", "taught_box"}
    rows = torch.zeros(2, len(cells), 15, requires_grad=True)
    optimiser = torch.optim.Adam([rows], lr=0.05)
    for _ in range(200):
        loss, _ = taught_loss(rows, taught, cells)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    believed = taught[..., 0].sigmoid() > 0.25
    assert (rows[..., 0] - taught[..., 0]).abs()[believed].max() < 0.2
    found, wanted = (decode_boxes(each, cells)[believed] for each in (rows, taught))
    assert (found - wanted).abs().max() < 1.0


def test_a_taught_run_follows_its_teacher(shipped: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)
    samples = [*renders(singles=4, scenes=2), Sample("noise", "noise", "negative", noise)]
    settings = detector_train.Settings(tmp_path, tmp_path, rate=1e-4)
    teachers = Teachers.read([shipped])
    before = {name: value.clone() for name, value in teachers.nets[0].state_dict().items()}
    augmenter = Augmenter(samples, np.random.default_rng(2))
    run = detector_train.Trainer(settings, augmenter, teachers=teachers)
    run.net.load_state_dict(DetectorNet().state_dict())
    told = run.train_step()
    assert told["taught_score"] > 0
    assert "score" in told
    after = teachers.nets[0].state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
