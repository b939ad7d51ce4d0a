"""Where bars come from: the bundled sample, files, or Yahoo.

Each source gives bars of its own kind; what happens to them afterwards is the same for
all. Only Yahoo knows ``data.period``; ``data.start`` and ``data.end`` hold for all.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl

from src.v2.config import DataConfig
from src.v2.console import Track, no_progress, show_note
from src.v2.data import yahoo
from src.v2.data.bars import bars_fingerprint, clean_rows, find_equal_closes
from src.v2.data.files import read_file, read_files
from src.v2.data.losses import Cleaned, check_losses, list_reasons
from src.v2.data.store_bars import stored_bars
from src.v2.data.universe import (
    Universe,
    load_universe,
    mark_members,
    universe_coverage,
    universe_lines,
)
from src.v2.data.windows import last_final_date, window_of
from src.v2.errors import DataError
from src.v2.records import Coverage, Drop

SAMPLES = Path(__file__).parent / "sample"
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What a source gave: typed bars, tickers it failed to give, and remarks."""

    bars: pl.DataFrame
    dataset_name: str
    failed: tuple[Drop, ...] = ()
    notes: tuple[str, ...] = ()


def load_bars(
    config: DataConfig,
    own_columns: Collection[str] = (),
    bars_dir: Path | None = None,
    track: Track = no_progress,
) -> tuple[pl.DataFrame, pl.DataFrame | None, Coverage]:
    """Load, check and count the bars of a run.

    Parameters
    ----------
    config
        The section ``data``.
    own_columns
        Names of ``features.columns``, for source ``files``.
    bars_dir
        The store of Yahoo's bars; None for none.
    track
        Shows progress over downloads into the store.

    Returns
    -------
    tuple
        | date | ticker | open | high | low | close | volume | own columns | of the
        universe, as far as there, and | is a member | where `data.universe` says who was one;
        | date | close | of the market ticker, or None; and the coverage, whose fingerprint is
        that of both.

    Raises
    ------
    DataError
        When the bars cannot be used, naming why.
    SourceUnavailable
        When Yahoo gives nothing, and the store has nothing.
    """
    fetched = _fetch(config, own_columns, bars_dir, track)
    inside = _within(fetched.bars, config.start, config.end)
    market, remarks = _market_bars(inside, config)
    members = _members(config, inside)
    hidden = _market_names(config)
    asked = tuple(name for name in _asked(config, members) if name not in hidden)
    universe = inside.filter(~pl.col("ticker").is_in(hidden).fill_null(False))
    if asked:
        universe = universe.filter(pl.col("ticker").is_in(asked))
    failed = _not_given(asked, universe, fetched, config)
    cleaned = clean_rows(universe, config.min_history, config.calendar)
    check_losses(cleaned, config.max_dropped_share, failed)
    notes = (*fetched.notes, *remarks, *_remarks(cleaned))
    bars, known = cleaned.bars, None
    if members is not None:
        bars = mark_members(bars, members)
        others = set(inside["ticker"].unique()) - {*members.tickers, *hidden}
        known = universe_coverage(bars, members, others)
        notes = (*notes, *universe_lines(known))
    cleaned = dataclasses.replace(cleaned, bars=bars)
    coverage = _coverage(config, fetched, cleaned, failed, notes, market)
    return bars, market, dataclasses.replace(coverage, universe=known)


def source_universe(config: DataConfig) -> Universe | None:
    """Read the universe file, its tickers written as the source does; None without one."""
    if config.universe is None:
        return None
    universe = load_universe(config.universe)
    return universe.upper() if config.source == "yahoo" else universe


def _members(config: DataConfig, bars: pl.DataFrame) -> Universe | None:
    """Read the spans that touch the dates of the bars, of the tickers asked for."""
    universe = source_universe(config)
    if universe is None:
        return None
    first, last = (cast(dt.date | None, edge) for edge in (bars["date"].min(), bars["date"].max()))
    universe = universe.between(first, last)
    if not config.tickers:
        return universe
    asked = [_named(config, name) for name in config.tickers]
    strange = sorted(set(asked) - {*universe.tickers, *_market_names(config)})
    if strange:
        raise DataError(
            f"data.tickers must be members of data.universe between {first} and {last}; "
            f"{', '.join(strange[:_NAMES_SHOWN])} never is. Leave it out, or complete the file."
        )
    return universe.only(asked)


def _fetch(
    config: DataConfig, own_columns: Collection[str], bars_dir: Path | None, track: Track
) -> _Fetched:
    """Ask the configured source."""
    if config.source != "files" and own_columns:
        raise DataError(
            f"features.columns needs data.source files; got {config.source}, which has no "
            f"column {next(iter(own_columns))}."
        )
    if config.source == "sample":
        bars, notes = read_file(SAMPLES / f"{config.sample}.parquet")
        return _Fetched(bars, config.sample, notes=tuple(notes))
    if config.source == "files":
        if config.path is None:
            raise DataError("data.path must name a file or folder for data.source files.")
        read = read_files(config.path, own_columns)
        return _Fetched(read.bars, config.path.stem, read.failed, read.notes)
    tickers, wanted = yahoo_tickers(config), (config.period, config.start, config.end)
    if bars_dir is None or not config.yahoo.store:
        bars, failed = yahoo.download_bars(tickers, config.yahoo, *wanted)
        return _Fetched(bars, "yahoo", failed)
    bars, failed, remarks = stored_bars(bars_dir, tickers, config.yahoo, *wanted, track=track)
    for remark in remarks:
        show_note(f"{remark}.")
    return _Fetched(bars, "yahoo", failed, remarks)


