"""Checks of several settings of one dataclass, for use in ``__post_init__``."""

from __future__ import annotations

from mirnagraph.config import require


def require_least(settings: object, least: int, *names: str) -> None:
    """Raise ConfigError for the first of the named settings that is below `least`."""
    for name in names:
        value = getattr(settings, name)
        require(value >= least, name, value, f"{least} or more")


def require_dropout(settings: object, *names: str) -> None:
    """Raise ConfigError for the first of the named settings that is not in [0, 1)."""
    for name in names:
        value = getattr(settings, name)
        require(0 <= value < 1, name, value, "in [0, 1)")
