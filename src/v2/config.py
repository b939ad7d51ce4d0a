"""The configuration: one typed, frozen tree, and how it is put together.

Sources, weakest first: the defaults below, ``config.yaml``, its
``profiles.<env>`` section, the file named by ``--variation``, environment
variables ``OMNINMO_SECTION__KEY``, command-line flags. Unknown keys are refused.
"""

from __future__ import annotations

import argparse
import datetime as dt
import difflib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from src.v2.errors import ConfigError

ENV_PREFIX = "OMNINMO_"
SMALL_UNIVERSE = 20
"""Below this many tickers no cross-sectional target, label or claim is made."""


def _as_names(value: Any) -> Any:
    """Split ``"A,B C"`` or a JSON list into names; other types pass through."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return json.loads(text)
    return [name for name in re.split(r"[,\s]+", text) if name]


def _as_numbers(value: Any) -> Any:
    """Read a list of numbers as `_as_names` reads a list of names."""
    return [float(item) for item in _as_names(value)] if isinstance(value, str) else value


def _as_mapping(value: Any) -> Any:
    """Read ``"a=1,b=2"`` or JSON text as a mapping; other types pass through."""
    if not isinstance(value, str):
        return value
    if value.strip().startswith("{"):
        return json.loads(value)
    pairs = [item.partition("=") for item in _as_names(value)]
    return {name: number for name, _, number in pairs}


Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_as_numbers)]


class Section(BaseModel):
    """A part of the tree: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class YahooConfig(Section):
    """How Yahoo is asked for bars."""

    batch_size: int = Field(50, ge=1, description="tickers asked for at once")
    timeout_sec: float = Field(20.0, gt=0, description="seconds until a request is given up")
    attempts: int = Field(
        4, ge=1, description="tries of a batch before its tickers count as failed"
    )
    backoff_sec: float = Field(
        2.0, ge=0, description="first pause between tries, doubled each time"
    )


class DataConfig(Section):
    """Which bars, from where, and how strict the checks are."""

    source: Literal["sample", "files", "yahoo"] = Field("yahoo", description="where bars come from")
    sample: Literal["us20", "ohlcv"] = Field(
        "us20", description="bundled sample: closes of 20 US names, or full bars of 8"
    )
    path: Path | None = Field(None, description="source files: a Parquet or CSV file, or a folder")
    tickers: Names = Field((), description="only these tickers; empty: all that the source has")
    default_tickers: Names = Field(
        (
            *("AAPL", "ABBV", "ABT", "ADBE", "AMD", "AMZN", "AVGO", "AXP", "BA", "BAC"),
            *("BLK", "CAT", "COST", "CRM", "CSCO", "CVX", "DIS", "GE", "GOOGL", "GS"),
            *("HD", "HON", "IBM", "INTC", "JNJ", "JPM", "KO", "LLY", "LOW", "MA"),
            *("MCD", "META", "MRK", "MSFT", "NFLX", "NKE", "NVDA", "ORCL", "PEP", "PFE"),
            *("PG", "QCOM", "SBUX", "T", "TXN", "UNH", "V", "VZ", "WMT", "XOM"),
        ),
        description="what source yahoo asks for while tickers is empty",
    )
    market_ticker: str | None = Field(
        None, description="ticker of the market; empty: the equal-weight mean of the universe"
    )
    period: str = Field("10y", pattern=r"^\d+(d|mo|y)$|^max$", description="history: 90d, 6mo, 10y")
    start: dt.date | None = Field(None, description="first date; wins over period")
    end: dt.date | None = Field(None, description="last date, included")
    calendar: Literal["XNYS"] | None = Field(None, description="exchange that dates are checked by")
    min_history: int = Field(252, ge=2, description="bars that a ticker needs to be used")
    max_dropped_share: float = Field(
        0.5, ge=0, le=1, description="a run stops when a larger share of tickers or rows is dropped"
    )
    yahoo: YahooConfig = YahooConfig()


class FeaturesConfig(Section):
    """Which features are computed."""

    families: Names = Field(
        (
            *("momentum", "trend", "oscillators", "volatility", "drawdown", "range", "volume"),
            *("market", "calendar", "cross_section"),
        ),
        description="families of features, in order",
    )
    exclude: Names = Field((), description="features left out by name")
    modules: Names = Field((), description="own Python files with features() -> list[Feature]")
    columns: Annotated[dict[str, int], BeforeValidator(_as_mapping)] = Field(
        {}, description="own numeric columns of a files source: name to available_lag in sessions"
    )
    min_history: int = Field(
        126, ge=1, description="a ticker's own earlier bars before its rows enter the panel"
    )