def yahoo_tickers(config: DataConfig) -> tuple[str, ...]:
    """List the symbols that Yahoo is asked for: those of the universe and of the market.

    Without ``data.tickers`` they are those of the universe file on the dates asked for, and
    without that file ``data.default_tickers``.
    """
    names = config.tickers
    universe = None if names else source_universe(config)
    if universe is not None:
        newest = last_final_date(dt.datetime.now(dt.UTC))
        window = window_of(config.period, config.start, config.end, newest)
        names = universe.between(window.start, window.end or newest).tickers
    names = names or config.default_tickers
    market = () if config.market_ticker is None else (config.market_ticker,)
    return tuple(dict.fromkeys(name.upper() for name in (*names, *market)))


def _asked(config: DataConfig, members: Universe | None) -> tuple[str, ...]:
    """List the tickers to use; none means all that the source has."""
    if members is not None:
        return members.tickers
    names = config.tickers
    if config.source == "yahoo":
        names = names or config.default_tickers
    return tuple(dict.fromkeys(_named(config, name) for name in names))


def _named(config: DataConfig, ticker: str) -> str:
    """Write a ticker as the source does; Yahoo's are in upper case."""
    return ticker.upper() if config.source == "yahoo" else ticker


def _market_names(config: DataConfig) -> tuple[str, ...]:
    """Give the market's ticker as the source writes it; none without one."""
    return () if config.market_ticker is None else (_named(config, config.market_ticker),)


def _within(bars: pl.DataFrame, start: dt.date | None, end: dt.date | None) -> pl.DataFrame:
    """Keep the bars from start to end, and those without a date, to be counted."""
    inside = pl.lit(True)
    if start is not None:
        inside = inside & (pl.col("date") >= start)
    if end is not None:
        inside = inside & (pl.col("date") <= end)
    if start is None and end is None:
        return bars
    kept = bars.filter(inside | pl.col("date").is_null())
    if bars.height and not kept.height:
        first, last = bars.select(
            pl.col("date").min().alias("first"), last=pl.col("date").max()
        ).row(0)
        raise DataError(
            f"data.start and data.end must leave some bars; {start or '...'} to {end or '...'} "
            f"leaves none of {first} to {last}."
        )
    return kept


def _market_bars(
    bars: pl.DataFrame, config: DataConfig
) -> tuple[pl.DataFrame | None, tuple[str, ...]]:
    """Take out the market's | date | close |, with a remark on rows left out."""
    if config.market_ticker is None:
        return None, ()
    ticker = _named(config, config.market_ticker)
    cleaned = clean_rows(bars.filter(pl.col("ticker") == ticker), 2, config.calendar)
    if not cleaned.bars.height:
        raise DataError(
            f"data.market_ticker must be a ticker that the source has; {ticker} has no usable "
            "bars. Choose another one, or leave it empty for the mean of the universe."
        )
    lost = list_reasons(cleaned.drops, by_rows=True)
    remarks = (f"market {ticker}: rows dropped: {lost}",) if lost else ()
    return cleaned.bars.select("date", "close"), remarks


def _not_given(
    asked: Collection[str], universe: pl.DataFrame, fetched: _Fetched, config: DataConfig
) -> tuple[Drop, ...]:
    """List the tickers asked for that the source did not give, each once."""
    given = set(universe.get_column("ticker").unique())
    failed = {
        drop.ticker: drop
        for drop in fetched.failed
        if drop.ticker not in given and (not asked or drop.ticker in asked)
    }
    what = {"sample": "sample", "files": "file"}.get(config.source, "answer")
    if config.start is not None or config.end is not None:
        what += ", or not between data.start and data.end"
    for name in asked:
        if name not in given and name not in failed:
            failed[name] = Drop(name, f"not in the {what}", 0, whole_ticker=True, failed=True)
    return tuple(failed[name] for name in sorted(failed))


def _remarks(cleaned: Cleaned) -> tuple[str, ...]:
    """Say what is unusual about the bars that were kept."""
    remarks = []
    if cleaned.repaired:
        remarks.append(f"high or low was moved by rounding in {cleaned.repaired} rows")
    runs = find_equal_closes(cleaned.bars)
    if runs.height:
        longest = runs.sort("closes", "ticker", "last", descending=[True, False, False])
        shown = [
            f"{ticker} {closes} up to {last}"
            for ticker, closes, last in longest.head(_NAMES_SHOWN).iter_rows()
        ]
        more = runs.height - len(shown)
        rest = f", and {more} more runs" if more else ""
        remarks.append(f"equal closes in a row: {', '.join(shown)}{rest}")
    return tuple(remarks)


def _coverage(
    config: DataConfig,
    fetched: _Fetched,
    cleaned: Cleaned,
    failed: tuple[Drop, ...],
    notes: tuple[str, ...],
    market: pl.DataFrame | None,
) -> Coverage:
    bars = cleaned.bars
    dates = bars.get_column("date")
    content = bars
    if market is not None:
        named = market.with_columns(ticker=pl.lit(config.market_ticker))
        content = pl.concat([bars, named], how="diagonal")
    return Coverage(
        source=config.source,
        dataset_name=fetched.dataset_name,
        tickers=tuple(bars.get_column("ticker").unique().sort()),
        drops=tuple(sorted((*cleaned.drops, *failed), key=lambda drop: drop.ticker)),
        rows=bars.height,
        sessions=dates.n_unique(),
        first=cast(dt.date, dates.min()),
        last=cast(dt.date, dates.max()),
        fingerprint=bars_fingerprint(content),
        notes=notes,
    )
