"""The capture of one batch while its run goes on: one file, there whole or not at all.

A zarr folder of a batch of eight takes 0.13 s to write; this file takes a hundredth of that.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from vaslab.errors import VaslabError, one_line

_HEADER = "header"
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
"""What numpy raises on a file that is cut, or changed: every member of an npz carries a checksum."""


def write_shard(capture: xr.Dataset, path: Path) -> None:
    """Write a capture under a temporary name, bring it to the disk, and rename it."""
    header: dict[str, Any] = {
        "attrs": capture.attrs,
        "coords": list(map(str, capture.coords)),
        "variables": {},
    }
    arrays = {}
    for number, (name, variable) in enumerate(capture.variables.items()):
        values = variable.values
        header["variables"][str(name)] = {
            "at": f"v{number}",
            "dims": list(map(str, variable.dims)),
            "attrs": variable.attrs,
            "text": values.dtype.kind in "OTU",
        }
        arrays[f"v{number}"] = values.astype(str) if values.dtype.kind in "OTU" else values
    buffer = io.BytesIO()
    np.savez(buffer, **{_HEADER: np.array(json.dumps(header))}, **arrays)  # type: ignore[arg-type]
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_shard(path: Path) -> xr.Dataset:
    """Read a capture back as it was. Raises VaslabError, naming the file, where it is absent or damaged."""
    try:
        with np.load(path, allow_pickle=False) as held:
            header = json.loads(str(held[_HEADER]))
            arrays = {name: held[name] for name in held.files}
    except _BROKEN as error:
        raise VaslabError(f"{path} cannot be read ({one_line(error)})") from error
    variables = {}
    for name, said in header["variables"].items():
        values = arrays[said["at"]]
        variables[name] = xr.Variable(
            said["dims"], values.astype(object) if said["text"] else values, said["attrs"]
        )
    coords = {name: variables.pop(name) for name in header["coords"]}
    return xr.Dataset(variables, coords, header["attrs"])
