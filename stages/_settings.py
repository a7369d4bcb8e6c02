"""The settings that a stage adds to those of the stages before it."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]


class SettingsTag:
    """Joins a stage's own settings to those it receives, once for as long as both stay the same."""

    def __init__(self, own: Settings) -> None:
        self._own = own
        self._before: Settings | None = None
        self._joined = own

    def after(self, before: Settings | None) -> Settings:
        """Return `before`, which is one object for all frames of a stage, and our own."""
        if self._before is not before:
            self._before, self._joined = before, {**(before or {}), **self._own}
        return self._joined
