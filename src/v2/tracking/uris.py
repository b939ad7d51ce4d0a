"""What a tracking URI means: its kind, the file behind it, and a form safe to show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from src.v2.console import mask_secrets
from src.v2.errors import ConfigError

StoreKind = Literal["sqlite", "folder", "http", "other"]


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where MLflow keeps runs.

    Parameters
    ----------
    uri
        The tracking URI, with a relative path made absolute.
    kind
        A SQLite file, a folder of files, an HTTP server, or anything else (a database server).
    path
        The SQLite file or the folder; None for the other kinds.
    """

    uri: str
    kind: StoreKind
    path: Path | None

    @property
    def shown(self) -> str:
        """The URI without user, password and tokens."""
        return self.uri if self.path else mask_secrets(self.uri)

    @property
    def artifact_root(self) -> Path | None:
        """Absolute folder of the files of runs; None where MLflow's own choice is right."""
        if self.kind == "sqlite" and self.path is not None:
            return self.path.parent / "mlruns"
        return Path("mlruns").absolute() if self.kind == "other" else None


def parse_address(uri: str) -> StoreAddress:
    """Read a tracking URI.

    A path in it is taken from the current folder and made absolute, so that a later
    change of folder does not lead to another store.

    Raises
    ------
    ConfigError
        When the URI is empty, names a database in memory, which no other command could read,
        or has a user or password that cannot be told from the rest.

    Examples
    --------
    >>> parse_address("sqlite:////data/mlruns.db").path
    PosixPath('/data/mlruns.db')
    >>> parse_address("http://mlflow.example:5000").kind
    'http'
    """
    scheme = urlsplit(uri).scheme.lower()
    if not uri.strip():
        raise ConfigError(
            "mlflow.tracking_uri must name a store, as sqlite:///mlruns.db; got nothing."
        )
    if scheme.partition("+")[0] == "sqlite":
        head, _, tail = uri.partition(":///")
        name, question, query = tail.partition("?")
        if not name or name == ":memory:":
            raise ConfigError(
                "mlflow.tracking_uri must name a file, as sqlite:///mlruns.db; "
                f"got {mask_secrets(uri)!r}."
            )
        path = Path(name).absolute()
        return StoreAddress(f"{head}:///{path}{question}{query}", "sqlite", path)
    if scheme in ("", "file"):
        name = unquote(uri[len("file:") :]) if scheme else uri
        path = Path(re.sub(r"^//(localhost)?(?=/)", "", name)).absolute()
        return StoreAddress(path.as_uri(), "folder", path)
    _check_user(uri)
    return StoreAddress(uri, "http" if scheme in ("http", "https") else "other", None)


def _check_user(uri: str) -> None:
    """Refuse a user or password whose signs would be read as the host or the path."""
    rest = uri.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if rest.count("@") > 1 or "@" in rest[len(authority) :]:
        raise ConfigError(
            "mlflow.tracking_uri may have one @, between the password and the host; this one "
            "(not shown) has another, or a / ? # before it. "
            "Write %40 for @, %2F for /, %3F for ? and %23 for #."
        )


def without_user(uri: str) -> str:
    """Leave user and password out of a URI, for a page to open.

    Examples
    --------
    >>> without_user("http://ann:secret@host:5000")
    'http://host:5000'
    """
    return re.sub(r"://[^@/]*@", "://", uri)


def artifact_folder(root: Path, experiment_name: str) -> Path:
    """Name the folder of an experiment's files, from its name.

    Examples
    --------
    >>> artifact_folder(Path("/data/mlruns"), "my bank / 2")
    PosixPath('/data/mlruns/my_bank_2')
    """
    return root / (re.sub(r"[^\w.-]+", "_", experiment_name).strip("._") or "experiment")
