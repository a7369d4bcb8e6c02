"""What a recipe's run is made with, and that a run is continued with the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...pipeline.errors import ConfigError
from .whole_files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

TRUNKS = ("random", "own")
_FIXED = ("recipe", "depth", "normalised", "variants", "seed")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is made with.

    `trunks` are random, own, and paths or `file://` URLs of published checkpoints; each gets an
    end of its own. `minutes` bounds pretraining and training, not the preparation. `faces` bounds
    how many faces are trained on.
    """

    recipe: str
    data: Path
    out: Path
    trunks: tuple[str, ...] = ("own",)
    minutes: float = 60.0
    depth: int = 50
    normalised: bool = False
    variants: int = 1
    faces: int | None = None
    seed: int = 0
    resume: bool = False
    smoke: bool = False


def trunk_names(settings: Settings) -> dict[str, str]:
    """Return the trunks by the name of their folder in the run: the published ones by number."""
    return {
        trunk if trunk in TRUNKS else f"published{number}": trunk
        for number, trunk in enumerate(settings.trunks)
    }


def check_same(settings: Settings) -> None:
    """Raise ConfigError where the run that `settings` continues was made with others.

    What it kept would be taken for theirs: features of one encoder look like those of another.
    """
    path = _note(settings)
    if not path.is_file():
        return
    try:
        kept = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: not what an earlier run kept") from error
    for name, value in _fixed(settings).items():
        if kept.get(name, value) != value:
            what = f"{name} {kept[name]}, not {value}"
            raise ConfigError(f"{path}: this run has {what}; choose another folder")


def note_settings(settings: Settings) -> None:
    """Keep what a run that continues this one must have as well."""
    path = _note(settings)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_bytes(path, json.dumps({**kept, **_fixed(settings)}, indent=2).encode())


def _note(settings: Settings) -> Path:
    return settings.out / "settings.json"


def _fixed(settings: Settings) -> dict[str, Any]:
    """Return what may not change: the encoders, and all but where, how long and how many."""
    return {
        **{name: value for name, value in asdict(settings).items() if name in _FIXED},
        **{name: trunk for name, trunk in trunk_names(settings).items() if trunk not in TRUNKS},
    }
