"""Runs whose bars come from Yahoo through the store, with and without a network."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from src.v2 import fetch, predict, train
from src.v2.data.exchange import sessions_between
from src.v2.tests.data.test_store import closes_of
from src.v2.tests.data.yahoo_server import YahooServer
from src.v2.tests.workplace import SMALL, Workplace

FIRST, LAST = dt.date(2018, 1, 2), dt.date(2020, 12, 31)
QUICK = (
    *SMALL,
    *("--evaluation.permutations", "999", "--data.yahoo.attempts", "1"),
    *("--mlflow.enabled", "false"),
)
NAMES = ("SEA", "SEB", "SEC", "SED")


def test_training_and_ranking_go_on_without_a_network(
    server: YahooServer,
    make_workplace: Callable[[], Workplace],
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = sessions_between(FIRST, LAST, "XNYS")
    days = found.filter(found.is_between(FIRST, LAST)).to_list()
    for seed, name in enumerate(NAMES):
        server.history(name, days, closes_of(days, seed))
    place = make_workplace()
    words = [*place.flags(), *QUICK, "--tickers", *NAMES, "--start", str(FIRST)]
    window = ("--start", str(FIRST), "--end", str(days[-6]))
    assert fetch.main([*place.flags(), "--tickers", *NAMES, *window]) == 0
    server.close()
    capsys.readouterr()

    assert train.main([*words, "--end", str(days[-1]), "--data.yahoo.store", "false"]) == 1
    assert "error: Yahoo gave no bars" in capsys.readouterr().err

    assert train.main([*words, "--end", str(days[-1])]) == 0
    note = (
        "Yahoo could not be reached (4 x no connection to Yahoo): the stored bars are used, which "
        f"end on {days[-6]}"
    )
    assert f"note: {note}." in capsys.readouterr().err
    assert place.summary()["data_coverage"]["notes"][0] == note

    assert predict.main([*place.flags(), "--format", "csv"]) == 0
    shown = capsys.readouterr()
    assert f"note: {note}." in shown.err
    assert len(shown.out.splitlines()) == 1 + len(NAMES)
