"""Comparisons and searches keep the holdout of the project: another share would walk through it."""

from __future__ import annotations

from collections.abc import Sequence

from src.v2.config import Config, ValidationConfig
from src.v2.config_sources import project_section
from src.v2.errors import ConfigError
from src.v2.lifecycle.variations import without_flags

SETTING = "validation.holdout_share"


def refuse_moved_holdout(configs: Sequence[Config], words: Sequence[str]) -> None:
    """Refuse configurations whose holdout is not the one that the project's file gives.

    With a smaller share the folds are scored on sessions that are kept out of every choice; a
    later training with the usual share would call them unseen.

    Parameters
    ----------
    configs
        All that are to be walked forward.
    words
        The command line; it says which file and which of its profiles are the project's.

    Raises
    ------
    ConfigError
        Naming both shares, and where the share belongs.
    """
    files = without_flags(words, ("--variation",))
    usual = project_section(files, ValidationConfig, "validation").holdout_share
    other = next((one for one in configs if one.validation.holdout_share != usual), None)
    if other is not None:
        raise ConfigError(
            f"{SETTING} must stay that of config.yaml, {usual:g}, in comparisons and searches; got "
            f"{other.validation.holdout_share:g}. Another share scores folds on sessions that are "
            "kept out of every choice. Set it in config.yaml, for all commands, before the first "
            "of them."
        )
