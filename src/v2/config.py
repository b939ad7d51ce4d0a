"""The configuration: one typed, frozen tree with every default.

`src.v2.config_sources` puts it together from files, variables and flags.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import string
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "OMNINMO_"
SMALL_UNIVERSE = 20
"""Below this many tickers no cross-sectional target, label or claim is made."""

SERIES_NAME = re.compile(r"[a-z][a-z0-9_]*")
NOT_SERIES = frozenset(
    ("date", "ticker", "sector", "row", "market_return", "market_level", "market_up")
)
"""Names that a series of context may not have: columns that stand beside it."""


def _as_names(value: Any) -> Any:
    """Split ``"A,B"`` or a JSON list into names; other types pass through."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        return json.loads(text)
    return [name.strip() for name in text.split(",") if name.strip()]


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

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    store: bool = Field(
        True, description="keep bars in paths.bars_dir and ask only for what is missing"
    )
    overlap: int = Field(
        10, ge=3, description="stored sessions asked for again, to notice splits and dividends"
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
    sectors: Path | None = Field(None, description="CSV of ticker and sector; empty: none known")
    context: Annotated[dict[str, Path], BeforeValidator(_as_mapping)] = Field(
        {}, description="daily series that all tickers share, name=file: vix=vix_daily.csv"
    )
    context_lag: int = Field(
        0, ge=0, description="sessions until a series' value counts as known; 0: at its own close"
    )
    context_max_age: int = Field(
        14, ge=0, description="calendar days after which the last value of a series is missing"
    )
    universe: Path | None = Field(
        None,
        description="CSV or Parquet of ticker, from, to: who was a member when; empty: all, always",
    )
    min_history: int = Field(
        2, ge=2, description="bars that a ticker needs; its rows start after features.min_history"
    )
    max_dropped_share: float = Field(
        0.5, ge=0, le=1, description="a run stops when a larger share of tickers or rows is dropped"
    )
    yahoo: YahooConfig = YahooConfig()

    @field_validator("context")
    @classmethod
    def _series_names(cls, value: dict[str, Path]) -> dict[str, Path]:
        for name, path in value.items():
            if not SERIES_NAME.fullmatch(name) or name in NOT_SERIES:
                raise ValueError(
                    "must name series in lower-case letters, digits and underscores, and none "
                    f"{', '.join(sorted(NOT_SERIES))}, as in vix=vix_daily.csv"
                )
            if not path.name:
                raise ValueError("must give each series a file, as in vix=vix_daily.csv")
        return value


class FeaturesConfig(Section):
    """Which features are computed."""

    families: Names = Field(
        (
            *("momentum", "trend", "oscillators", "volatility", "drawdown", "range", "volume"),
            *("market", "calendar", "cross_section", "context"),
        ),
        description="families of features, in order; alpha158 is optional",
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

    @model_validator(mode="after")
    def _classes_have_their_mode(self) -> LabelConfig:
        if self.mode == "regression" and self.classes != "binary":
            raise ValueError(
                f"classes {self.classes} needs label.mode classification; got regression"
            )
        return self

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
        None, ge=1, description="train on every k-th session; empty: about forward_days / 6"
    )
    half_life_sessions: float | None = Field(
        None, gt=0, description="age at which a row weighs half; empty: no decay"
    )

    @model_validator(mode="after")
    def _window_is_used(self) -> ValidationConfig:
        if self.max_train_sessions is not None and self.scheme != "rolling":
            raise ValueError("max_train_sessions needs scheme rolling; got expanding")
        return self


ModelType = Literal["xgboost", "ridge", "hist_gradient_boosting", "mlp"]


class ModelConfig(Section):
    """The learner and its parameters."""

    type: ModelType = Field("xgboost", description="what is fitted")
    learning_rate: float = Field(0.05, gt=0, le=1)
    max_depth: int = Field(6, ge=1, le=16)
    n_estimators: int = Field(300, ge=1, description="most boosting rounds, or epochs of mlp")
    early_stopping_rounds: int = Field(
        30, ge=0, description="rounds or epochs without gain before a fit stops; 0: run them all"
    )
    min_rounds: int = Field(
        20, ge=1, description="least rounds; a few trees give whole groups of tickers one forecast"
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
    max_bin: int = Field(256, ge=2, le=65_536)
    rate_drop: float = Field(0.0, ge=0, lt=1, description="share of trees dropped each round")
    hidden_layers: int = Field(2, ge=1, le=8, description="of mlp")
    hidden_units: int = Field(32, ge=1, le=4096, description="of each hidden layer of mlp")
    mlp_learning_rate: float = Field(0.001, gt=0, le=1, description="first step size of Adam")
    mlp_penalty: float = Field(0.0001, ge=0, description="on the squared weights of mlp")
    batch_size: int = Field(512, ge=1, description="rows of one step of mlp")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where XGBoost's trees are grown")
    threads: int | None = Field(None, ge=1, description="empty: all cores")

    @model_validator(mode="after")
    def _only_xgboost_on_a_gpu(self) -> ModelConfig:
        if self.device != "cpu" and self.type != "xgboost":
            raise ValueError(
                f"model.device {self.device} is for model.type xgboost; got {self.type}. Use cpu."
            )
        return self


class EvaluationConfig(Section):
    """How sure the run has to be, and what trading costs."""

    permutations: int = Field(
        9999, ge=999, le=1_000_000, description="exchanges of tickers behind the p-value"
    )
    cost_bps: float = Field(5.0, ge=0, le=1000, description="cost of a trade, a side, in bps")
    quantile: float | None = Field(
        None, gt=0, le=0.5, description="share in each end; empty: 0.1 from 100 tickers, else 0.2"
    )


class ExplainConfig(Section):
    """How the model is explained."""

    shap_rows: int = Field(2000, ge=50, description="out-of-sample rows explained")
    dependence_features: int = Field(4, ge=1, description="top features with a dependence plot")
    permutation_rows: int = Field(
        10_000, ge=100, description="out-of-sample rows on which features are permuted"
    )
    interaction_rows: int = Field(200, ge=20, description="rows explained by pairs of features")


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
    registered_model_name: str = Field(
        "stock_prediction",
        pattern=r"^[\w -]+$",
        description="name that versions are registered under; one for each horizon and universe",
    )
    register_model: bool = Field(
        False, description="register the trained model as a version, with the alias challenger"
    )

    @model_validator(mode="after")
    def _registers_what_is_kept(self) -> MlflowConfig:
        if self.register_model and not (self.enabled and self.log_artifacts):
            raise ValueError(
                "register_model needs enabled and log_artifacts, since a version is a model that "
                f"a run keeps; got enabled {self.enabled}, log_artifacts {self.log_artifacts}"
            )
        return self

    @field_validator("run_name")
    @classmethod
    def _known_fields(cls, value: str) -> str:
        fields = ("model_type", "mode", "forward_days", "dataset_name", "run_timestamp", "env")
        try:
            parts = list(string.Formatter().parse(value))
        except ValueError:
            parts = [("", "?", "", None)]
        if any(name is not None and (name not in fields or form) for _, name, form, _ in parts):
            raise ValueError(f"must be a template of {', '.join(fields)} in braces")
        return value


class PredictConfig(Section):
    """What the predict command shows."""

    model: str | None = Field(
        None, description="model folder, or models:/name@alias or models:/name/3; empty: the newest"
    )
    tickers: Names = Field((), description="show only these; all of the universe are ranked")
    format: Literal["table", "csv", "json"] = "table"
    as_of: dt.date | None = Field(None, description="rank the last session up to this date")
    max_age: int | None = Field(None, ge=0, description="oldest bars allowed, in calendar days")
    coverage: float = Field(
        0.8, gt=0, lt=1, description="level of the intervals: 0.5, 0.8, 0.9 or 0.95"
    )
    log: bool = Field(True, description="add the ranking to the log in paths.predictions_dir")


class MonitorConfig(Section):
    """What the monitor command looks at, and what makes it raise an alarm."""

    model: str | None = Field(
        None, description="model folder, or models:/name@alias or models:/name/3; empty: the newest"
    )
    alarm_rate: float = Field(
        0.01, gt=0, le=0.1, description="chance of each alarm, at one look, where nothing is wrong"
    )
    sessions: int = Field(504, ge=1, description="newest sessions whose predictions are scored")
    max_age: int = Field(7, ge=0, description="oldest bars without an alarm, in calendar days")
    max_missing: int = Field(5, ge=0, description="most sessions in a row without a prediction")
    psi: float = Field(0.25, gt=0, description="stability index that a drifted feature exceeds")
    importance: float = Field(
        0.01, ge=0, le=1, description="least share of gain of a feature whose drift is an alarm"
    )


class ServeConfig(Section):
    """Which model answers requests, and where."""

    model: str | None = Field(
        None,
        description="model folder, models:/name@alias, models:/name/3, or a built package; "
        "empty: the newest model",
    )
    port: int = Field(5001, ge=1, le=65535, description="port on 127.0.0.1")
    build_only: Path | None = Field(
        None, description="write the package to this folder, and serve nothing"
    )
    score: Path | None = Field(None, description="file of bars to score, instead of serving")
    out: Path | None = Field(
        None, description="file for the scores: .csv, .json or .parquet; empty: CSV on stdout"
    )
    as_of: dt.date | None = Field(None, description="with score: decision date; empty: the last")

    @model_validator(mode="after")
    def _one_thing_at_a_time(self) -> ServeConfig:
        if self.score is not None and self.build_only is not None:
            raise ValueError("score and build_only exclude each other; got both")
        if self.score is None and (self.out is not None or self.as_of is not None):
            raise ValueError("out and as_of need score, a file of bars; got none")
        return self


class RunsConfig(Section):
    """What the runs command shows."""

    filter: str = Field("", description='MLflow filter, as "metrics.final_r2 > 0.01"')
    format: Literal["table", "csv", "json"] = "table"
    order_by: str = Field("attributes.start_time DESC", description="MLflow order")
    max_results: int = Field(20, ge=1, description="most runs shown")
    ui: bool = Field(False, description="serve MLflow's UI on 127.0.0.1 instead")
    port: int = Field(5000, ge=1, le=65535, description="port of the UI")


class ReportConfig(Section):
    """Which run's report is written again."""

    run: str | None = Field(None, description="run id in MLflow; empty: a run on this disk")
    folder: Path | None = Field(None, description="folder of the run; empty: the newest")
    open: bool = Field(False, description="show the page in the browser")


class PromoteConfig(Section):
    """Which registered model is put to use, and what it takes."""

    version: int | None = Field(None, ge=1, description="version; empty: the challenger")
    run: str | None = Field(None, description="run id in MLflow to register as challenger first")
    audit: bool = Field(False, description="audit the version's own settings first, where needed")
    refresh: bool = Field(
        False, description="the champion's own settings on later bars need only be no worse"
    )
    max_age: int = Field(30, ge=0, description="calendar days after which its bars get a note")
    force: bool = Field(False, description="promote although a check says no; needs a reason")
    reason: str = Field("", description="why, kept in ledger/promotions.jsonl and with the version")
    rollback: bool = Field(False, description="put the previous champion to use again")
    list: bool = Field(False, description="list the registered versions instead")
    format: Literal["table", "csv", "json"] = Field("table", description="csv is for the list")

    @model_validator(mode="after")
    def _one_thing_at_a_time(self) -> PromoteConfig:
        if self.force and not self.reason.strip():
            raise ValueError('force needs a reason, as --reason "the audit is running"; got none')
        if sum((self.rollback, self.list, self.version is not None, self.run is not None)) > 1:
            raise ValueError("version, run, rollback and list exclude each other; got several")
        return self


class FetchConfig(Section):
    """How the fetch command fills the store of bars."""

    format: Literal["table", "csv", "json"] = Field("table", description="table of what is stored")
    full: bool = Field(False, description="ask for the whole history of every ticker again")


class CompareConfig(Section):
    """How configurations are compared on the same folds."""

    max_arms: int = Field(24, ge=2, description="most configurations at once, the default included")
    fresh: bool = Field(False, description="run finished arms again instead of reading them")
    train_best: bool = Field(
        False, description="train the recommended one afterwards, which opens the holdout"
    )


class TuneConfig(Section):
    """How hyperparameters are searched for."""

    n_trials: int = Field(30, ge=2, description="trials of the study, earlier calls included")
    timeout: float | None = Field(
        None, gt=0, description="seconds after which no trial is started; empty: no limit"
    )
    parameters: Names = Field(
        (), description="what is searched, as learning_rate,max_depth; empty: everything known"
    )
    confirm_folds: int | None = Field(
        None, ge=1, description="last folds kept out of the search; empty: a third of them"
    )
    train_best: bool = Field(
        False, description="train the recommended one afterwards, which opens the holdout"
    )


class ScaleConfig(Section):
    """Where the panel lies, and where the work is done."""

    mode: Literal["memory", "external"] = Field(
        "memory", description="panel in memory, or on disk in blocks of dates"
    )
    engine: Literal["local", "dask"] = Field(
        "local", description="work in this process, or on the workers of a Dask cluster"
    )
    scheduler: str | None = Field(
        None,
        pattern=r"^(tcp|tls|ucx)://\S+:\d+$",
        description="address of a Dask scheduler, tcp://host:8786; empty: workers here",
    )
    workers: int | None = Field(
        None, ge=1, description="worker processes of engine dask without a scheduler; empty: 2"
    )
    rows_at_once: int = Field(
        1_000_000, ge=10_000, description="rows of a chunk of tickers and of a block of dates"
    )
    attempts: int = Field(3, ge=1, description="tries of a fold when workers are lost")
    time_limit_sec: float = Field(
        3600.0, gt=0, description="seconds after which a try on the cluster is given up"
    )


class PathsConfig(Section):
    """Where results are written."""

    models_dir: Path = Path("models")
    logs_dir: Path = Path("logs")
    reports_dir: Path = Path("reports")
    ledger_dir: Path = Path("ledger")
    bars_dir: Path = Path("bars")
    predictions_dir: Path = Field(
        Path("predictions"), description="log of predictions, which the monitor reads"
    )
    scratch_dir: Path = Field(
        Path("scratch"), description="blocks of scale.mode external, removed after the run"
    )
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
    evaluation: EvaluationConfig = EvaluationConfig()
    explain: ExplainConfig = ExplainConfig()
    mlflow: MlflowConfig = MlflowConfig()
    predict: PredictConfig = PredictConfig()
    monitor: MonitorConfig = MonitorConfig()
    serve: ServeConfig = ServeConfig()
    runs: RunsConfig = RunsConfig()
    report: ReportConfig = ReportConfig()
    promote: PromoteConfig = PromoteConfig()
    fetch: FetchConfig = FetchConfig()
    compare: CompareConfig = CompareConfig()
    tune: TuneConfig = TuneConfig()
    scale: ScaleConfig = ScaleConfig()
    paths: PathsConfig = PathsConfig()

    @model_validator(mode="after")
    def _across_sections(self) -> Config:
        if self.data.source == "files" and self.data.path is None:
            raise ValueError(
                "data.path must name a file or folder for data.source files; got nothing"
            )
        start, end = self.data.start, self.data.end
        if self.scale.mode == "external" and self.scale.engine == "dask":
            raise ValueError(
                "scale.mode external is for one machine; engine dask spreads the panel over its "
                "workers' memory instead. Choose one of them."
            )
        if self.model.type != "xgboost" and (self.scale.mode, self.scale.engine) != (
            "memory",
            "local",
        ):
            raise ValueError(
                "scale.mode external and scale.engine dask are for model.type xgboost, which fits "
                f"rows that lie elsewhere; got {self.model.type}. Use mode memory, engine local."
            )
        if self.scale.engine == "local" and (self.scale.scheduler or self.scale.workers):
            raise ValueError("scale.scheduler and scale.workers need scale.engine dask; got local.")
        if start is not None and end is not None and start >= end:
            raise ValueError(f"data.start must be before data.end; got {start} and {end}")
        return self

    @property
    def fingerprint(self) -> str:
        """12 hex digits of all that decides a run's numbers: own features and context too."""
        tree: dict[str, Any] = {"seed": self.seed}
        for name in ("data", "features", "label", "validation", "model"):
            tree[name] = getattr(self, name).model_dump(mode="json")
        tree["evaluation"] = self.evaluation.model_dump(mode="json", exclude={"permutations"})
        for name in ("path", "yahoo", "sectors", "context", "universe"):
            del tree["data"][name]
        if "context" in self.features.families or self.features.modules:
            tree["data"] |= _context_hashes(self.data)
        del tree["model"]["threads"]
        if self.scale.engine != "local":
            # Workers draw from their own rows, which is another draw, as of another seed.
            tree["scale"] = self.scale.engine
        tree["features"]["modules"] = list(file_hashes(self.features.modules).values())
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:12]


def _context_hashes(data: DataConfig) -> dict[str, Any]:
    """Give what the files that features read hold, whatever their paths."""
    files = {name: str(path) for name, path in data.context.items()}
    held = file_hashes(files.values())
    found: dict[str, Any] = {"context": {name: held.get(path) for name, path in files.items()}}
    if data.sectors is not None:
        found["sectors"] = list(file_hashes([str(data.sectors)]).values())
    return found


def file_hashes(paths: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each file that exists, by its path."""
    files = {path: Path(path) for path in paths}
    return {
        path: hashlib.sha256(file.read_bytes()).hexdigest()
        for path, file in files.items()
        if file.is_file()
    }


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
