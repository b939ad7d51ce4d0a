"""A model as numbers: arrays in ``model.npz``, all else in ``model.json``; neither runs code."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from src.v2.errors import ModelError

HEADER_NAME = "model.json"
ARRAYS_NAME = "model.npz"

Array = np.ndarray[Any, Any]

_DAMAGE = (
    *(OSError, ValueError, LookupError, TypeError, EOFError, ArithmeticError),
    *(MemoryError, RecursionError, NotImplementedError, zipfile.BadZipFile, zlib.error),
)


def write_arrays(folder: Path, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a model's plain values and its arrays into a folder."""
    text = json.dumps(dict(header), indent=2, ensure_ascii=False)
    (folder / HEADER_NAME).write_text(text + "\n", encoding="utf-8")
    with (folder / ARRAYS_NAME).open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(arrays))


@contextmanager
def whole_files(folder: Path, kind: str) -> Iterator[None]:
    """Refuse files that do not hold what a model of a type needs.

    Raises
    ------
    ModelError
        When what is read inside is missing, damaged or of another type.
    """
    try:
        yield
    except _DAMAGE as error:
        raise ModelError(
            f"{folder} holds no {kind} model in {HEADER_NAME} and {ARRAYS_NAME}, or a damaged one. "
            "Train again."
        ) from error


def read_arrays(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read what `write_arrays` wrote; to be called inside `whole_files`.

    Parameters
    ----------
    kind
        The type that the header must name.
    """
    header = json.loads((folder / HEADER_NAME).read_text(encoding="utf-8"))
    if header["type"] != kind:
        raise ValueError(f"type {header['type']!r}")
    with (folder / ARRAYS_NAME).open("rb") as file, np.load(file, allow_pickle=False) as held:
        return header, dict(held)


def take_array(
    arrays: Mapping[str, Array], name: str, shape: tuple[int | None, ...], kind: type[np.floating]
) -> Array:
    """Take one array that was read, if it has the shape and the numbers that the model needs.

    Parameters
    ----------
    shape
        Its lengths; None for any.
    kind
        Its type: a model that was saved in one precision is not read in another.

    Raises
    ------
    ValueError
        When it has not, or holds NaN.
    """
    array = arrays[name]
    fits = len(array.shape) == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != kind or np.isnan(array).any():
        raise ValueError(f"{name} has {array.dtype} {array.shape}")
    return array


def take_names(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Take the names of the features from a header.

    Raises
    ------
    ValueError
        When they are no list of names, or one stands twice.
    """
    names = header["features"]
    whole = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not whole or len(set(names)) != len(names):
        raise ValueError("features are no list of names")
    return tuple(names)


def joined_bytes(arrays: Mapping[str, Array]) -> bytes:
    """Put the bytes of arrays one after another."""
    return b"".join(array.tobytes() for array in arrays.values())
