"""The registry of models: versions of one name in MLflow, and the aliases that lead to them.

The only use of MLflow's registry, through its client without global state. What is delivered
is the project's own model folder (booster and card), never a pickle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.v2.errors import ConfigError, ModelError
from src.v2.tracking.complaints import refusals
from src.v2.tracking.entities import fit_text
from src.v2.tracking.model_version import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    ModelVersion,
    listed,
    version_record,
)
from src.v2.tracking.package_cache import PACKAGE_TAG, cached_package
from src.v2.tracking.store import is_missing, open_client
from src.v2.tracking.uris import StoreAddress, parse_address

if TYPE_CHECKING:
    from src.v2.config import MlflowConfig

__all__ = ["CHALLENGER", "CHAMPION", "PREVIOUS", "ModelVersion", "Registry", "resolve"]

MODEL_TAG = "model_id"
"""Tag of a version: the logged model that it is."""

TAG_LENGTH = 5000
ABOUT = "Stock forecasts of omninmo. The alias champion is the model in use."
_URI = re.compile(r"models:/+([^/:@.%\"']+)(?:@([\w-]+)|/(\d+|latest))")
_UNKNOWN = "RESOURCE_DOES_NOT_EXIST"
_TAKEN = "RESOURCE_ALREADY_EXISTS"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A version and its model folder on this disk, its content verified."""

    version: ModelVersion
    folder: Path


def resolve(config: MlflowConfig, uri: str, cache: Path) -> ResolvedModel:
    """Fetch the model folder of a version.

    Parameters
    ----------
    uri
        ``models:/stock_prediction@champion``, ``models:/stock_prediction/3`` or
        ``models:/stock_prediction/latest``.
    cache
        Folder in which fetched models are kept, by the hash of their content.

    Raises
    ------
    ConfigError
        When the URI is of another form.
    ModelError
        When nothing is registered under that name, the alias or version does not exist, or
        what the store keeps is not what was registered.
    TrackingError
        When the store cannot be reached.
    """
    found = _URI.fullmatch(uri)
    if found is None:
        raise ConfigError(
            "A registered model is named models:/NAME@ALIAS, models:/NAME/VERSION or "
            f"models:/NAME/latest; got {uri[:200]!r}."
        )
    name, alias, number = found.groups()
    registry = Registry(config, name)
    version = registry.by_alias(alias) if alias else registry.by_number(number)
    return ResolvedModel(version, registry.package(version, cache))