class LabelConfig(Section):
    """What is forecast."""

    mode: Literal["regression", "classification"] = Field(
        "regression", description="forecast a return, or a class"
    )
    forward_days: int = Field(30, ge=1, description="horizon in trading sessions")
    entry_lag: int = Field(1, ge=0, description="sessions between the decision and the trade")
    target: Literal["auto", "return", "excess", "rank"] = Field(
        "auto",
        description="trained on: auto = excess over the date's mean, return below 20 tickers",
    )
    classes: Literal["binary", "rating"] = Field(
        "binary", description="two classes, or five from Strong Sell to Strong Buy"
    )
    binary_rule: Literal["auto", "median", "sign"] = Field(
        "auto", description="up = above the date's median (auto from 20 tickers), or above zero"
    )
    rating_rule: Literal["auto", "quintile", "fixed"] = Field(
        "auto", description="by the date's quintiles (auto from 20 tickers), or rating_thresholds"
    )
    rating_thresholds: Numbers = Field(
        (-0.10, -0.05, 0.05, 0.10), description="four rising forward returns between five ratings"
    )

    @field_validator("rating_thresholds")
    @classmethod
    def _four_rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) != 4 or list(value) != sorted(set(value)):
            raise ValueError("must be four rising numbers")
        return value

    @property
    def span(self) -> int:
        """Sessions from the decision until the label is known."""
        return self.entry_lag + self.forward_days


class ValidationConfig(Section):
    """How rows are split into what is fitted on and what is scored."""

    scheme: Literal["expanding", "rolling"] = Field("expanding", description="training window")
    test_sessions: int = Field(252, ge=1, description="length of a test block; at least 4 spans")
    min_train_sessions: int | None = Field(
        None, ge=1, description="first training window; empty: min(756, 40% of development)"
    )
    max_train_sessions: int | None = Field(
        None, ge=1, description="rolling window; empty: as long as the first one"
    )
    embargo_sessions: int = Field(0, ge=0, description="extra sessions between training and test")
    holdout_share: float = Field(
        0.2, ge=0.05, le=0.5, description="last share of sessions, kept out of every fit and choice"
    )
    train_stride: int | None = Field(
        None, ge=1, description="train on every k-th session; empty: forward_days / 6"
    )
    half_life_sessions: float | None = Field(
        None, gt=0, description="age at which a row weighs half; empty: no decay"
    )


class ModelConfig(Section):
    """The learner and its parameters."""

    learner: Literal["xgboost"] = Field("xgboost", description="what is fitted")
    learning_rate: float = Field(0.05, gt=0, le=1)
    max_depth: int = Field(6, ge=1, le=16)
    n_estimators: int = Field(300, ge=1, description="most boosting rounds")
    early_stopping_rounds: int = Field(
        30, ge=0, description="rounds without gain before a fit stops; 0: run all rounds"
    )
    stop_share: float = Field(
        0.15, gt=0, lt=0.5, description="purged tail of the training window that stops the fit"
    )
    subsample: float = Field(0.8, gt=0, le=1)
    colsample_bytree: float = Field(0.5, gt=0, le=1)
    min_child_weight: float | None = Field(
        None, ge=0, description="empty: 10 horizons of a ticker's rows, scaled by the stride"
    )
    reg_lambda: float = Field(1.0, ge=0)
    reg_alpha: float = Field(0.0, ge=0)
    gamma: float = Field(0.0, ge=0)
    max_bin: int = Field(256, ge=2)
    rate_drop: float = Field(0.0, ge=0, lt=1, description="share of trees dropped each round")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where trees are grown")
    threads: int | None = Field(None, ge=1, description="empty: all cores")


class ExplainConfig(Section):
    """How the model is explained."""

    shap_rows: int = Field(2000, ge=50, description="out-of-sample rows explained")
    dependence_features: int = Field(4, ge=1, description="top features with a dependence plot")


class MlflowConfig(Section):
    """Where runs are kept."""

    enabled: bool = Field(True, description="log the run to MLflow")
    tracking_uri: str = Field("sqlite:///mlruns.db", description="MLflow's store")
    experiment_name: str = Field("stock_prediction", min_length=1)
    run_name: str = Field(
        "{model_type}_{mode}_{forward_days}d_{run_timestamp}",
        description="template: model_type, mode, forward_days, dataset_name, run_timestamp, env",
    )
    log_artifacts: bool = Field(True, description="keep files and the model with the run")

    @field_validator("run_name")
    @classmethod
    def _known_fields(cls, value: str) -> str:
        fields = ("model_type", "mode", "forward_days", "dataset_name", "run_timestamp", "env")
        try:
            value.format(**dict.fromkeys(fields, ""))
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(f"must be a template of {', '.join(fields)}") from error
        return value


class PredictConfig(Section):
    """What the predict command shows."""

    model: Path | None = Field(None, description="model folder; empty: the newest")
    tickers: Names = Field((), description="show only these; all of the universe are ranked")
    format: Literal["table", "csv", "json"] = "table"
    as_of: dt.date | None = Field(None, description="rank the last session up to this date")
    max_age: int | None = Field(None, ge=0, description="oldest bars allowed, in calendar days")


