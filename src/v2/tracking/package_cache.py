"""Model folders fetched from the store, kept by the hash of their content."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.v2.errors import ModelError, OmninmoError
from src.v2.tracking.complaints import quiet_libraries, reason_of

PACKAGE_TAG = "package_sha256"
"""Tag of a logged model and of a version: `src.v2.modeling.model_file.package_hash`."""


def cached_package(fetch: Callable[[str, str], Any], wanted: str, cache: Path, what: str) -> Path:
    """Give a model folder whose content has the wanted hash.

    Parameters
    ----------
    fetch
        Puts the named file of the stored model into a folder.
    wanted
        Hash that the folder must have.
    cache
        Folder of the cache; made when absent.
    what
        Names the model in errors.

    Raises
    ------
    ModelError
        When there is no hash to check by, the files are missing, or their hash is another.
    OmninmoError
        When the cache cannot be written.
    """
    from src.v2.modeling.model_file import (
        CARD_NAME,
        OPTIONAL_FILES,
        package_files,
        package_hash,
    )

    # It becomes the name of a folder.
    if not re.fullmatch(r"[0-9a-f]{64}", wanted):
        raise ModelError(
            f"{what} has no hash of its content ({PACKAGE_TAG}), so it cannot be verified: it was "
            "not registered by this project. Register its run: python -m src.v2.promote --run ID."
        )
    home = cache / wanted[:32]
    if package_hash(home) == wanted:
        return home
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as scratch:
            fresh = Path(scratch, "model")
            fresh.mkdir()
            _fetch_all(fetch, (CARD_NAME,), fresh, what)
            _fetch_all(fetch, package_files(fresh)[1:], fresh, what)
            # Whether one was there is settled by the hash.
            with contextlib.suppress(ModelError):
                _fetch_all(fetch, OPTIONAL_FILES, fresh, what)
            found = package_hash(fresh)
            if found != wanted:
                raise ModelError(
                    f"{what} was registered with the content {wanted[:12]}; the store gives "
                    f"{(found or 'nothing')[:12]}: it was changed or damaged since. Use another "
                    "version, or train again."
                )
            return _put_in_place(fresh, home, wanted)
    except OSError as error:
        raise OmninmoError(
            f"The fetched model cannot be kept in {cache}: {error.strerror}. Mend the folder, or "
            "name another with --paths.models-dir."
        ) from error


def _fetch_all(
    fetch: Callable[[str, str], Any], names: tuple[str, ...], folder: Path, what: str
) -> None:
    for name in names:
        try:
            with quiet_libraries():
                fetch(name, str(folder))
        except Exception as error:
            raise ModelError(
                f"The store does not give {name} of {what}: {reason_of(error)}. Its files were "
                "removed or cannot be reached; use another version, or train again."
            ) from error


def _put_in_place(fresh: Path, home: Path, wanted: str) -> Path:
    """Move a verified folder to its place; another process may have been faster."""
    from src.v2.modeling.model_file import package_hash

    if home.exists() and package_hash(home) != wanted:
        shutil.rmtree(home)
    try:
        os.replace(fresh, home)
    except OSError:
        if package_hash(home) != wanted:
            raise
    return home
