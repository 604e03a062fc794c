"""Filters from ambisonic channels to the microphones of a head, from files of head-related impulse responses."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlab.arrays import Array
from hearlab.errors import InputError
from hearlab.files import read_json
from hearlab.scenes.ambisonics import decoding_filters

# The published data set has 3 heads with 4 pairs of microphones; a pair's filters take 0.2 MB.
KEPT_PAIRS = 16
MOST_VALUES = 20_000_000  # of the responses; the published data set's have 0.1 million


def microphone_filters(responses: Path, metadata: Path, order: int) -> Array:
    """Filters from ambisonic channels to a pair of microphones.

    The last `KEPT_PAIRS` are cached until one of the two files changes: reading and decoding takes 9 ms for each pair
    of each scene.

    Args:
        responses: MAT file with `M_data`, head-related impulse responses of shape (taps, directions, 2).
        metadata: JSON file with `selected_channels`, for each direction whether it is a loudspeaker, and `matrix`,
            spherical harmonics at the selected directions.
        order: ambisonic order.

    Returns:
        shape (taps, (order + 1)^2, 2), read-only.

    Raises:
        InputError: a file is missing, damaged, or they do not fit each other.
    """
    if not responses.is_file():
        raise InputError(responses, "no such file", wanted="head-related responses (.mat)")
    return _filters(_identity(responses), _identity(metadata), order)


def _identity(path: Path) -> tuple[str, tuple[int, ...]]:
    """A file's name, and what changes when it is written again."""
    try:
        status = os.stat(path)
    except OSError:
        return str(path), ()
    return str(path), (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=KEPT_PAIRS)
def _filters(responses: tuple[str, Any], metadata: tuple[str, Any], order: int) -> Array:
    from scipy.io import loadmat, whosmat  # takes 0.3 s to import, which a stage with nothing to render does without

    path, metadata_path = Path(responses[0]), Path(metadata[0])
    try:
        # A MAT file is compressed: the shape is read first.
        large = any(name == "M_data" and math.prod(shape) > MOST_VALUES for name, shape, _ in whosmat(path))
        data = None if large else loadmat(path, variable_names=["M_data"]).get("M_data")
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise InputError(path, "cannot be read as a MAT file", found=str(error) or type(error).__name__) from None
    if large:
        raise InputError(path, "is too large", field="M_data", wanted=f"at most {MOST_VALUES} values")
    if data is None or data.ndim != 3 or data.shape[2] != 2 or data.dtype.kind not in "fiu":
        raise InputError(
            path,
            "has not the shape of head-related responses",
            field="M_data",
            found="nothing" if data is None else data.shape,
            wanted="(taps, directions, 2)",
        )
    if not np.all(np.isfinite(data)):
        raise InputError(path, "holds values that are no finite numbers", field="M_data")
    selected, matrix = _loudspeakers(metadata)
    if (
        selected.ndim != 1
        or selected.size != data.shape[1]
        or matrix.ndim != 2
        or matrix.shape[0] != int(selected.sum())
    ):
        raise InputError(
            metadata_path,
            f"does not fit {path.name}",
            field="selected_channels, matrix",
            found=f"{selected.size} directions, {int(selected.sum())} selected, matrix {matrix.shape}",
            wanted=f"{data.shape[1]} directions and a matrix row for each selected one",
        )
    filters = decoding_filters(data, selected, matrix, order)
    filters.flags.writeable = False
    return filters


@functools.lru_cache(maxsize=1)
def _loudspeakers(metadata: tuple[str, Any]) -> tuple[NDArray[np.bool_], Array]:
    path = Path(metadata[0])
    fields = read_json(path)
    values = []
    for field, kind in (("selected_channels", "b"), ("matrix", "fi")):
        if not isinstance(fields, dict) or field not in fields:
            raise InputError(path, "field is missing", field=field)
        try:
            values.append(np.array(fields[field]))
        except ValueError:  # rows of different lengths
            values.append(np.array(None))
        if values[-1].dtype.kind not in kind:
            raise InputError(path, "is no list of one kind of values", field=field)
    return values[0], values[1].astype(np.float64)