class RunsConfig(Section):
    """What the runs command shows."""

    filter: str = Field("", description='MLflow filter, as "metrics.final_r2 > 0.01"')
    format: Literal["table", "csv", "json"] = "table"
    order_by: str = Field("attributes.start_time DESC", description="MLflow order")
    max_results: int = Field(20, ge=1, description="most runs shown")
    ui: bool = Field(False, description="serve MLflow's UI on 127.0.0.1 instead")
    port: int = Field(5000, ge=1, le=65535, description="port of the UI")


class PathsConfig(Section):
    """Where results are written."""

    models_dir: Path = Path("models")
    logs_dir: Path = Path("logs")
    reports_dir: Path = Path("reports")
    ledger_dir: Path = Path("ledger")
    model_path: Path | None = Field(None, description="folder of the model; empty: a new name")
    overwrite: bool = Field(False, description="replace model_path when it exists")


class Config(BaseSettings):
    """The whole tree. Only the commands see it; a function takes its own section."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,
    )

    config: Path = Field(Path("config.yaml"), description="the configuration file")
    env: str = Field("dev", description="profile of the configuration file")
    variation: Path | None = Field(None, description="file of settings laid over the configuration")
    seed: int = Field(42, ge=0, lt=2**31, description="seed of everything random")
    data: DataConfig = DataConfig()
    features: FeaturesConfig = FeaturesConfig()
    label: LabelConfig = LabelConfig()
    validation: ValidationConfig = ValidationConfig()
    model: ModelConfig = ModelConfig()
    explain: ExplainConfig = ExplainConfig()
    mlflow: MlflowConfig = MlflowConfig()
    predict: PredictConfig = PredictConfig()
    runs: RunsConfig = RunsConfig()
    paths: PathsConfig = PathsConfig()

    @model_validator(mode="after")
    def _across_sections(self) -> Config:
        if self.data.source == "files" and self.data.path is None:
            raise ValueError(
                "data.path must name a file or folder for data.source files; got nothing"
            )
        start, end = self.data.start, self.data.end
        if start is not None and end is not None and start >= end:
            raise ValueError(f"data.start must be before data.end; got {start} and {end}")
        return self

    @property
    def fingerprint(self) -> str:
        """12 hex digits of everything that decides a run's numbers."""
        deciding = ("seed", "data", "features", "label", "validation", "model")
        tree = {name: getattr(self, name).model_dump(mode="json") for name in deciding[1:]}
        text = json.dumps({"seed": self.seed, **tree}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


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
    "--features.families",
)
_LIST_FLAGS += (
    "--predict.tickers",
    "--features.exclude",
    "--features.modules",
    "--label.rating-thresholds",
)
_SWITCHES = {"-y": "--paths.overwrite", "--yes": "--paths.overwrite", "--ui": "--runs.ui"}
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
        elif flag in _SWITCHES and not equals:
            rest += [_SWITCHES[flag], "true"]
        else:
            rest.append(flag + equals + value)
    return [f"{flag}={','.join(values)}" for flag, values in lists.items()] + rest


def load_config(
    argv: Sequence[str] = (),
    short_flags: Mapping[str, str] = SHORT_FLAGS,
    command: str = "python -m src.v2.train",
    about: str = "",
    environ: Mapping[str, str] | None = None,
    overlay: Mapping[str, Any] | None = None,
) -> Config:
    """Put the configuration together for one command.

    Parameters
    ----------
    argv
        Command-line words after the command's name.
    short_flags
        Short flags by the long flag that each stands for.
    command, about
        Shown by ``--help``.
    environ
        Read instead of the process's environment variables.
    overlay
        Settings that win over the files, and give way to variables and flags.

    Raises
    ------
    ConfigError
        Naming the setting, the rule, the value found and the remedy.
    """
    words = _long_flags(normalise_argv(argv), short_flags)
    variables = dict(os.environ if environ is None else environ)
    _refuse_unknown_variables(variables)
    layers = [*_file_layers(words, variables), dict(overlay or {})]

    class CommandConfig(Config):
        """The tree, read from this command's own sources."""

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            flags = _flags_source(settings_cls, words, short_flags, command, about)
            files = [InitSettingsSource(settings_cls, layer) for layer in reversed(layers)]
            given = EnvSettingsSource(settings_cls)
            given.env_vars = {name.lower(): value for name, value in variables.items()}
            return (flags, given, *files)

    try:
        return Config.model_construct(**dict(CommandConfig()))
    except (ValidationError, SettingsError) as error:
        raise ConfigError(_one_line(error, short_flags)) from error


