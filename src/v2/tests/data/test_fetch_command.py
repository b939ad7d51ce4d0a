"""The fetch command, in this process and as processes that are killed."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.v2 import fetch
from src.v2.data.store import read_stored
from src.v2.data.store_file import TEMPORARY, StoredBars, file_name, write_bars
from src.v2.tests.data.test_store import CLOSES, DAYS, LATER, START, _bars
from src.v2.tests.data.yahoo_server import Reply, YahooServer, no_data

ROOT = Path(__file__).parents[4]
WINDOW = ("--start", str(START), "--end", str(DAYS[LATER - 1]))
QUICK = ("--data.yahoo.attempts", "1", "--data.yahoo.backoff-sec", "0.01")


def flags(place: Path, *words: str) -> list[str]:
    folders = ["--paths.bars-dir", str(place / "bars"), "--paths.logs-dir", str(place / "logs")]
    return [*folders, *WINDOW, *QUICK, *words]


def run(place: Path, *words: str) -> int:
    return fetch.main(flags(place, *words))


def start(server: YahooServer, place: Path, *words: str) -> subprocess.Popen[str]:
    module = "src.v2.tests.data.redirected_fetch"
    return subprocess.Popen(
        [sys.executable, "-m", module, server.url, *flags(place, *words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},
    )


def test_the_table_tells_what_is_stored(
    server: YahooServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holes = [place for place in range(len(DAYS)) if place not in (20, 21, 30)]
    server.history("FULL1", DAYS, CLOSES)
    server.history("HOLY1", [DAYS[n] for n in holes], [CLOSES[n] for n in holes])
    server.history("OLDY1", DAYS[:40], CLOSES[:40])
    every = pl.date_range(DAYS[0], DAYS[-1], "1d", eager=True).to_list()
    server.history("COIN1", every, [1.0 + n for n in range(len(every))])
    words = ("--tickers", "full1", "HOLY1", "OLDY1", "COIN1", "--format")
    assert run(tmp_path, *words, "csv") == 0
    rows = {row["ticker"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert list(rows) == ["FULL1", "HOLY1", "OLDY1", "COIN1"]
    last = str(DAYS[LATER - 1])
    found = {name: (int(row["rows"]), row["gaps"], row["stale"]) for name, row in rows.items()}
    assert found["FULL1"] == (LATER, "0", "false")
    assert found["HOLY1"] == (LATER - 3, "3", "false")
    assert found["OLDY1"] == (40, "0", "true")
    assert found["COIN1"][1:] == ("", "false")
    assert (rows["FULL1"]["first"], rows["FULL1"]["last"]) == (str(START), last)
    assert {row["action"] for row in rows.values()} == {"new"}
    assert run(tmp_path, *words, "json") == 0
    shown = capsys.readouterr()
    assert [row["action"] for row in json.loads(shown.out)] == ["kept"] * 4
    assert "4 tickers: 4 kept; 1 stale; " in shown.err
    assert run(tmp_path, *words, "table") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [
        *("ticker", "rows", "first", "last", "gaps", "stale", "action", "reason")
    ]
    assert lines[4].split() == ["HOLY1", "72", str(START), last, "3", "no", "kept"]
    assert max(map(len, lines)) <= fetch.WIDTH


def test_failed_tickers_are_named_and_what_is_stored_is_kept(
    server: YahooServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.history("STAY2", DAYS, CLOSES)
    server.always("TYPO2", no_data("a \x1b[31mtrap"), status=404)
    assert run(tmp_path, "--tickers", "STAY2", "TYPO2") == 1
    shown = capsys.readouterr()
    assert "note: TYPO2 failed: " in shown.err and "1 failed, 1 new" in shown.err
    assert "\x1b" not in shown.out + shown.err
    server.close()
    later = ("--end", str(DAYS[LATER + 9]))
    assert run(tmp_path, "--tickers", "STAY2", *later) == 1
    shown = capsys.readouterr()
    assert "STAY2" in shown.out and "no connection to Yahoo" in shown.out
    assert shown.err.splitlines()[-1].startswith("error: Yahoo could not be reached (1 x no conn")
    assert "is kept (1 of 1 tickers)" in shown.err
    assert run(tmp_path, "--tickers", "STAY2") == 0, "nothing is missing, so nobody is asked"


def test_a_delisted_ticker_that_is_stored_is_no_failure(
    server: YahooServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.history("PAST3", DAYS[:40], CLOSES[:40])
    server.history("LIVE3", DAYS, CLOSES)
    assert run(tmp_path, "--tickers", "PAST3", "LIVE3") == 0
    server.always("PAST3", no_data(), status=404)
    assert run(tmp_path, "--tickers", "PAST3", "LIVE3", "--end", str(DAYS[LATER + 5])) == 0
    assert "PAST3 failed: " in (shown := capsys.readouterr().err)
    assert "its stored bars are kept" in shown


@pytest.mark.parametrize("end", ["2019-01-31", "1850-01-31"])
def test_a_window_before_all_that_is_stored(
    server: YahooServer, tmp_path: Path, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.history("AGED4", DAYS, CLOSES)
    assert run(tmp_path, "--tickers", "AGED4") == 0
    server.always("AGED4", no_data(), status=404)
    words = ("--start", "1849-01-02", "--end", end, "--format", "csv")
    capsys.readouterr()
    assert run(tmp_path, "--tickers", "AGED4", *words) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["rows"], row["action"]) == ("75", "failed")


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "xml"),
        ("--data.yahoo.overlap", "1"),
        ("--nope",),
        ("--data.default-tickers", ","),
    ],
)
def test_wrong_input_has_its_own_code(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert run(tmp_path, *words) == 2


def test_a_fetch_that_is_killed_goes_on_where_it_stopped(
    server: YahooServer, tmp_path: Path
) -> None:
    names = [f"K{n}" for n in range(24)]
    for name in names:
        server.history(name, DAYS, CLOSES)
    killed: list[subprocess.Popen[str]] = []
    lock = threading.Lock()

    def deadly(after: int) -> None:
        """Kill the process at the n-th request for bars from now on."""
        seen = [0]
        for name in names:
            inner = original[name]

            def answer(number: int, query: Any, inner: Any = inner) -> Reply:
                with lock:
                    seen[0] += query.get("range") != ["1d"]
                    if seen[0] == after and killed:
                        killed[-1].kill()
                reply: Reply = inner(number, query)
                return reply

            server.behaviours[name] = answer

    original = dict(server.behaviours)
    words = ("--tickers", *names, "--data.yahoo.batch-size", "4")
    there = 0
    generator = random.Random(3)
    for _ in range(3):
        deadly(generator.randint(5, 8))
        killed.append(start(server, tmp_path, *words))
        killed[-1].communicate(timeout=60)
        assert killed[-1].returncode == -signal.SIGKILL
        found = read_stored(tmp_path / "bars", names)
        assert len(found) > there, "each try comes further"
        there = len(found)
        assert all(stored.bars["date"].to_list() == DAYS[:LATER] for stored in found.values())
    server.behaviours = original
    asked = {name: server.bars_asked(name) for name in found}
    assert run(tmp_path, *words) == 0
    assert {name: server.bars_asked(name) for name in found} == asked
    assert len(read_stored(tmp_path / "bars", names)) == len(names)


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    old = StoredBars(_bars("ANY"), START, DAYS[-1], DAYS[-1])
    write_bars(tmp_path, "ANY", old)
    code = (
        "import sys, time; from pathlib import Path; import polars as pl\n"
        "def slowly(path, content):\n"
        "    with path.open('wb', buffering=0) as file:\n"
        "        for half in (content[:len(content) // 2], content[len(content) // 2:]):\n"
        "            file.write(half); time.sleep(0.004)\n"
        "Path.write_bytes = slowly\n"
        "from src.v2.data.store_file import StoredBars, read_bars, write_bars\n"
        "folder = Path(sys.argv[1]); old = read_bars(folder, 'ANY'); print('up', flush=True)\n"
        "for n in range(10**6):\n"
        "    bars = old.bars.with_columns(volume=pl.lit(float(n)))\n"
        "    write_bars(folder, 'ANY', StoredBars(bars, None, old.asked_to, old.asked_on))\n"
    )
    generator = random.Random(5)
    left = 0
    for _ in range(8):
        command = [sys.executable, "-c", code, str(tmp_path)]
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None and writer.stdout.readline() == "up\n"
        time.sleep(generator.uniform(0.01, 0.06))
        writer.kill()
        writer.wait(10)
        writer.stdout.close()
        stored = read_stored(tmp_path, ["ANY"])["ANY"]
        assert stored.asked_from is None and stored.bars["volume"].n_unique() == 1
        assert stored.bars.drop("volume").equals(old.bars.drop("volume"))
        left += len(list(tmp_path.glob(f"{TEMPORARY}*")))
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(TEMPORARY)} == {
        file_name("ANY")
    }
    assert left, "some of the kills came in the middle of a file"


def test_two_fetches_at_once_ask_once(server: YahooServer, tmp_path: Path) -> None:
    names = [f"W{n}" for n in range(6)]
    for name in names:
        server.history(name, DAYS, CLOSES)
        inner = server.behaviours[name]

        def slow(number: int, query: Any, inner: Any = inner) -> Reply:
            time.sleep(0.15)
            reply: Reply = inner(number, query)
            return reply

        server.behaviours[name] = slow
    words = ("--tickers", *names, "--format", "csv", "--data.yahoo.batch-size", "2")
    both = [start(server, tmp_path, *words) for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert {name: server.bars_asked(name) for name in names} == dict.fromkeys(names, 1)
    actions = sorted(out.count(",new,") for out, _ in ends)
    assert actions == [0, 6]
    assert not any("error" in err for _, err in ends)


def test_an_interrupted_fetch_keeps_its_batches(server: YahooServer, tmp_path: Path) -> None:
    names = [f"I{n}" for n in range(6)]
    for name in names[:3]:
        server.history(name, DAYS, CLOSES)
    for name in names[3:]:
        server.slowly(name, 30.0, "")
    words = ("--data.yahoo.batch-size", "3", "--data.yahoo.timeout-sec", "2")
    process = start(server, tmp_path, "--tickers", *names, *words)
    end = time.monotonic() + 60
    while not server.asked[names[3]] and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert list(read_stored(tmp_path / "bars", names)) == names[:3]
