"""Reads the dimensions of HDF5 arrays as netCDF tools do, in a separate process.

Dimensions are references in a heap without checksums. libhdf5 2.0 hangs on a zeroed one. The separate process is then
killed and the caller continues.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

TIMEOUT_SECONDS = 60.0  # a store of 72 units takes a second


def read_dims(arrays: Sequence[tuple[str, str]]) -> list[tuple[str, ...] | str] | None:
    """Names of the dimensions of arrays, each given by its file and its path in the file.

    An array with broken dimensions has an error message in their place. None if reading takes longer than
    ``TIMEOUT_SECONDS`` or HDF5 crashes.
    """
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    try:
        done = subprocess.run(
            command, input=json.dumps(list(arrays)), capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:  # HDF5 crashed the process
        return None
    return [one if isinstance(one, str) else tuple(one) for one in json.loads(done.stdout)]


def main() -> None:
    """Main function of the separate process: arrays as JSON on stdin, dimensions as JSON on stdout."""
    import h5py

    out: list[list[str] | str] = []
    for file, name in json.load(sys.stdin):
        try:
            with h5py.File(file, "r") as opened:
                dims = opened[name].dims
                out.append([" ".join(str(one.name).rsplit("/", 1)[-1] for one in dim.values()) for dim in dims])
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            out.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
    json.dump(out, sys.stdout)