class Registry:
    """The versions of one registered model.

    Every method raises TrackingError when the store refuses.

    Parameters
    ----------
    config
        Where the store is; a local one that was never made is not created.
    name
        Of the registered model; by default ``mlflow.registered_model_name``.

    Raises
    ------
    ModelError
        When the local store does not exist.
    """

    def __init__(self, config: MlflowConfig, name: str | None = None) -> None:
        self.name = name or config.registered_model_name
        self._address: StoreAddress = parse_address(config.tracking_uri)
        if is_missing(self._address):
            raise self._nothing()
        with refusals(self._address):
            self._client = open_client(self._address)

    @property
    def store(self) -> str:
        """The store's address, safe to show."""
        return self._address.shown

    @property
    def is_local(self) -> bool:
        """Whether the store lies on this machine, and answers at once."""
        return self._address.kind in ("sqlite", "folder")

    def versions(self) -> tuple[ModelVersion, ...]:
        """List all versions, newest first; none when nothing is registered."""
        with refusals(self._address):
            model = self._model()
            if model is None:
                return ()
            found: list[Any] = []
            token = None
            while token != "":
                page = self._client.search_model_versions(
                    f"name = '{self.name}'", max_results=1000, page_token=token
                )
                found += page
                token = page.token or ""
        aliases = dict(model.aliases)
        made = (version_record(self.name, item, aliases) for item in found)
        return tuple(sorted(made, key=lambda item: -item.version))

    def aliases(self) -> dict[str, int]:
        """Version by alias; empty when nothing is registered."""
        with refusals(self._address):
            model = self._model()
        return {} if model is None else {key: int(value) for key, value in model.aliases.items()}

    def by_alias(self, alias: str) -> ModelVersion:
        """Give the version that an alias leads to.

        Raises
        ------
        ModelError
            When there is none.
        """
        versions = self._some()
        for version in versions:
            if alias in version.aliases:
                return version
        raise ModelError(
            f"No version of {self.name!r} has the alias {alias!r} in {self.store}; it has "
            f"{listed(versions)}. make promote gives the alias champion to a challenger, make "
            "train ARGS=--register makes a challenger."
        )

    def by_number(self, number: str | int) -> ModelVersion:
        """Give a version by its number, or the one with the highest for ``latest``.

        Raises
        ------
        ModelError
            When there is none.
        """
        versions = self._some()
        for version in versions:
            if number == "latest" or version.version == int(number):
                return version
        raise ModelError(
            f"{self.name!r} has no version {number} in {self.store}; it has {listed(versions)}."
        )

    def package(self, version: ModelVersion, cache: Path) -> Path:
        """Fetch a version's model folder, unless the cache holds it.

        Raises
        ------
        ModelError
            When the store lacks it, or its content is not what was registered.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository: Any = get_artifact_repository
        with refusals(self._address):
            place = self._client.get_model_version_download_uri(self.name, str(version.version))
            files = repository(place, tracking_uri=self._address.uri)
        wanted = version.tags.get(PACKAGE_TAG, "")
        what = f"version {version.version} of {self.name!r}"
        return cached_package(files.download_artifacts, wanted, cache, what)

    def register(self, run_id: str, tags: Mapping[str, str], description: str) -> ModelVersion:
        """Make a version of the model that a run logged; one that there is already is given.

        Parameters
        ----------
        run_id
            A training run that keeps its files.
        tags
            Shown with the version, and kept for the gate.
        description
            Markdown for the version's page.

        Raises
        ------
        ModelError
            When the run has no logged model with a card.
        """
        with refusals(self._address):
            model = self._logged_model(run_id)
            # A name made by another process in between is as good.
            self._attempt(self._client.create_registered_model, _TAKEN, self.name, {}, ABOUT)
        for version in self.versions():
            if version.tags.get(MODEL_TAG) == model.model_id:
                return version
        kept = {**tags, PACKAGE_TAG: model.tags[PACKAGE_TAG], MODEL_TAG: model.model_id}
        with refusals(self._address):
            made = self._client.create_model_version(
                self.name,
                # By models:/ID MLflow would look in the process's own store, not in this one.
                model.artifact_location,
                run_id=run_id,
                tags={key: fit_text(value, TAG_LENGTH) for key, value in kept.items()},
                description=description,
                model_id=model.model_id,
            )
        return self.by_number(made.version)

    def set_alias(self, alias: str, version: int) -> None:
        """Let an alias lead to a version, from whichever it led to: one step in the store."""
        with refusals(self._address):
            self._client.set_registered_model_alias(self.name, alias, str(version))

    def drop_alias(self, alias: str) -> None:
        """Take an alias away."""
        with refusals(self._address):
            self._client.delete_registered_model_alias(self.name, alias)

    def set_tags(self, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        with refusals(self._address):
            for key, value in tags.items():
                self._client.set_model_version_tag(
                    self.name, str(version), key, fit_text(value, TAG_LENGTH)
                )

    def _some(self) -> tuple[ModelVersion, ...]:
        versions = self.versions()
        if not versions:
            raise self._nothing()
        return versions

    def _nothing(self) -> ModelError:
        return ModelError(
            f"No model is registered as {self.name!r} in {self._address.shown}. make train "
            "ARGS=--register makes its first version."
        )

    def _model(self) -> Any:
        return self._attempt(self._client.get_registered_model, _UNKNOWN, self.name)

    def _logged_model(self, run_id: str) -> Any:
        """Find the model that a run logged with its card."""
        run = self._attempt(self._client.get_run, _UNKNOWN, run_id)
        if run is None:
            raise ModelError(f"{self.store} has no run {run_id[:64]!r}. List them with make runs.")
        outputs = run.outputs.model_outputs if run.outputs is not None else []
        for output in reversed(outputs):
            model = self._client.get_logged_model(output.model_id)
            if PACKAGE_TAG in model.tags and str(model.status) == "READY":
                return model
        raise ModelError(
            f"The run {run_id} keeps no model that can be registered: it logged none with its "
            "card (mlflow.log_artifacts false, no training, or an earlier version of this "
            "project). Train with --register."
        )

    @staticmethod
    def _attempt(call: Any, excused: str, *words: Any) -> Any:
        """Call the client; an answer of one error code counts as None."""
        from mlflow.exceptions import MlflowException

        try:
            return call(*words)
        except MlflowException as error:
            if getattr(error, "error_code", "") != excused:
                raise
            return None