def _long_flags(words: Sequence[str], short_flags: Mapping[str, str]) -> list[str]:
    """Write a command's short flags out, since one may bear the name of a section."""
    long = {f"--{short}": f"--{name}" for name, short in short_flags.items()}
    parted = (word.partition("=") for word in words)
    return [long.get(flag, flag) + equals + value for flag, equals, value in parted]


def _flags_source(
    settings_cls: type[BaseSettings],
    words: Sequence[str],
    short_flags: Mapping[str, str],
    command: str,
    about: str,
) -> PydanticBaseSettingsSource:
    """Read the flags, all of them made from the tree."""

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise SettingsError(message)

    shown = " ".join(f"[--{short} …]" for short in short_flags.values())
    parser = Parser(
        prog=command,
        usage=f"{command} [--force-sample] [-y] {shown} [--section.key value …]",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return CliSettingsSource(
        settings_cls,
        root_parser=parser,
        parse_args_method=argparse.ArgumentParser.parse_args,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        cli_parse_args=list(words),
        cli_kebab_case=True,
        cli_parse_none_str="null",
        cli_exit_on_error=False,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_shortcuts=dict(short_flags),
    )


def _file_layers(words: Sequence[str], environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """Read the files of settings, weakest first."""
    named = {
        name: environ.get(ENV_PREFIX + name.upper()) for name in ("config", "env", "variation")
    }
    for position, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag.startswith("--") and flag[2:] in named:
            following = words[position + 1] if position + 1 < len(words) else None
            named[flag[2:]] = value if equals else following
    path = Path(named["config"] or "config.yaml")
    tree = _read_yaml(path, must_exist=named["config"] is not None)
    profiles = tree.pop("profiles", None) or {}
    profile = named["env"] or tree.get("env") or "dev"
    if not isinstance(profiles, dict) or (named["env"] and named["env"] not in profiles):
        known = ", ".join(profiles) if isinstance(profiles, dict) else ""
        raise ConfigError(
            f"--env must name a profile of {path} ({known or 'it has none'}); got {profile!r}."
        )
    layers = [tree, profiles.get(profile) or {}]
    if named["variation"]:
        layers.append(_read_yaml(Path(named["variation"]), must_exist=True))
    return layers


def _read_yaml(path: Path, *, must_exist: bool) -> dict[str, Any]:
    """Read a mapping from a YAML file; a missing optional file is an empty one."""
    import yaml

    if not path.is_file():
        if must_exist:
            raise ConfigError(f"The file of settings {path} does not exist. Check its name.")
        return {}
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        detail = " ".join(str(error).split())
        raise ConfigError(f"{path} must be YAML; got: {detail}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold settings by name; got a {type(tree).__name__}.")
    return tree


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """Refuse a variable of ours that names no setting, since it would do nothing."""
    known = {ENV_PREFIX + "__".join(path).upper() for path in setting_paths(Config)}
    for name in environ:
        if name.startswith(ENV_PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"The environment variable {name} names no setting.{hint}")


def setting_paths(model: type[BaseModel], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List every setting of a tree as the path of names that leads to it."""
    paths: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        here = (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            paths += setting_paths(field.annotation, here)
        else:
            paths.append(here)
    return paths


def _one_line(error: ValidationError | SettingsError, short_flags: Mapping[str, str]) -> str:
    """Say in one line which setting is wrong, what the rule is and what was found."""
    if isinstance(error, SettingsError):
        return _flag_problem(str(error), short_flags)
    known = [".".join(path) for path in setting_paths(Config)]
    parts = []
    for detail in error.errors(include_url=False):
        name = ".".join(str(step) for step in detail["loc"])
        if detail["type"] == "extra_forbidden":
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            parts.append(f"{name} is no setting." + (f" Did you mean {near[0]}?" if near else ""))
        elif detail["type"] == "value_error":
            rule = str(detail["ctx"]["error"]).rstrip(".")
            parts.append(f"{name} {rule}; got {detail['input']!r}." if name else f"{rule}.")
        else:
            rule = detail["msg"].replace("Input should be", "must be").rstrip(".")
            parts.append(f"{name} {rule}; got {detail['input']!r}.")
    return " ".join(parts) + " See config.yaml or --help."


def _flag_problem(message: str, short_flags: Mapping[str, str]) -> str:
    """Turn the parser's complaint into one of ours."""
    detail = message.removeprefix("error parsing CLI: ")
    unknown = re.search(r"unrecognized arguments: (\S+)", detail)
    if unknown is None:
        return f"The command line cannot be read: {detail}. See --help."
    known = ["--" + ".".join(path).replace("_", "-") for path in setting_paths(Config)]
    known += ["--" + short for short in short_flags.values()]
    near = difflib.get_close_matches(unknown[1], known, n=1)
    return f"{unknown[1]} is no flag." + (f" Did you mean {near[0]}?" if near else " See --help.")
