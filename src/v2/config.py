"""The configuration: one typed, frozen tree with every default.

`src.v2.config_sources` puts it together from files, variables and flags.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    Field,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from src.v2.config_commands import (
    CompareConfig,
    FetchConfig,
    MlflowConfig,
    MonitorConfig,
    PathsConfig,
    PredictConfig,
    PromoteConfig,
    ReportConfig,
    RunsConfig,
    ScaleConfig,
    ServeConfig,
    TuneConfig,
)
from src.v2.config_training import (
    NOT_SERIES,
    SERIES_NAME,
    SMALL_UNIVERSE,
    DataConfig,
    EvaluationConfig,
    ExplainConfig,
    FeaturesConfig,
    LabelConfig,
    ModelConfig,
    ModelType,
    ValidationConfig,
    YahooConfig,
)
from src.v2.config_types import Names, Numbers, Section

__all__ = [
    "ENV_PREFIX",
    "NOT_SERIES",
    "SERIES_NAME",
    "SMALL_UNIVERSE",
    "CompareConfig",
    "Config",
    "DataConfig",
    "EvaluationConfig",
    "ExplainConfig",
    "FeaturesConfig",
    "FetchConfig",
    "LabelConfig",
    "MlflowConfig",
    "ModelConfig",
    "ModelType",
    "MonitorConfig",
    "Names",
    "Numbers",
    "PathsConfig",
    "PredictConfig",
    "PromoteConfig",
    "ReportConfig",
    "RunsConfig",
    "ScaleConfig",
    "Section",
    "ServeConfig",
    "TuneConfig",
    "ValidationConfig",
    "YahooConfig",
    "file_hashes",
    "setting_paths",
]

ENV_PREFIX = "OMNINMO_"


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
