"""Captures on disk: zarr, written whole or not at all, and read back only when every number is what was
written."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import xarray as xr
import zarr.errors

from vaslab.capture.dataset import FORMAT
from vaslab.errors import MissingError, UsageError, VaslabError, one_line

_DIGESTS = "digests"


def save_capture(capture: xr.Dataset, path: Path | str, *, overwrite: bool = False) -> Path:
    """Write a capture as a zarr folder under a temporary name, then rename it.

    Raises:
        UsageError: the path exists and `overwrite` is False, or the dataset is no capture.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists; choose another name or pass overwrite=True")
    if capture.attrs.get("format") != FORMAT:
        raise UsageError(
            f"this dataset is no capture (format {capture.attrs.get('format')!r}, expected {FORMAT!r})"
        )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    # zarr fills a missing chunk with a default in silence; the digests notice.
    digests = {str(name): _digest(values) for name, values in capture.variables.items()}
    marked = capture.assign_attrs({_DIGESTS: json.dumps(digests, sort_keys=True)})
    marked.to_zarr(part, mode="w", consolidated=False)
    if path.exists():
        shutil.rmtree(path)
    part.rename(path)
    return path


def load_capture(path: Path | str) -> xr.Dataset:
    """Read a capture into memory and check every variable against its digest.

    Raises:
        MissingError: there is no such folder.
        VaslabError: the folder is no capture, was written by another version, or holds damaged or missing
            numbers.
    """
    path = Path(path)
    if not path.is_dir():
        raise MissingError(f"there is no capture at {path}; measure one with `vaslab measure`")
    try:
        found = xr.open_zarr(path, consolidated=False).load()
    except (OSError, ValueError, KeyError, RuntimeError, zarr.errors.BaseZarrError) as error:
        line = one_line(error)[:200]
        raise VaslabError(f"{path} cannot be read as a capture ({line}); measure it again") from error
    if found.attrs.get("format") != FORMAT:
        raise VaslabError(
            f"{path} has format {found.attrs.get('format')!r}, this version reads {FORMAT!r}; measure it again"
        )
    digests = json.loads(found.attrs.pop(_DIGESTS, "{}"))
    missing = sorted(set(digests) - {str(name) for name in found.variables})
    broken = sorted(
        str(name) for name, values in found.variables.items() if digests.get(str(name)) != _digest(values)
    )
    if missing or broken:
        found_wrong = [f"{name} is missing" for name in missing]
        found_wrong += [f"{name} differs from what was written" for name in broken]
        raise VaslabError(f"{path} is damaged: {', '.join(found_wrong)}; measure it again")
    texts = {
        name: values.astype(object) for name, values in found.coords.items() if values.dtype.kind in "TU"
    }
    return found.assign_coords(texts)


def _digest(variable: xr.Variable) -> str:
    values = np.asarray(variable.values)
    if values.dtype.kind in "OTU":
        return sha256(json.dumps([str(value) for value in values.ravel()]).encode()).hexdigest()
    head = f"{values.dtype.str}{values.shape}".encode()
    return sha256(head + np.ascontiguousarray(values).tobytes()).hexdigest()
