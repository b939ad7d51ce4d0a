"""All benchmarks, one after the other, and the page of their results.

    make bench
    make bench ARGS="--prices PRICES.parquet --qlib PYTHON --mlforecast PYTHON"
    make bench ARGS="--quick --only features"

Each benchmark runs in a process of its own on two cores; what it finds replaces its part of
benchmarks/RESULTS.md, between its marks and nowhere else. The page is replaced as a whole, after
each benchmark. One that cannot run, or fails, keeps its old numbers, and the page says why. Without
--prices the bars are seeded random walks, made on the spot: 424 tickers of 16 years.

A benchmark is a module with ``main(argv) -> dict`` that prints this record as JSON on its last
line when it is run; what it prints before is for people:

    {"tables": [{"title": "…", "columns": ["side", "CPU s"], "rows": [["here", "1.2"]]}],
     "sentences": ["…"],
     "versions": {"polars": "…"}}

Every cell is text. It gets ``--prices FILE``, a Parquet file of | date | ticker | open | high |
low | close | volume |, and what `SECTIONS` adds. To add one: write the module, and a line in
`SECTIONS`; its marks are put at the end of the page when it first runs. One whose module is not
there is left out. --quick shows its numbers and writes only a page that --results names.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    CORES,
    SEED,
    run_module,
    simulated_bars,
    size_of,
    versions,
)
from benchmarks.results import PAGE, keep_section, replace_section, section_text, write_page

QUICK_TICKERS, QUICK_SESSIONS = 10, 400
LIBRARIES = ("polars", "numpy", "xgboost")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page, and the benchmark that fills it.

    Parameters
    ----------
    words
        Further words for the module.
    environment
        Flag of the runner that names the interpreter that it needs.
    needs_bars
        Whether it takes ``--prices``.
    quick
        Whether it is cheap enough for ``--quick``.
    large
        Whether it needs half an hour and a large disk: only with ``--large``.
    """

    name: str
    title: str
    module: str
    words: tuple[str, ...] = ()
    environment: str | None = None
    needs_bars: bool = True
    quick: bool = False
    large: bool = False


FEATURES = "benchmarks.features"
SECTIONS = (
    Section("features", "Features, and the limit of the machine", FEATURES, quick=True),
    Section(
        "features_pandas",
        "Alpha158 here and in pandas",
        FEATURES,
        ("--against", "pandas", "--tickers", "100"),
        quick=True,
    ),
    Section(
        "features_mlforecast",
        "Alpha158 here and what mlforecast can express of it",
        FEATURES,
        ("--against", "mlforecast"),
        "mlforecast",
    ),
    Section(
        "features_qlib",
        "Alpha158 here and in qlib",
        FEATURES,
        ("--against", "qlib", "--tickers", "100"),
        "qlib",
    ),
    Section("train_cost", "What training costs beside the bare fits", "benchmarks.train_cost"),
    Section("report_cost", "What the explanation and the page cost", "benchmarks.report_cost"),
    Section(
        "shuffled_split",
        "What a shuffled split reports",
        "benchmarks.shuffled_split",
        needs_bars=False,
    ),
    Section(
        "external_memory",
        "A panel on disk",
        "benchmarks.external_memory",
        ("--tickers", "250", "500", "1000", "2000", "--years", "6", "--rows-at-once", "100000"),
        needs_bars=False,
    ),
    Section(
        "external_memory_large",
        "A panel of 50 million rows",
        "benchmarks.external_memory",
        ("--tickers", "10000", "--years", "20", "--rows-at-once", "500000"),
        needs_bars=False,
        large=True,
    ),
    Section("scaling", "More than one machine", "benchmarks.scaling", needs_bars=False),
    Section("serving", "Answers to requests", "benchmarks.serving"),
)


