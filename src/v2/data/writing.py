"""Tables and texts to files through Python, whose errors say what the disk refuses.

Polars words a full disk as a damaged file, and not as an `OSError`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from src.v2.console import signals_deferred


def write_parquet(
    table: pl.DataFrame, path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a table that fits into memory a second time.

    Parameters
    ----------
    metadata
        Texts by name, kept in the file.

    Raises
    ------
    OSError
        When the file cannot be written; a part of it may be left.
    """
    content = io.BytesIO()
    table.write_parquet(content, metadata=None if metadata is None else dict(metadata))
    path.write_bytes(content.getbuffer())


def replace_texts(folder: Path, texts: Mapping[str, str]) -> dict[str, Path]:
    """Put texts in place of those of an earlier call: all of them, or none where one fails.

    Parameters
    ----------
    folder
        Exists.
    texts
        What each file is to hold, by its name.

    Returns
    -------
    dict
        The files, by name.

    Raises
    ------
    OSError
        When one cannot be written; the older files are left.
    """
    fresh = {name: folder / f".{name}.{os.getpid()}.part" for name in texts}
    try:
        for name, text in texts.items():
            fresh[name].write_text(text, encoding="utf-8")
        with signals_deferred():
            for name, path in fresh.items():
                os.replace(path, folder / name)
    finally:
        for path in fresh.values():
            path.unlink(missing_ok=True)
    return {name: folder / name for name in texts}
