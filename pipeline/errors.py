"""Every error that vidfilter raises on purpose.

VidfilterError
├── ConfigError (ValueError)      decidable from YAML and flags; exit code 2
│   └── RegistryError (LookupError)   unknown stage, filter or model
├── CapsError (ValueError)        two stages cannot be linked; exit code 2
├── StageError                    something failed while running; exit code 1
│   ├── DeviceError (OSError)     camera, screen or virtual camera
│   ├── MediaError (OSError)      a file cannot be read or written
│   │   ├── DecodeError
│   │   └── EncodeError
│   ├── InferenceError
│   ├── StallError                a stage made no progress for too long
│   └── ShutdownError             a thread did not end before the deadline
└── ModelError
    └── WeightsError (ValueError) weights missing, damaged or of another model

`EndOfStream` and `Flushing` are signals between threads, not errors, and lie outside the tree.
"""

from __future__ import annotations


class VidfilterError(Exception):
    """Base of all errors here; `str(error)` is one line that says what to do."""

    exit_code = 1


class ConfigError(VidfilterError, ValueError):
    """A pipeline description is wrong; the message holds file, line and column where known."""

    exit_code = 2


class RegistryError(ConfigError, LookupError):
    """A stage, filter or model name is not known."""


class CapsError(VidfilterError, ValueError):
    """Two linked stages share no format; the message names both ends."""

    exit_code = 2


class StageError(VidfilterError):
    """A stage failed; `stage` is its id, `pts` the frame's where one was at hand."""

    def __init__(self, message: str, *, stage: str | None = None, pts: int | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.pts = pts


class DeviceError(StageError, OSError):
    """A camera, screen or virtual camera is missing, busy or gone."""


class MediaError(StageError, OSError):
    """A media file or stream cannot be read or written."""


class DecodeError(MediaError):
    """Input media cannot be decoded."""


class EncodeError(MediaError):
    """Output media cannot be encoded or written."""


class InferenceError(StageError):
    """A network returned values that are not finite."""


class StallError(StageError):
    """A stage made no progress within the stall timeout; `stack` is where its thread stood."""

    def __init__(self, message: str, *, stage: str | None = None, stack: str = "") -> None:
        super().__init__(message, stage=stage)
        self.stack = stack


class ShutdownError(StageError):
    """Threads were still alive at the shutdown deadline."""


class ModelError(VidfilterError):
    """A model cannot be used."""


class WeightsError(ModelError, ValueError):
    """A weights file is missing, damaged or belongs to another model."""


class EndOfStream(Exception):
    """No further item will come: the queue ended and is drained."""


class Flushing(Exception):
    """The queue was flushed: drop what you hold and end."""