def main(argv: Sequence[str]) -> int:
    """Run what can be run; the exit code is 1 when a benchmark failed."""
    options = _options(argv)
    with tempfile.TemporaryDirectory() as scratch:
        shown = options.quick and options.results is None
        if shown:
            options.results = Path(scratch) / PAGE.name
            options.results.write_text("", encoding="utf-8")
        options.results = options.results or PAGE
        prices, about = _prices(options, Path(scratch))
        chosen = [each for each in SECTIONS if not options.only or each.name in options.only]
        failures = [each.name for each in chosen if not _fill(each, options, prices, about)]
        if shown:
            print(options.results.read_text(encoding="utf-8").strip())
    return 1 if failures else 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [each.name for each in SECTIONS]
    parser.add_argument("--prices", type=Path, help="Parquet file of daily bars")
    parser.add_argument("--qlib", type=Path, help="interpreter of an environment with pyqlib")
    parser.add_argument("--mlforecast", type=Path, help="interpreter of one with mlforecast")
    parser.add_argument("--only", nargs="+", choices=names, help="these sections")
    parser.add_argument("--quick", action="store_true", help="ten tickers, the cheap sections")
    parser.add_argument("--large", action="store_true", help="what needs 50 GB of disk, too")
    parser.add_argument("--timeout", type=float, default=7200.0, help="seconds for a section")
    parser.add_argument("--results", type=Path, help=f"page to write; without it {PAGE.name}")
    return parser.parse_args(argv)


def _prices(options: argparse.Namespace, scratch: Path) -> tuple[Path, str]:
    """Give the file of bars, made on the spot where none is named, and say which they are."""
    import polars as pl

    if options.prices is not None:
        bars, what = pl.read_parquet(options.prices), "daily bars of a file"
    else:
        bars = simulated_bars(QUICK_TICKERS, QUICK_SESSIONS) if options.quick else simulated_bars()
        what = f"simulated bars (seeded random walks, seed {SEED})"
    size = size_of(bars)
    about = (
        f"{what}: {size['tickers']} tickers, {size['sessions']:,} sessions from "
        f"{bars['date'].min()} to {bars['date'].max()}, {size['rows']:,} rows"
    )
    if options.prices is not None:
        return options.prices.resolve(), about
    path = scratch / "bars.parquet"
    bars.write_parquet(path)
    return path, about


def _fill(section: Section, options: argparse.Namespace, prices: Path, about: str) -> bool:
    """Run one benchmark and write its part of the page; False when it failed."""
    page = options.results.read_text(encoding="utf-8")
    reason = _hindrance(section, options)
    failed = False
    if reason is None:
        print(f"{section.name} ...", file=sys.stderr, flush=True)
        try:
            found = run_module(
                section.module, _words(section, options, prices), None, options.timeout
            )
            made = _made(section, options, about, found.get("versions", {}))
            page = replace_section(page, section.name, section.title, section_text(found, made))
        except (RuntimeError, KeyError, TypeError) as error:
            reason, failed = f"it failed: {error}", True
    if reason is not None:
        print(f"{section.name}: kept as it was: {reason}", file=sys.stderr)
        page = keep_section(page, section.name, reason)
    write_page(options.results, page)
    return not failed


def _hindrance(section: Section, options: argparse.Namespace) -> str | None:
    """Say why a benchmark cannot run; None when it can."""
    if find_spec(section.module) is None:
        return f"{section.module} is not there"
    if section.large and not options.large:
        return "--large asks for it"
    if options.quick and not section.quick:
        return "--quick leaves it out"
    if section.environment and getattr(options, section.environment) is None:
        return f"no environment was named with --{section.environment}"
    return None


def _words(section: Section, options: argparse.Namespace, prices: Path) -> list[str]:
    words = ["--prices", str(prices)] if section.needs_bars else []
    if section.environment:
        words += ["--python", str(getattr(options, section.environment).absolute())]
    return [*words, *section.words]


def _made(
    section: Section, options: argparse.Namespace, about: str, found: Mapping[str, Any]
) -> str:
    """Say on which machine, bars and versions the numbers stand, and how to repeat them."""
    with Path("/proc/meminfo").open() as file:
        memory = int(file.readline().split()[1]) / 2**20
    libraries = {"Python": platform.python_version()} | versions(LIBRARIES) | dict(found)
    words = ["--only", section.name]
    words += ["--prices", "PRICES.parquet"] * (options.prices is not None and section.needs_bars)
    words += [f"--{section.environment}", "PYTHON"] * (section.environment is not None)
    words += ["--large"] * section.large + ["--quick"] * options.quick
    bars = about if section.needs_bars else "its own, see below"
    return "\n".join(
        [
            f"- bars: {bars}",
            f"- machine: {platform.machine()}, {min(CORES, os.cpu_count() or 1)} of "
            f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}",
            f"- versions: {', '.join(f'{name} {number}' for name, number in libraries.items())}",
            f'- repeat: `make bench ARGS="{shlex.join(words)}"`',
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
