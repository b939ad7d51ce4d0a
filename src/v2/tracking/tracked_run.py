"""A run that is open in MLflow, filled through the client without global state."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, override

from src.v2.tracking.complaints import quiet_libraries, refusals
from src.v2.tracking.entities import dataset_input, metric_entities, param_entities, tag_entities
from src.v2.tracking.lifecycle import open_run
from src.v2.tracking.process import origin_tags
from src.v2.tracking.scoring_model import MODEL_NAME, save_scoring_model
from src.v2.tracking.store import Store
from src.v2.tracking.uris import without_user

if TYPE_CHECKING:
    import polars as pl

UI_SERVER = "http://127.0.0.1:5000"


class TrackedRun:
    """A running run of MLflow, written to through the client.

    Every method raises TrackingError when the store refuses.

    Parameters
    ----------
    store
        The open store.
    run_id
        The run in it.
    keeps_files
        Whether files and models are kept; otherwise the methods for them do nothing.
    """

    def __init__(self, store: Store, run_id: str, *, keeps_files: bool) -> None:
        self._store = store
        self._client = store.client
        self.run_id = run_id
        self.experiment_id = store.experiment_id
        self.tracking_uri = store.address.shown
        self.keeps_files = keeps_files

    @property
    def page(self) -> str:
        """Where a browser finds the run: on the tracking server, or once `make mlflow` runs."""
        address = self._store.address
        server = without_user(address.uri).rstrip("/") if address.kind == "http" else UI_SERVER
        return f"{server}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep settings; a value beyond MLflow's 6000 characters is shortened, with a mark."""
        self._log(params=params)

    def log_metrics(
        self, metrics: Mapping[str, float], *, step: int = 0, model_id: str | None = None
    ) -> None:
        """Keep numbers, tied to a logged model where its id is given.

        Numbers that are not finite are dropped, since MLflow sorts an infinity first.
        """
        self._log(metrics={k: [v] for k, v in metrics.items()}, step=step, model_id=model_id)

    def log_curve(self, curves: Mapping[str, Sequence[float]]) -> None:
        """Keep whole curves; the position of a value is its step, from 0."""
        self._log(metrics=curves)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags; a value beyond MLflow's 8000 characters is shortened, with a mark."""
        self._log(tags=tags)

    def note(self, markdown: str) -> None:
        """Set the text that MLflow shows on the run's page."""
        self._log(tags={"mlflow.note.content": markdown})

    def log_dataset(
        self,
        *,
        name: str,
        source: str,
        digest: str,
        columns: Mapping[str, str] | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """Name the data that the run was trained on.

        Parameters
        ----------
        name
            The data set's name.
        source
            A path, a URL, or a vendor's name.
        digest
            Hash of the content; MLflow keeps 36 characters.
        columns
            MLflow type (double, string, datetime ...) by column.
        counts
            Sizes, as rows, tickers, sessions.
        """
        with refusals(self._store.address):
            entity = dataset_input(name, source, digest, columns or {}, counts or {})
            self._client.log_inputs(self.run_id, datasets=[entity])

    def log_files(self, files: Mapping[str, Path]) -> None:
        """Keep local files or folders, each under its artifact path, as ``plots/shap.png``."""
        if not self.keeps_files:
            return
        with refusals(self._store.address), tempfile.TemporaryDirectory() as scratch:
            for target, local in files.items():
                folder, _, name = target.rpartition("/")
                if local.is_dir():
                    self._client.log_artifacts(self.run_id, str(local), target)
                    continue
                if local.name != name:
                    renamed = Path(scratch, name)
                    renamed.unlink(missing_ok=True)
                    renamed.symlink_to(local.resolve())
                    local = renamed
                self._client.log_artifact(self.run_id, str(local), folder or None)

    def log_text(self, text: str, artifact_path: str) -> None:
        """Keep a text as a file."""
        if self.keeps_files:
            with refusals(self._store.address):
                self._client.log_text(self.run_id, text, artifact_path)

    def log_dict(self, tree: Mapping[str, Any], artifact_path: str) -> None:
        """Keep plain values as a JSON or YAML file, by the ending of its name."""
        if self.keeps_files:
            with refusals(self._store.address):
                self._client.log_dict(self.run_id, dict(tree), artifact_path)

    def child(
        self,
        name: str,
        *,
        metrics: Mapping[str, float],
        curves: Mapping[str, Sequence[float]] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Add a finished run below this one, as a fold of the walk-forward.

        An error in the middle leaves it FAILED, an interrupt KILLED.

        Returns
        -------
        str
            The id of the child run.
        """
        above = {"mlflow.parentRunId": self.run_id, **origin_tags()}
        numbers = {key: [value] for key, value in metrics.items()}
        with open_run(self._store, name, above) as run_id:
            below = TrackedRun(self._store, run_id, keeps_files=False)
            below._log(metrics={**numbers, **(curves or {})}, params=params, tags=tags)
        return run_id

    def log_model(
        self,
        booster_file: Path,
        *,
        example: pl.DataFrame,
        classes: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        beside: Sequence[Path] = (),
    ) -> str | None:
        """Keep the booster as the logged model ``model``, and as files of the run.

        It then loads by ``models:/<model id>``, ``runs:/<run id>/model`` and
        ``<artifact URI of the run>/model``.

        Parameters
        ----------
        booster_file
            The fitted booster, saved by XGBoost.
        example
            Rows of features in the booster's order; the first three are kept.
        classes
            Names of the classes, lowest first; empty for a regression.
        params, tags
            Shown with the model.
        metadata
            Kept in the model's own files, as plain values.
        beside
            Further files of the model's folder, as its card, kept beside the booster.

        Returns
        -------
        str or None
            The model's id, to tie metrics to; None when files are not kept.
        """
        if not self.keeps_files:
            return None
        model_id = self._create_model(classes, params or {}, tags or {})
        try:
            with tempfile.TemporaryDirectory() as scratch, quiet_libraries():
                folder = Path(scratch, MODEL_NAME)
                save_scoring_model(
                    booster_file,
                    folder,
                    example=example.head(3),
                    classes=classes,
                    metadata=metadata or {},
                    identity={"run_id": self.run_id, "model_id": model_id},
                )
                for file in beside:
                    shutil.copyfile(file, folder / file.name)
                self._publish_model(model_id, folder)
        except BaseException:
            with contextlib.suppress(Exception), quiet_libraries():
                self._client.finalize_logged_model(model_id, "FAILED")
            raise
        return model_id

    def _create_model(
        self, classes: Sequence[str], params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> str:
        """Enter a model that has no files yet, and give its id."""
        with refusals(self._store.address):
            made = self._client.create_logged_model(
                self.experiment_id,
                name=MODEL_NAME,
                source_run_id=self.run_id,
                params={entity.key: entity.value for entity in param_entities(params)},
                tags=dict(tags),
                model_type="classifier" if classes else "regressor",
            )
        return str(made.model_id)

    def _publish_model(self, model_id: str, folder: Path) -> None:
        """Copy a saved model to the store and tie it to the run."""
        from mlflow.entities import LoggedModelOutput

        output: Any = LoggedModelOutput
        with refusals(self._store.address):
            self._client.log_outputs(self.run_id, models=[output(model_id, step=0)])
            self._client.log_model_artifacts(model_id, str(folder))
            self._client.log_artifacts(self.run_id, str(folder), MODEL_NAME)
            self._client.finalize_logged_model(model_id, "READY")

    def _log(
        self,
        *,
        metrics: Mapping[str, Sequence[float]] | None = None,
        step: int = 0,
        model_id: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write what is given in as few calls as MLflow's limits allow."""
        with refusals(self._store.address):
            self._client.log_batch(
                self.run_id,
                metrics=metric_entities(metrics or {}, step, model_id),
                params=param_entities(params or {}),
                tags=tag_entities(tags or {}),
            )


class NullRun(TrackedRun):
    """A run that keeps nothing, for training without tracking."""

    def __init__(self) -> None:
        self.run_id = self.experiment_id = self.tracking_uri = ""
        self.keeps_files = False

    @property
    @override
    def page(self) -> str:
        return ""

    @override
    def log_dataset(self, **_: Any) -> None: ...

    @override
    def log_files(self, files: Mapping[str, Path]) -> None: ...

    @override
    def child(self, name: str, **_: Any) -> str:
        return ""

    @override
    def _log(self, **_: Any) -> None: ...
