"""The configuration: its sources, its order, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from src.v2.config import Config
from src.v2.config_flags import normalise_argv
from src.v2.config_sources import load_config, refuse_unread_path
from src.v2.errors import ConfigError

ROOT = Path(__file__).parents[3]


def _load(*words: str, environ: dict[str, str] | None = None) -> Config:
    return load_config(words, environ=environ or {})


def test_the_committed_file_spells_out_every_default() -> None:
    tree = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert set(tree.pop("profiles")) == {"dev", "prod"}
    defaults = Config.model_construct().model_dump(mode="json")
    for name in ("config", "env", "variation"):
        defaults.pop(name)
    assert tree == defaults


@pytest.mark.parametrize(
    "words",
    [
        ["--tickers", "AAPL", "MSFT"],
        ["--tickers", "AAPL,MSFT"],
        ["--tickers=AAPL,MSFT"],
        ["--tickers", "AAPL", "--tickers", "MSFT"],
        ["--data.tickers", "AAPL, MSFT"],
    ],
)
def test_a_list_of_tickers_may_be_written_in_any_usual_way(words: list[str]) -> None:
    assert _load(*words).data.tickers == ("AAPL", "MSFT")


def test_negative_numbers_in_a_list_are_no_flags() -> None:
    words = ["--label.rating-thresholds", "-0.2", "-.1", ".1", "0.2", "--mode", "classification"]
    label = _load(*words).label
    assert label.rating_thresholds == (-0.2, -0.1, 0.1, 0.2)
    assert label.mode == "classification"


def test_the_guides_flags_work() -> None:
    config = _load("--mode", "classification", "--forward-days", "60", "--force-sample", "-y")
    assert (config.label.mode, config.label.forward_days) == ("classification", 60)
    assert config.data.source == "sample"
    assert config.paths.overwrite


def test_stronger_sources_win(tmp_path: Path) -> None:
    main = tmp_path / "c.yaml"
    main.write_text(
        "seed: 1\nlabel: {forward_days: 5, entry_lag: 2}\nmodel: {max_depth: 3}\n"
        "profiles: {prod: {label: {forward_days: 6}, seed: 2}}\n"
    )
    variation = tmp_path / "v.yaml"
    variation.write_text("label: {forward_days: 7}\n")
    base = ["--config", str(main)]
    assert _load(*base).label.forward_days == 5
    base += ["--env", "prod"]
    assert (_load(*base).label.forward_days, _load(*base).seed) == (6, 2)
    base += ["--variation", str(variation)]
    assert _load(*base).label.forward_days == 7
    environ = {"OMNINMO_LABEL__FORWARD_DAYS": "8"}
    assert _load(*base, environ=environ).label.forward_days == 8
    last = _load(*base, "--forward-days", "9", environ=environ)
    assert last.label.forward_days == 9
    assert (last.label.entry_lag, last.model.max_depth) == (2, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--forward-days", "0"],
            r"label.forward_days must be greater than or equal to 1; got '0'",
        ),
        (["--forward-dayz", "5"], r"--forward-dayz is no flag. Did you mean --forward-days\?"),
        (["--forward-day", "5"], r"--forward-day is no flag. Did you mean --forward-days\?"),
        (["--force-sampel"], r"--force-sampel is no flag. Did you mean --force-sample\?"),
        (["--mode", "clustering"], r"label.mode must be 'regression' or 'classification'"),
        (["--data.source", "files"], r"data.path must name a file"),
        (["--start", "2020-01-02", "--end", "2020-01-01"], r"data.start must be before data.end"),
        (["--tickers"], r"--tickers needs at least one value"),
        (["--config", "nowhere.yaml"], r"nowhere.yaml does not exist"),
        (["--variation", "nowhere.yaml"], r"nowhere.yaml does not exist"),
        (["--mlflow.run-name", "{nonsense}"], r"mlflow.run_name must be a template of"),
        (["--label.rating-thresholds", "1,2"], r"must be four rising numbers"),
        (["--period", "ten years"], r"data.period"),
        (["--forward-days"], r"expected one argument"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        _load(*words)
    assert "\n" not in str(caught.value)


def test_a_path_that_no_source_reads_is_refused_where_no_model_gives_one() -> None:
    refuse_unread_path(_load("--data.path", "bars.csv", "--data.source", "files"))
    refuse_unread_path(_load())
    with pytest.raises(ConfigError, match=r"source yahoo and path bars.csv. Add --data.source"):
        refuse_unread_path(_load("--data.path", "bars.csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nmodel: {}\nmodel: {}", r"must be YAML; got: model stands twice"),
        ("label: {forward_dayz: 3}", r"label.forward_dayz is no setting. Did you mean"),
        ("nonsense: 1", r"nonsense is no setting"),
        ("label: [1, 2]", r"label"),
        ("- a\n- b", r"must hold settings by name"),
        ("label: {a: b: c}", r"must be YAML"),
        ("1: 2", r"must hold settings by name"),
        ("profiles: [1, 2]", r"profiles must hold settings by name"),
        ("profiles: {dev: [1, 2]}", r"profiles.dev must hold settings"),
        ("env: [1, 2]", r"--env must name a profile"),
        ("data: {start: 2020-13-45}", r"must be YAML"),
        ("[" * 3000, r"must be YAML"),
        ("model: {reg_lambda: .inf}", r"model.reg_lambda"),
        ("!!python/object:os.system {}", r"must be YAML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        _load("--config", str(path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_variable_that_names_no_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Did you mean OMNINMO_DATA__TICKERS\?"):
        _load(environ={"OMNINMO_DATA__TICKRS": "A"})
    config = _load(environ={"OMNINMO_DATA__TICKERS": "A,B", "OMNINMO_FEATURES__COLUMNS": "x=2"})
    assert config.data.tickers == ("A", "B")
    assert config.features.columns == {"x": 2}


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--env must name a profile"):
        _load("--config", str(ROOT / "config.yaml"), "--env", "nowhere")


def test_the_fingerprint_follows_what_decides_the_numbers() -> None:
    base = _load("--config", str(ROOT / "config.yaml")).fingerprint
    assert _load("--config", str(ROOT / "config.yaml"), "--runs.port", "5001").fingerprint == base
    for words in (["--seed", "1"], ["--forward-days", "5"], ["--model.max-depth", "2"]):
        assert _load("--config", str(ROOT / "config.yaml"), *words).fingerprint != base


def test_series_of_context_may_be_written_in_any_usual_way() -> None:
    expected = {"vix": Path("a.csv"), "rates": Path("b=c.csv")}
    for words in (
        ["--data.context", "vix=a.csv", "rates=b=c.csv"],
        ["--data.context", "vix=a.csv,rates=b=c.csv"],
        ["--data.context=vix=a.csv", "--data.context", "rates=b=c.csv"],
    ):
        assert _load(*words).data.context == expected
    assert _load(environ={"OMNINMO_DATA__CONTEXT": "vix=a.csv"}).data.context.keys() == {"vix"}


@pytest.mark.parametrize(
    "word", ["VIX=a.csv", "a.csv", "vix", "date=a.csv", "sector=a.csv", "vix="]
)
def test_a_series_without_a_usable_name_or_file_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=r"data.context must .* as in vix=vix_daily.csv"):
        _load("--data.context", word)


def test_the_fingerprint_follows_the_contents_of_context_and_sectors(tmp_path: Path) -> None:
    vix, moved, sectors = (tmp_path / name for name in ("vix.csv", "moved.csv", "sectors.csv"))
    for path in (vix, moved):
        path.write_text("date,close\n2024-01-02,13.5\n")
    sectors.write_text("ticker,sector\nA,Energy\n")

    def fingerprint(file: Path, *words: str) -> str:
        return _load(
            "--data.context", f"vix={file}", "--data.sectors", str(sectors), *words
        ).fingerprint

    first = fingerprint(vix)
    assert fingerprint(moved) == first
    assert fingerprint(vix, "--data.context-lag", "1") != first
    unread = ("--features.families", "momentum")
    ignored = fingerprint(vix, *unread)
    sectors.write_text("ticker,sector\nA,Materials\n")
    second = fingerprint(vix)
    vix.write_text("date,close\n2024-01-02,14.5\n")
    third = fingerprint(vix)
    assert len({first, second, third, _load().fingerprint}) == 4
    assert fingerprint(vix, *unread) == ignored


def test_an_overlay_wins_over_files_and_gives_way_to_flags() -> None:
    overlay = {"label": {"forward_days": 11, "entry_lag": 3}}
    config = load_config(["--forward-days", "12"], environ={}, overlay=overlay)
    assert (config.label.forward_days, config.label.entry_lag) == (12, 3)


def test_switches_need_no_value() -> None:
    assert normalise_argv(["--ui", "--port", "1"]) == ["--runs.ui", "true", "--port", "1"]
    assert normalise_argv(["--open"]) == ["--report.open", "true"]
    assert normalise_argv(["--open", "false", "-y"]) == [
        *("--report.open", "false"),
        *("--paths.overwrite", "true"),
    ]
