"""``python -m src.v2.serve``: answer requests for forecasts on this machine, or score a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from src.v2.config import Config
from src.v2.config_sources import load_config
from src.v2.console import log_to, run_command, show_note
from src.v2.errors import ConfigError

if TYPE_CHECKING:
    from src.v2.model_source import ModelSource
    from src.v2.serving.answers import Scorer

COMMAND = "python -m src.v2.serve"
SHORT_FLAGS = {
    "serve.model": "model",
    "serve.port": "port",
    "serve.build-only": "build-only",
    "serve.score": "score",
    "serve.out": "out",
    "serve.as-of": "as-of",
    "data.period": "period",
}
ABOUT = """\
Answer requests for forecasts on 127.0.0.1: bars of one or more tickers in, rank, forecast and
reasons out, computed as predict does, with the newest bars of the other tickers.

  python -m src.v2.serve --model models:/stock_prediction@champion --port 5001
  python -m src.v2.serve --build-only served            # a folder for mlflow models serve
  python -m src.v2.serve --model served                 # serve that folder, as it is
  python -m src.v2.serve --score bars.csv --out forecasts.csv

The bars of the other tickers are those of the moment of building; starting or building again
refreshes them. How to ask, and what comes back: docs/serving.md.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give the exit code; Ctrl-C is how a server ends, and gives 0."""
    return run_command(_command, argv)


def _command(argv: Sequence[str]) -> int:
    config = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT)
    with log_to(config.paths.logs_dir):
        if config.serve.score is not None:
            return _score(config, argv)
        if config.serve.build_only is not None:
            package = _build(config, argv, config.serve.build_only)
            show_note(f"{package} is ready: {COMMAND} --model {package}")
            return 0
        return _serve(config, argv)


def _serve(config: Config, argv: Sequence[str]) -> int:
    """Serve a package, made for the occasion unless one is named."""
    from src.v2.run_folders import temporary_folder
    from src.v2.tracking.local_server import bind_port, ended_by_the_user, say

    listener = bind_port(config.serve.port, "serve.port", "make serve")
    with (
        listener,
        ended_by_the_user(),
        temporary_folder("omninmo-serving-") as scratch,
    ):
        say("Starting the server, a few seconds ...")
        package = _named_package(config) or _build(config, argv, scratch / "package")
        from src.v2.serving.package import packaged_model
        from src.v2.serving.server import serve_package

        show_note(f"serving {packaged_model(package)}.")
        serve_package(package, listener)
    return 0


def _named_package(config: Config) -> Path | None:
    """Give the package that --model names, if it is one."""
    from src.v2.model_source import refuse_unnamed_modules
    from src.v2.serving.package import is_package, package_card

    named = config.serve.model
    if named is None or not is_package(Path(named)):
        return None
    refuse_unnamed_modules(config, package_card(Path(named)))
    return Path(named)


def _build(config: Config, argv: Sequence[str], folder: Path) -> Path:
    """Write a package of the model that is named and the newest bars of its universe."""
    from src.v2.serving.package import build_package, refuse_foreign_folder

    if _named_package(config) is not None:
        raise ConfigError(
            "--build-only needs a model, as models:/stock_prediction@champion or a model folder; "
            f"{config.serve.model} is a package already."
        )
    refuse_foreign_folder(folder)
    source, scorer = _newest(config, argv)
    return build_package(folder, source.path, scorer.card, scorer.reference)


def _newest(config: Config, argv: Sequence[str]) -> tuple[ModelSource, Scorer]:
    """Find the model, and the newest bars of its universe."""
    from src.v2.api import load
    from src.v2.model_source import (
        card_overlay,
        find_model,
        load_model_bars,
        refuse_unnamed_modules,
    )
    from src.v2.serving.answers import Scorer
    from src.v2.serving.reference import cut_reference

    source = find_model(config.serve.model, config)
    for told in source.notes:
        show_note(told)
    model, card = load(source.path)
    own = load_config(argv, SHORT_FLAGS, COMMAND, ABOUT, overlay=card_overlay(card))
    refuse_unnamed_modules(config, card)
    reference = cut_reference(load_model_bars(own, card), card, source.shown)
    return source, Scorer(model, card, reference)


def _score(config: Config, argv: Sequence[str]) -> int:
    """Score the bars of a file without a server."""
    from src.v2.serving.files import check_target, read_rows, write_rows

    assert config.serve.score is not None
    if config.serve.out is not None:
        check_target(config.serve.out, config.serve.score)
    package = _named_package(config)
    if package is not None:
        from src.v2.serving.package import package_scorer

        scorer = package_scorer(package)
    else:
        _, scorer = _newest(config, argv)
    given = read_rows(config.serve.score, scorer.reference)
    day = config.serve.as_of
    rows = scorer.answer(given, "" if day is None else day.isoformat())
    show_note(f"model {scorer.reference.model}; {rows.height} of {rows['ranked'][0]} tickers.")
    if rows["in_sample"][0]:
        show_note("in-sample: the model was fitted on what came after this date; no forecast.")
    sys.stdout.write(write_rows(rows, config.serve.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
