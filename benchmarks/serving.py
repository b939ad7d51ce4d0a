"""What an answer of the server costs: latency by rows, and eight clients at once.

    python -m benchmarks.serving --prices PRICES.parquet

Trains a small model on the last bars of 20 tickers, builds packages of it for 50 tickers and for
all, serves each by ``python -m src.v2.serve`` in a process of its own, and asks it over the
loopback: about bars that the server carries, and about bars that are new, other ones each time. A
request is answered as `predict` would: by the features of the whole universe on the decision date,
whatever the model was fitted on. Counts and seconds of asking are bounded; a request that is not
answered with 200 ends the benchmark.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.measure import table

TRAINED_TICKERS, FEW_TICKERS, SESSIONS = 20, 50, 1100
ASKED = {1: 20, 30: 10, 1000: 5}
"""Requests by their rows."""

CLIENTS, BY_CLIENT = 8, 3
MOST_SECONDS = 30.0
"""Seconds after which a row of the table asks no more."""

START_SECONDS = 180.0
SETTINGS = {
    "label": {"forward_days": 20},
    "model": {"n_estimators": 100, "early_stopping_rounds": 0},
    "evaluation": {"permutations": 999},
}
COLUMNS = (
    "tickers",
    "bars",
    "rows",
    "clients",
    "requests",
    "p50 ms",
    "p95 ms",
    "CPU ms",
    "requests/s",
)


@dataclasses.dataclass(frozen=True)
class Asked:
    """Seconds of each request, of all of them together, and of the server's work on them."""

    seconds: list[float]
    whole: float
    cpu: float


def main(argv: Sequence[str]) -> dict[str, Any]:
    """Serve both universes, and give the table."""
    import polars as pl

    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--prices", required=True)
    bars = pl.read_parquet(parser.parse_args(argv).prices)
    days = bars["date"].unique().sort().tail(SESSIONS)
    bars = bars.filter(pl.col("date") >= days[0])
    complete = bars.group_by("ticker").len().filter(pl.col("len") == len(days))["ticker"].sort()
    trained = _trained(
        bars.filter(pl.col("ticker").is_in(complete.head(TRAINED_TICKERS).implode()))
    )
    lines, starts = [], []
    for names in (complete.head(FEW_TICKERS), complete):
        chosen = bars.filter(pl.col("ticker").is_in(names.implode()))
        with tempfile.TemporaryDirectory() as scratch:
            package = _package(trained, chosen, Path(scratch))
            with _served(package, Path(scratch)) as (port, start, process):
                lines += _measure(chosen, port, process.pid)
                starts.append(f"{start:.0f} s and {_resident_mib(process):.0f} MiB")
    sentences = [
        f"Carried are the last {_sessions()} sessions. Starting took {starts[0]} for "
        f"{FEW_TICKERS} tickers, {starts[1]} for all.",
        "Carried bars equal those of the server: the date is ranked once. New bars "
        'have other prices in each request; 1,000 rows are the last dates of every ticker. "New, '
        'the same" are sent by all clients at once, and computed once.',
        "One ranking is computed at a time. CPU ms are the server's own for a request, over all "
        "its threads.",
    ]
    return {"tables": [table(COLUMNS, lines, "Answers over the loopback")], "sentences": sentences}


def _trained(bars: Any) -> Any:
    """Train a small model."""
    from src.v2 import api

    return api.train(bars, SETTINGS)


def _package(trained: Any, bars: Any, scratch: Path) -> Path:
    """Build a package that serves a model for the universe of some bars."""
    from src.v2.data.bars import clean_bars
    from src.v2.data.context import Context
    from src.v2.model_source import ModelBars
    from src.v2.modeling.model_file import save_model
    from src.v2.serving.package import build_package
    from src.v2.serving.reference import cut_reference

    card = dataclasses.replace(trained.card, tickers=tuple(bars["ticker"].unique().sort()))
    model = save_model(trained.model, card, scratch / "model")
    cleaned, _ = clean_bars(bars, 2, 1.0)
    held = ModelBars(cleaned, None, Context(), None, cleaned["date"].max(), False)
    return build_package(scratch / "package", model, card, cut_reference(held, card, "benchmark"))


def _sessions() -> int:
    """Count the sessions that the features in force need, and a year more."""
    from src.v2.config import FeaturesConfig
    from src.v2.features.families import active_features
    from src.v2.serving.reference import SLACK

    features = active_features(FeaturesConfig(), ())
    return max(each.lookback for each in features) + 1 + SLACK


