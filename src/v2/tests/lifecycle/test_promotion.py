"""Promotion in a real store: what moves, what stays, and what an interrupt leaves."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.v2.config import MlflowConfig
from src.v2.errors import DataError, ModelError, OmninmoError, TrackingError
from src.v2.evaluation.trial_log import TRIALS_NAME, Tried, record_trial
from src.v2.evaluation_records import Hurdle
from src.v2.lifecycle import promotion
from src.v2.lifecycle.gate import judge
from src.v2.lifecycle.promotion import promote, roll_back
from src.v2.tests.full_disk import small_files
from src.v2.tests.lifecycle.conftest import EVIDENCE, NO_EVIDENCE, Bench
from src.v2.tests.synthetic import weekdays
from src.v2.tracking.promotion_log import (
    PROMOTIONS_NAME,
    PromotionEvent,
    last_promoted,
    read_events,
    record_event,
)
from src.v2.tracking.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry

ROOT = Path(__file__).resolve().parents[4]


def _aliases(bench: Bench) -> dict[str, int]:
    return Registry(bench.store).aliases()


def test_the_first_champion_needs_no_rival(bench: Bench) -> None:
    bench.version(0.1)
    done = promote(bench.config())
    assert done.outcome == "promoted" and not done.forced and done.champion is None
    assert _aliases(bench) == {CHAMPION: 1}
    assert done.version.tags["gate"] == "passed"
    assert done.version.tags["audit"].startswith("passed on ")
    assert [event.outcome for event in read_events(bench.folder / "ledger")] == ["begun", "done"]


def test_a_better_challenger_takes_over_and_can_be_rolled_back(crowned: Bench) -> None:
    crowned.version(0.4)
    assert promote(crowned.config()).outcome == "promoted"
    assert _aliases(crowned) == {CHAMPION: 2, PREVIOUS: 1}
    back = roll_back(crowned.config(reason="it looks odd"))
    assert (back.outcome, back.version.version, back.champion) == ("rolled back", 1, 2)
    assert _aliases(crowned) == {CHAMPION: 1, PREVIOUS: 2}
    roll_back(crowned.config())
    assert _aliases(crowned) == {CHAMPION: 2, PREVIOUS: 1}
    events = read_events(crowned.folder / "ledger")
    assert [(event.action, event.outcome) for event in events[4:6]] == [
        ("rollback", "begun"),
        ("rollback", "done"),
    ]
    assert events[4].reason == "it looks odd"


def test_the_gate_says_no_and_nothing_moves(crowned: Bench) -> None:
    crowned.version(0.09, verdict=NO_EVIDENCE, audited=False)
    before = Registry(crowned.store).versions()
    done = promote(crowned.config())
    assert done.outcome == "refused" and done.gate is not None
    assert [check.name for check in done.gate.failed] == [
        "verdict",
        "audit",
        "better than the champion",
    ]
    assert Registry(crowned.store).versions() == before
    event = read_events(crowned.folder / "ledger")[-1]
    assert (event.outcome, event.version, event.champion) == ("refused", 2, 1)
    assert [check["passed"] for check in event.checks] == [False, True, False, False, True]


def test_what_was_tried_since_its_training_counts_against_a_version(bench: Bench) -> None:
    hurdles = (Hurdle("the mean rank IC", 0.004, 0.025), Hurdle("the permutation", 0.001, 0.05))
    version = bench.version(0.1, verdict=dataclasses.replace(EVIDENCE, hurdles=hurdles))
    days, ledger = weekdays(300), bench.folder / "ledger"
    names = ("data_fingerprint", "config_fingerprint", "code_hash")
    prints = (version.tags[name] for name in names)
    own = Tried(("A", "B"), days[0], days[-1], dt.date.today(), *prints)
    for tried in (own, *(dataclasses.replace(own, config_fingerprint=str(n)) for n in range(19))):
        record_trial(ledger, tried, rank_ic=0.02, sharpe=0.1)
    elsewhere = dataclasses.replace(own, tickers=("X", "Y"), config_fingerprint="elsewhere")
    record_trial(ledger, elsewhere, rank_ic=0.02, sharpe=0.1)
    done = promote(bench.config())
    assert done.outcome == "refused" and done.gate is not None
    (check,) = done.gate.failed
    assert check.value == (
        "evidence when trained as the 1st configuration, no longer with 20: p of the mean rank IC "
        "0.004 is not below 0.0013 (0.025 over 20 trials)"
    )
    (ledger / TRIALS_NAME).unlink()
    assert promote(bench.config()).outcome == "promoted"


def test_a_version_remembers_what_was_tried_on_another_machine(crowned: Bench) -> None:
    hurdles = (Hurdle("the mean rank IC", 1e-9, 0.025),)
    crowned.version(0.4, verdict=dataclasses.replace(EVIDENCE, trials=7, hurdles=hurdles))
    done = promote(crowned.config())
    assert done.outcome == "promoted" and done.gate is not None
    values = {check.name: check.value for check in done.gate.checks}
    assert values["verdict"] == "evidence with 7 configurations tried on its data"
    assert "to be below 0.0036 (0.025 over 7 trials)" in values["better than the champion"]


def test_force_promotes_and_leaves_its_mark_until_the_gate_says_yes(bench: Bench) -> None:
    bench.version(0.1, audited=False)
    done = promote(bench.config(force=True, reason="the old one is gone"))
    assert done.outcome == "promoted" and done.forced
    assert "the old one is gone" in done.version.forced
    assert done.version.tags["forced_checks"] == "audit"
    assert read_events(bench.folder / "ledger")[-1].forced
    bench.version(0.4)
    promote(bench.config())
    bench.audit("0.100000", failed=[])
    assert Registry(bench.store).by_number(1).forced
    promote(bench.config(version=1, force=True, reason="try"))
    assert "try" in Registry(bench.store).by_number(1).forced


def test_a_mark_of_force_goes_when_the_gate_lets_the_version_through(bench: Bench) -> None:
    bench.version(0.4, audited=False)
    promote(bench.config(force=True, reason="in a hurry"))
    bench.version(0.1)
    promote(bench.config(force=True, reason="for a day"))
    bench.audit("0.400000", failed=[])
    done = promote(bench.config(version=1))
    assert done.outcome == "promoted" and done.version.forced == ""


def test_force_where_the_gate_says_yes_leaves_no_mark(bench: Bench) -> None:
    bench.version(0.1)
    done = promote(bench.config(force=True, reason="to be sure"))
    assert not done.forced and done.version.forced == ""


def test_a_damaged_model_is_not_promoted_even_by_force(bench: Bench) -> None:
    version = bench.version(0.1)
    (booster,) = bench.folder.rglob(f"{version.tags['model_id']}/artifacts/model.ubj")
    booster.write_bytes(booster.read_bytes()[:-9])
    done = promote(bench.config(force=True, reason="now"))
    assert done.outcome == "refused" and done.gate is not None
    (check,) = done.gate.failed
    assert check.name == "model folder" and "was changed or damaged" in check.value
    assert CHAMPION not in _aliases(bench)


def test_an_audit_that_failed_since_counts(bench: Bench) -> None:
    bench.version(0.1)
    bench.audit("0.100000", failed=["label_in_features"])
    path = bench.folder / "ledger" / "audits.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["audited_at"] = "2999-01-01T00:00:00+00:00"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = promote(bench.config())
    assert done.gate is not None
    assert [check.name for check in done.gate.failed] == ["audit"]


def test_an_audit_in_mlflow_counts_where_the_ledger_has_none(bench: Bench) -> None:
    from src.v2.tracking.runs import training_run

    version = bench.version(0.1, audited=False)
    names = ("data_fingerprint", "config_fingerprint", "code_hash")
    tags = {"kind": "audit", **{name: version.tags[name] for name in names}}
    with training_run(bench.store, run_name="audit", tags=tags) as run:
        run.set_tags({"verdict": "audit passed"})
    done = promote(bench.config())
    assert done.outcome == "promoted"
    assert run.run_id in done.version.tags["audit"]


def test_old_bars_are_a_note_and_decide_nothing(bench: Bench) -> None:
    bench.version(0.1, last=dt.date.today() - dt.timedelta(days=90))
    done = promote(bench.config())
    assert done.outcome == "promoted" and done.gate is not None
    assert any("90 days ago" in note for note in done.gate.notes)


def test_another_horizon_is_named_not_compared(crowned: Bench) -> None:
    crowned.version(0.4, forward_days=20)
    done = promote(crowned.config())
    assert done.gate is not None
    (check,) = done.gate.failed
    assert "it forecasts 5 sessions ahead, this one 20" in check.value
    assert "--mlflow.registered-model-name" in check.remedy


def test_a_champion_registered_by_other_hands_is_named_not_compared(crowned: Bench) -> None:
    from src.v2.tracking.store import open_store

    registry = Registry(crowned.store)
    client = open_store(crowned.store).client
    champion = registry.by_alias(CHAMPION)
    place = client.get_model_version_download_uri(champion.name, "1")
    bare = client.create_model_version(champion.name, place, run_id=champion.run_id)
    registry.set_alias(CHAMPION, int(bare.version))
    crowned.version(0.4)
    done = promote(crowned.config())
    assert done.gate is not None
    (check,) = done.gate.failed
    assert "not registered by this project" in check.value


def test_a_champion_whose_run_lost_its_forecasts_is_named_not_compared(bench: Bench) -> None:
    bench.version(0.1)
    promote(bench.config())
    champion = Registry(bench.store).by_alias(CHAMPION)
    for path in bench.folder.rglob(f"{champion.run_id}/artifacts/*.*"):
        path.unlink()
    bench.version(0.4)
    done = promote(bench.config())
    assert done.gate is not None
    (check,) = done.gate.failed
    assert "cannot be compared with version 1" in check.value


def test_a_challenger_without_a_record_is_refused_with_the_remedy(bench: Bench) -> None:
    version = bench.version(0.1)
    for path in bench.folder.rglob(f"{version.run_id}/artifacts/run.json"):
        path.write_text('{"result": {}}')
    with pytest.raises(DataError, match=r"keeps a damaged record: KeyError .*Train again"):
        promote(bench.config())


def test_the_champion_is_not_asked_again(crowned: Bench) -> None:
    assert promote(crowned.config(version=1)).outcome == "already"
    with pytest.raises(ModelError, match="has the alias 'challenger'"):
        promote(crowned.config())


def test_there_is_nothing_to_roll_back_to(crowned: Bench) -> None:
    with pytest.raises(ModelError, match=r"champion is 1, previous_champion none"):
        roll_back(crowned.config())


STEPS = ("set_tags", "set_alias", "drop_alias")


@pytest.mark.parametrize("stop", range(4))
def test_an_interrupt_between_two_steps_leaves_a_champion_and_asking_again_ends_it(
    crowned: Bench, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    crowned.version(0.4)
    done = 0

    def stopping(real: Callable[..., None]) -> Callable[..., None]:
        def step(self: Registry, *words: Any) -> None:
            nonlocal done
            if done == stop:
                raise KeyboardInterrupt
            done += 1
            real(self, *words)

        return step

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(Registry, name, stopping(getattr(Registry, name)))
        with pytest.raises(KeyboardInterrupt):
            promote(crowned.config())
    between = _aliases(crowned)
    assert between[CHAMPION] == (2 if stop == 3 else 1)
    assert between[CHALLENGER] == 2
    assert promote(crowned.config()).outcome == ("already" if stop == 3 else "promoted")
    assert _aliases(crowned) == {CHAMPION: 2, PREVIOUS: 1}
    assert read_events(crowned.folder / "ledger")[-1].outcome == "done"


def test_a_promotion_killed_before_its_last_line_is_written_down_when_asked_again(
    crowned: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowned.version(0.4)
    with monkeypatch.context() as patch:

        def die_at_the_end(folder: Path, event: PromotionEvent) -> None:
            if event.outcome == "done":
                raise KeyboardInterrupt
            record_event(folder, event)

        patch.setattr("src.v2.lifecycle.promotion.record_event", die_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            promote(crowned.config())
    assert _aliases(crowned) == {CHAMPION: 2, PREVIOUS: 1}
    done = promote(crowned.config())
    assert (done.outcome, done.version.version) == ("already", 2)
    ledger = crowned.folder / "ledger"
    promoted = last_promoted(ledger, Registry(crowned.store).store, "stock_prediction")
    assert promoted is not None and promoted.version == 2
    # It is ended once: the next one asks for a challenger.
    with pytest.raises(ModelError, match="has the alias 'challenger'"):
        promote(crowned.config())


def test_a_rollback_killed_between_its_aliases_is_ended_and_not_turned_round(
    crowned: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowned.version(0.4)
    promote(crowned.config())
    with monkeypatch.context() as patch:
        real = Registry.set_alias

        def die_at_the_second(self: Registry, alias: str, version: int) -> None:
            if alias == PREVIOUS:
                raise KeyboardInterrupt
            real(self, alias, version)

        patch.setattr(Registry, "set_alias", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            roll_back(crowned.config(reason="it looks odd"))
    assert _aliases(crowned) == {CHAMPION: 1, PREVIOUS: 1}
    done = roll_back(crowned.config())
    assert (done.outcome, done.version.version, done.champion) == ("rolled back", 1, 2)
    assert _aliases(crowned) == {CHAMPION: 1, PREVIOUS: 2}
    event = read_events(crowned.folder / "ledger")[-1]
    assert (event.action, event.outcome, event.reason) == ("rollback", "done", "it looks odd")
    assert roll_back(crowned.config()).version.version == 2


def test_a_step_that_the_store_refuses_once_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.version(0.1)
    monkeypatch.setattr(promotion, "PAUSE_SEC", 0.0)
    real = Registry.set_alias
    refused: list[str] = []

    def refuse_once(self: Registry, alias: str, version: int) -> None:
        if not refused:
            refused.append(alias)
            raise TrackingError("the store is busy")
        real(self, alias, version)

    monkeypatch.setattr(Registry, "set_alias", refuse_once)
    assert promote(bench.config()).outcome == "promoted"
    assert refused == [CHAMPION]


def test_a_champion_moved_by_another_machine_meanwhile_stops_the_promotion(
    crowned: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowned.version(0.3)
    crowned.version(0.5)

    def judge_slowly(*words: Any) -> Any:
        Registry(crowned.store).set_alias(CHAMPION, 2)
        return judge(*words)

    monkeypatch.setattr(promotion, "judge", judge_slowly)
    with pytest.raises(TrackingError, match=r"compared with \(1\); it is 2 by now. Ask again"):
        promote(crowned.config())
    assert _aliases(crowned)[CHAMPION] == 2


@pytest.mark.slow
def test_of_two_promotions_at_once_the_later_is_compared_with_the_new_champion(
    crowned: Bench,
) -> None:
    crowned.version(0.5)
    crowned.version(0.8)
    flags = ["--tracking-uri", crowned.store.tracking_uri, "--format", "json"]
    for name in ("ledger", "models", "logs"):
        flags += [f"--paths.{name}-dir", str(crowned.folder / name)]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "src.v2.promote", "--version", number, *flags],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in ("2", "3")
    ]
    answers = {}
    for number, process in zip((2, 3), both, strict=True):
        answers[number] = json.loads(process.communicate(timeout=120)[0])
    aliases = _aliases(crowned)
    # Version 3 is the best of all; 2 gets in only if it comes before.
    assert aliases[CHAMPION] == 3
    first = answers[2]["outcome"] == "promoted"
    assert answers[3]["champion_before"] == (2 if first else 1)
    assert aliases[PREVIOUS] == (2 if first else 1)
    if not first:
        assert answers[2]["champion_before"] == 3


@pytest.mark.slow
def test_versions_of_a_server_are_promoted_and_rolled_back(
    server_uri: str, boosters: dict[str, Path], tmp_path: Path
) -> None:
    store = MlflowConfig(tracking_uri=server_uri, registered_model_name="of a server")
    bench = Bench(store, boosters["regression"], tmp_path)
    bench.version(0.1)
    assert promote(bench.config()).outcome == "promoted"
    bench.version(0.4)
    assert promote(bench.config()).outcome == "promoted"
    assert _aliases(bench) == {CHAMPION: 2, PREVIOUS: 1}
    roll_back(bench.config())
    assert _aliases(bench) == {CHAMPION: 1, PREVIOUS: 2}
    bench.version(0.09)
    assert promote(bench.config()).outcome == "refused"


def test_a_disk_that_fills_up_before_the_last_line_is_told_with_what_was_done(
    crowned: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowned.version(0.4)
    path = crowned.folder / "ledger" / PROMOTIONS_NAME

    def fill(folder: Path, event: PromotionEvent) -> None:
        room = 20 if event.outcome == "done" else 100_000
        with small_files(path.stat().st_size + room):
            record_event(folder, event)

    with monkeypatch.context() as patch:
        patch.setattr("src.v2.lifecycle.promotion.record_event", fill)
        with pytest.raises(OmninmoError, match="File too large") as raised:
            promote(crowned.config())
    assert "version 2 of 'stock_prediction' is the champion now" in raised.value.__notes__[0]
    assert _aliases(crowned) == {CHAMPION: 2, PREVIOUS: 1}
    # Nothing of the line that did not fit is left, and asking again writes it.
    assert json.loads(path.read_text().splitlines()[-1])["outcome"] == "begun"
    assert promote(crowned.config()).outcome == "already"
    assert read_events(path.parent)[-1].outcome == "done"


def test_a_ledger_that_cannot_be_written_stops_before_anything_moves(crowned: Bench) -> None:
    crowned.version(0.4)
    config = crowned.config()
    taken = crowned.folder / "a file"
    taken.write_text("")
    paths = config.paths.model_copy(update={"ledger_dir": taken})
    with pytest.raises(OmninmoError, match=r"log of promotions .*--paths\.ledger-dir"):
        promote(config.model_copy(update={"paths": paths}))
    assert _aliases(crowned) == {CHAMPION: 1, CHALLENGER: 2}
