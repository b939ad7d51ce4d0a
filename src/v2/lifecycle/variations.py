"""Named configurations out of one command line: files of settings, and sweeps of values."""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from src.v2.config import Config, setting_paths
from src.v2.console import show_note
from src.v2.errors import ConfigError
from src.v2.lifecycle.short_names import short_name, short_value

DEFAULT = "default"
"""Name of the configuration without a variation."""

DECIDING = ("seed", "data", "features", "label", "validation", "model", "evaluation")
"""Settings and sections that decide numbers, so that arms may differ in them."""

MAIN = ("model.learning_rate", "model.max_depth")
"""Settings that every run name shows, but for plain sweeps."""

_FILE_FLAGS = ("--config", "--data.path", "--data.sectors")
_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Arm:
    """One configuration among several.

    Parameters
    ----------
    name, run_name
        What it is called, and how MLflow shows it.
    words
        Words of a command line that make it out of the common ones.
    """

    name: str
    run_name: str
    config: Config
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """One setting and the values that it takes in turn, as they are written."""

    setting: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """A command line in its parts: files of settings, sweeps, and what holds for all arms."""

    files: tuple[str, ...]
    sweeps: tuple[Sweep, ...]
    common: tuple[str, ...]


def part_words(argv: Sequence[str]) -> Words:
    """Take files and sweeps out of a command line.

    A word that ends in .yaml or .yml is a file of settings, unless it belongs to a flag. Files keep
    their order; one that is named twice counts once.

    Raises
    ------
    ConfigError
        When a sweep is not written as ``section.setting=value,value``.

    Examples
    --------
    >>> part_words(["a.yaml", "--sweep", "model.max_depth=3,6", "--force-sample"])
    Words(files=('a.yaml',), sweeps=(Sweep(setting='model.max_depth', values=('3', '6')),), \
common=('--force-sample',))
    """
    files, sweeps, common = [], [], []
    left = list(argv)
    while left:
        word = left.pop(0)
        flag, equals, value = word.partition("=")
        if flag == "--variation":
            raise ConfigError(f"Files of settings are named without --variation; got {word!r}.")
        if flag == "--sweep":
            sweeps.append(_sweep(value if equals else (left.pop(0) if left else "")))
        elif word.endswith(_ENDINGS) and not word.startswith("-"):
            files.append(word)
        else:
            common.append(word)
            if word in _FILE_FLAGS and left:
                common.append(left.pop(0))
    return Words(tuple(dict.fromkeys(files)), tuple(sweeps), tuple(common))


def with_bare_switches(argv: Sequence[str], switches: Sequence[str]) -> list[str]:
    """Let switches stand alone: ``--compare.fresh`` is ``--compare.fresh true``."""
    found: list[str] = []
    for word, following in itertools.zip_longest(argv, argv[1:]):
        found.append(word)
        if word in switches and following not in ("true", "false"):
            found.append("true")
    return found


