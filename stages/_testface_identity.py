"""Invent people for the test face: colours, hair style and proportions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
STYLES = ("short", "side", "long", "bangs", "curls", "buzz", "bun")


@dataclass(frozen=True, slots=True)
class Identity:
    """Hold what makes one face: colours in BGR 0..255, shape factors around 1."""

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    shirt: Colour
    style: str
    width: float = 1.0
    jaw: float = 1.0
    nose_width: float = 1.0
    nose_length: float = 1.0
    eye_size: float = 1.0
    eye_tilt: float = 0.0
    brow_weight: float = 1.0
    lip_fullness: float = 1.0
    mouth_width: float = 1.0
    beard: float = 0.0
    freckles: float = 0.0
    make_up: float = 0.0
    seed: int = 0


_SKINS = ((178, 198, 230), (166, 190, 228), (140, 172, 216), (110, 146, 198), (82, 116, 168),
          (58, 86, 132), (44, 66, 104))  # fmt: skip
_HAIRS = ((24, 24, 28), (34, 46, 66), (40, 60, 96), (52, 86, 138), (86, 136, 190), (40, 66, 152),
          (132, 134, 140))  # fmt: skip
_IRISES = ((36, 62, 98), (44, 84, 128), (128, 108, 70), (168, 128, 72), (78, 118, 84))
_SHIRTS = ((122, 90, 46), (70, 92, 168), (96, 116, 62), (168, 158, 150), (60, 56, 58),
           (92, 62, 120), (70, 140, 190))  # fmt: skip


def make_identity(rng: np.random.Generator) -> Identity:
    """Draw one plausible identity; same generator state, same face."""
    tone = int(rng.integers(len(_SKINS)))
    skin = _jitter(rng, _SKINS[tone], 0.05)
    hair = _jitter(rng, _HAIRS[int(rng.integers(3 if tone > 3 else len(_HAIRS)))], 0.12)
    style = STYLES[int(rng.integers(len(STYLES)))]
    feminine = style in ("long", "bangs", "bun") or rng.random() < 0.3
    make_up = float(rng.uniform(0.2, 0.9)) if feminine else 0.0
    red = np.array((88.0, 82.0, 190.0)) if tone < 4 else np.array((62.0, 52.0, 140.0))
    lips = 0.75 * np.array(skin) * (0.80, 0.74, 0.95) + 0.25 * red
    lips = lips * (1 - 0.35 * make_up) + 0.35 * make_up * red

    def around(spread: float) -> float:
        return float(np.clip(rng.normal(1.0, spread), 1 - 2 * spread, 1 + 2 * spread))

    return Identity(
        skin=skin, hair=hair,
        iris=_jitter(rng, _IRISES[int(rng.integers(2 if tone > 3 else len(_IRISES)))], 0.1),
        lips=(float(lips[0]), float(lips[1]), float(lips[2])),
        shirt=_jitter(rng, _SHIRTS[int(rng.integers(len(_SHIRTS)))], 0.15),
        style=style, width=around(0.03), jaw=around(0.05) - 0.03 * feminine,
        nose_width=around(0.09) * (1.12 if tone > 4 else 1.0), nose_length=around(0.04),
        eye_size=around(0.09) + 0.06 * feminine, eye_tilt=float(rng.normal(0, 0.012)),
        brow_weight=around(0.18) * (0.8 if feminine else 1.3),
        lip_fullness=around(0.12) * (1.06 if feminine or tone > 4 else 0.93),
        mouth_width=around(0.05),
        beard=0.0 if feminine else float(rng.choice((0.0, 0.15, 0.3, 0.8))),
        freckles=float(rng.random() < 0.3) * float(tone < 3), make_up=make_up,
        seed=int(rng.integers(2**31)),
    )  # fmt: skip


def _jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    """Vary brightness by `amount` and the hue by a fifth of it: skin and hair stay natural."""
    change = rng.normal(1, amount) * rng.normal(1, amount / 5, 3)
    b, g, r = np.clip(np.array(colour) * np.clip(change, 0.6, 1.4), 8, 245)
    return float(b), float(g), float(r)