@contextmanager
def _served(package: Path, scratch: Path) -> Iterator[tuple[int, float, subprocess.Popen[bytes]]]:
    """Run the server until the block ends; give its port, and the seconds until it answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = ["--model", str(package), "--port", str(port), "--paths.logs-dir", str(scratch)]
    begin = time.perf_counter()
    with (scratch / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "src.v2.serve", *words], stdout=said, stderr=said
        )
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                raise RuntimeError(f"the server did not start: {(scratch / 'said').read_text()}")
            time.sleep(0.1)
        yield port, time.perf_counter() - begin, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        return _ask(port, "GET", "/ping", b"") == 200
    except OSError:
        return False


def _ask(port: int, method: str, path: str, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _measure(bars: Any, port: int, server: int) -> list[list[str]]:
    """Ask by one client with few and many rows, then by several at once."""
    tickers = bars["ticker"].n_unique()
    lines = []
    for kind in ("carried", "new"):
        for rows, count in ASKED.items():
            bodies = _bodies(bars, rows, kind == "new")
            found = _asked(port, server, bodies, 1, count)
            lines.append(_line(tickers, kind, rows, 1, found))
    same = _body(bars, 1, 2.0)
    for kind, bodies in (
        ("carried", _bodies(bars, 1, new=False)),
        ("new, the same", lambda _: same),
        ("new", _bodies(bars, 1, new=True, first=3.0)),
    ):
        together = _asked(port, server, bodies, CLIENTS, BY_CLIENT)
        lines.append(_line(tickers, kind, 1, CLIENTS, together))
    return lines


def _bodies(bars: Any, rows: int, new: bool, first: float = 1.01) -> Callable[[int], bytes]:
    """Give the body of each request by its number; new bars are none that came before."""
    return lambda number: _body(bars, rows, first + number / 1000 if new else 1.0)


def _body(bars: Any, rows: int, factor: float) -> bytes:
    """Write the last bars of one ticker, or of as many as it takes from one date back."""
    import polars as pl

    newest = bars.sort(["date", "ticker"], descending=[True, False]).head(rows)
    newest = newest.with_columns(pl.col("open", "high", "low", "close") * factor)
    plain = newest.with_columns(pl.col("date").dt.to_string("%Y-%m-%d"))
    split = {"columns": plain.columns, "data": [list(row) for row in plain.iter_rows()]}
    return json.dumps({"dataframe_split": split}).encode()


def _asked(
    port: int, server: int, bodies: Callable[[int], bytes], clients: int, count: int
) -> Asked:
    """Ask from some clients at once, each one request after the other."""
    seconds: list[float] = []
    wrong: list[int] = []
    sent = [
        [bodies(client * count + number) for number in range(count)] for client in range(clients)
    ]
    begin, cpu = time.perf_counter(), _cpu_seconds(server)

    def client(own: list[bytes]) -> None:
        for body in own:
            start = time.perf_counter()
            status = _ask(port, "POST", "/invocations", body)
            seconds.append(time.perf_counter() - start)
            if status != 200:
                wrong.append(status)
            if wrong or time.perf_counter() - begin > MOST_SECONDS:
                return

    threads = [threading.Thread(target=client, args=(own,)) for own in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise RuntimeError(f"a request was answered with {wrong[0]}")
    return Asked(seconds, time.perf_counter() - begin, _cpu_seconds(server) - cpu)


def _line(tickers: int, kind: str, rows: int, clients: int, asked: Asked) -> list[str]:
    ordered = sorted(asked.seconds)
    places = [ordered[round(share * (len(ordered) - 1))] * 1000 for share in (0.5, 0.95)]
    numbers = [rows, clients, len(ordered)]
    shown = [f"{place:,.0f}" for place in (*places, 1000 * asked.cpu / len(ordered))]
    counts = [f"{tickers:,}", kind, *(f"{number:,}" for number in numbers)]
    return [*counts, *shown, f"{len(ordered) / asked.whole:.1f}"]


def _cpu_seconds(server: int) -> float:
    """Give the CPU seconds that a process has used."""
    fields = Path(f"/proc/{server}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(process: subprocess.Popen[bytes]) -> float:
    """Give the memory that the server holds after all requests."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