def without_flags(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Leave flags out, with their values.

    Parameters
    ----------
    words
        A command line in which every flag has a value.
    names
        Flags, as ``--n-trials``; one that ends in a dot stands for all that begin so.

    Examples
    --------
    >>> without_flags(["--seed", "7", "--tune.timeout=60"], ["--tune."])
    ['--seed', '7']
    """
    kept: list[str] = []
    out = False
    for word in words:
        if word.startswith("--"):
            name = word.partition("=")[0].replace("_", "-")
            out = any(
                name.startswith(given) if given.endswith(".") else name == given for given in names
            )
        if not out:
            kept.append(word)
    return kept


def lay_arms(words: Words, load: Callable[[Sequence[str]], Config], most: int) -> tuple[Arm, ...]:
    """Make every arm: the default, then each file with each combination of swept values.

    Parameters
    ----------
    load
        Reads a configuration from a command line.
    most
        More arms than this are refused.

    Returns
    -------
    tuple
        Of arms with the same settings the first alone is kept, which is said aloud. The default
        is left out where it forecasts something else than each of the others.

    Raises
    ------
    ConfigError
        When there is nothing to compare, or too much.
    """
    _refuse_contradictions(words)
    swept = [sweep.setting for sweep in words.sweeps]
    grid = list(itertools.product(*([(s.setting, v) for v in s.values] for s in words.sweeps)))
    chosen = list(itertools.product(words.files or (None,), grid))
    if not words.files and not words.sweeps:
        chosen = []
    count = len(chosen)
    if count + 1 > most:
        raise ConfigError(
            f"compare.max_arms allows {most} configurations, the default included; these are "
            f"{count + 1}. Leave some out, or raise --compare.max-arms."
        )
    default = load(words.common)
    arms = [Arm(DEFAULT, _run_name(DEFAULT, default, (*MAIN, *swept)), default)]
    for letter, (file, values) in zip(_letters(), chosen, strict=False):
        arms.append(_arm(letter, file, values, words.common, load))
    arms = _distinct(arms)
    if len(arms) < 2:
        raise ConfigError(
            "There is nothing to compare: name files of settings that differ from the default, as "
            "experiments/*.yaml, or sweep one, as --sweep label.forward_days=5,21,60."
        )
    return _without_lonely_default(arms)


def comparable(one: Config, other: Config) -> bool:
    """Tell whether two configurations forecast the same returns of the same bars."""
    return one.data == other.data and _horizon(one) == _horizon(other)


def deciding_settings(config: Config) -> dict[str, Any]:
    """Pick what decides an arm's numbers, nested, as plain values."""
    return config.model_dump(mode="json", include=set(DECIDING))


def _horizon(config: Config) -> tuple[int, int]:
    return config.label.entry_lag, config.label.forward_days


def _sweep(text: str) -> Sweep:
    name, equals, values = text.partition("=")
    setting = name.strip().replace("-", "_")
    chosen = tuple(value.strip() for value in values.split(",") if value.strip())
    known = [".".join(path) for path in setting_paths(Config) if path[0] in DECIDING]
    if not equals or not chosen or setting not in known:
        raise ConfigError(
            "--sweep must name a setting that decides numbers, with its values, as "
            f"--sweep label.forward_days=5,21,60; got {text!r}."
        )
    return Sweep(setting, tuple(dict.fromkeys(chosen)))


def _refuse_contradictions(words: Words) -> None:
    """Refuse a setting that is both swept and given for all, or swept twice."""
    swept = [sweep.setting for sweep in words.sweeps]
    twice = next((name for name in swept if swept.count(name) > 1), None)
    given = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in words.common}
    shorts = {"forward_days": "label.forward_days", "mode": "label.mode"}
    given |= {shorts[name] for name in given & shorts.keys()}
    both = next((name for name in swept if name in given), twice)
    if both is not None:
        raise ConfigError(
            f"{both} is swept and given a second time. Give its values once, in one --sweep."
        )


def _arm(
    letter: str,
    file: str | None,
    values: Sequence[tuple[str, str]],
    common: Sequence[str],
    load: Callable[[Sequence[str]], Config],
) -> Arm:
    words: tuple[str, ...] = () if file is None else ("--variation", file)
    words += tuple(f"--{name.replace('_', '-')}={value}" for name, value in values)
    parts = [] if file is None else [file.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]]
    parts += [f"{name.rpartition('.')[2]}={value}" for name, value in values]
    try:
        config = load([*common, *words])
    except ConfigError as error:
        error.add_note(f"in the arm {' '.join(parts)}")
        raise
    shown = (*(MAIN if file is not None else ()), *(name for name, _ in values))
    return Arm(" ".join(parts), _run_name(letter, config, shown), config, words)


def _run_name(letter: str, config: Config, settings: Sequence[str]) -> str:
    """Write a name that shows the main values, as exp_B_lr=0.01_depth=6."""
    values = []
    for setting in dict.fromkeys(settings):
        value: Any = config
        for part in setting.split("."):
            value = getattr(value, part)
        values.append(f"{short_name(setting)}={short_value(value)}")
    return "_".join(("exp", letter, *values))


def _letters() -> Iterator[str]:
    """Count in letters: A to Z, then AA, AB and on."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_uppercase, repeat=length):
            yield "".join(letters)


def _distinct(arms: Sequence[Arm]) -> list[Arm]:
    """Keep the first arm of each configuration, under a name of its own."""
    kept: dict[tuple[str, str], Arm] = {}
    for arm in arms:
        same = kept.setdefault((arm.config.fingerprint, str(arm.config.data.path)), arm)
        if same is not arm:
            show_note(f"{arm.name} has the settings of {same.name}, and is run as that.")
    names = [arm.name for arm in kept.values()]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"Two files of settings are called {twice}. Rename one of them.")
    return list(kept.values())


def _without_lonely_default(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    default, *others = arms
    if any(comparable(default.config, arm.config) for arm in others):
        return tuple(arms)
    show_note("the default forecasts something else than every arm, and is left out.")
    return tuple(others)
