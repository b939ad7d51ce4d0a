"""Tables to files through Python, whose errors say what the disk refuses.

Polars words a full disk as a damaged file, and not as an `OSError`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import polars as pl


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
