"""Settings that decide what a run computes: data, features, label, folds, model, judgement."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from src.v2.config_types import Names, Numbers, Section, as_mapping

SMALL_UNIVERSE = 20
"""Below this many tickers no cross-sectional target, label or claim is made."""

SERIES_NAME = re.compile(r"[a-z][a-z0-9_]*")
NOT_SERIES = frozenset(
    ("date", "ticker", "sector", "row", "market_return", "market_level", "market_up")
)
"""Names that a series of context may not have: columns that stand beside it."""


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
    context: Annotated[dict[str, Path], BeforeValidator(as_mapping)] = Field(
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
    columns: Annotated[dict[str, int], BeforeValidator(as_mapping)] = Field(
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
    learning_rate: float = Field(0.05, gt=0, le=1, description="share of its gain that a tree adds")
    max_depth: int = Field(6, ge=1, le=16, description="most splits on the way to a leaf")
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
    subsample: float = Field(0.8, gt=0, le=1, description="chance of a row to be drawn for a round")
    colsample_bytree: float = Field(
        0.5, gt=0, le=1, description="share of the features that a tree may use"
    )
    min_child_weight: float | None = Field(
        None, ge=0, description="empty: 10 horizons of a ticker's rows, scaled by the stride"
    )
    reg_lambda: float = Field(1.0, ge=0, description="L2 penalty of the leaves' values")
    reg_alpha: float = Field(0.0, ge=0, description="L1 penalty of the leaves' values")
    gamma: float = Field(0.0, ge=0, description="least gain of a split")
    max_bin: int = Field(256, ge=2, le=65_536, description="most bins of a feature")
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
