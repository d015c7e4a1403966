"""A disk error becomes OSError wherever HDF5 meets it: in a chunk, in a cache flush, or while closing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2ct_convert.store.hdf5_file import disk_errors

_WRITE_UNDER_LIMITS = """
import json, os, resource, sys
from pathlib import Path
import numpy as np
from store.units import container, table, write

folder = Path(sys.argv[1])
source = table(np.random.default_rng(5), [(1, range(40)), (2, range(30))])
size = write(container("hdf5", folder / "x.h5"), folder / "whole", source).bytes
outcomes = {}
for limit in [*range(0, size, size // 12), *range(size - 16_000, size + 16_000, 1_000)]:
    reading, writing = os.pipe()
    if not os.fork():  # one process per limit: HDF5 keeps files open that it could not close
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            write(container("hdf5", folder / "x.h5"), folder / f"at {limit}", source)
            os.write(writing, b"written")
        except Exception as error:
            os.write(writing, f"{type(error).__name__} {getattr(error, 'errno', None)}".encode())
        os._exit(0)
    os.close(writing)
    outcomes[limit] = os.read(reading, 100).decode()
print(json.dumps({"size": size, "outcomes": outcomes}))
"""


@pytest.mark.slow
def test_a_full_disk_raises_oserror_at_any_point_of_a_unit(tmp_path):
    command = [sys.executable, "-c", _WRITE_UNDER_LIMITS, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    size, outcomes = json.loads(done.stdout).values()
    too_big = {int(limit): what for limit, what in outcomes.items() if int(limit) < size}
    assert len(too_big) > 25
    assert set(too_big.values()) == {"OSError 27"}, too_big  # EFBIG, the error of RLIMIT_FSIZE
    assert outcomes[max(outcomes, key=int)] == "written"


def test_only_an_error_with_errno_becomes_oserror(tmp_path):
    with pytest.raises(RuntimeError, match="a bug"), disk_errors(tmp_path):
        raise RuntimeError("a bug")
    with pytest.raises(OSError, match="No space left on device"), disk_errors(tmp_path / "x.h5"):
        raise RuntimeError("Can't flush (file write failed: file descriptor = 6, errno = 28, error message = '')")
