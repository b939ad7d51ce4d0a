"""Flags of the command line, in the form that the settings library reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from src.v2.errors import ConfigError

SHORT_FLAGS: Mapping[str, str] = {
    "label.mode": "mode",
    "label.forward-days": "forward-days",
    "data.tickers": "tickers",
    "data.period": "period",
    "data.start": "start",
    "data.end": "end",
    "paths.model-path": "model-path",
}
"""Short flags of the commands that read bars, by the long flag they stand for."""

_LIST_FLAGS: tuple[str, ...] = (
    "--tickers",
    "--data.tickers",
    "--data.default-tickers",
    "--data.context",
    "--features.families",
)
_LIST_FLAGS += (
    "--predict.tickers",
    "--features.exclude",
    "--features.modules",
    "--label.rating-thresholds",
    "--columns",
    "--runs.columns",
)
SWITCHES = {
    "-y": "--paths.overwrite",
    "--yes": "--paths.overwrite",
    "--ui": "--runs.ui",
    "--open": "--report.open",
    "--full": "--fetch.full",
    "--register": "--mlflow.register-model",
    "--force": "--promote.force",
    "--rollback": "--promote.rollback",
    "--list": "--promote.list",
    "--audit": "--promote.audit",
}
_NEGATIVE_NUMBER = re.compile(r"^-\.?\d")


def normalise_argv(argv: Sequence[str]) -> list[str]:
    """Rewrite a command line into the form that the settings library reads.

    ``--tickers A B``, ``--tickers A,B`` and repeats become one flag with one
    comma-separated value; ``--force-sample`` and ``-y`` become the settings that they
    stand for.

    Examples
    --------
    >>> normalise_argv(["--tickers", "A", "B", "--tickers=C", "-y"])
    ['--tickers=A,B,C', '--paths.overwrite', 'true']
    """
    lists: dict[str, list[str]] = {}
    rest: list[str] = []
    words = list(argv)
    while words:
        flag, equals, value = words.pop(0).partition("=")
        if flag in _LIST_FLAGS:
            values = [value] if equals else []
            while words and (not words[0].startswith("-") or _NEGATIVE_NUMBER.match(words[0])):
                values.append(words.pop(0))
            if not values:
                raise ConfigError(f"{flag} needs at least one value, as {flag} A B or {flag} A,B.")
            lists.setdefault(flag, []).extend(values)
        elif flag == "--force-sample":
            rest += ["--data.source", "sample"]
        elif flag in SWITCHES and not equals:
            told = bool(words) and words[0] in ("true", "false")
            rest += [SWITCHES[flag], words.pop(0) if told else "true"]
        else:
            rest.append(flag + equals + value)
    return [f"{flag}={','.join(values)}" for flag, values in lists.items()] + rest


def long_flags(words: Sequence[str], short_flags: Mapping[str, str]) -> list[str]:
    """Write a command's short flags out, since one may bear the name of a section."""
    long = {f"--{short}": f"--{name}" for name, short in short_flags.items()}
    parted = (word.partition("=") for word in words)
    return [long.get(flag, flag) + equals + value for flag, equals, value in parted]
