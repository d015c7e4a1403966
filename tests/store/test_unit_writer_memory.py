from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

OBSERVATIONS = 40_000  # 564 MB of pixels
SAMPLE = 100
# In MB: 60 for the imports; up to 34 in flight each for chunks and digests; in a second pass 34 for chunks read back,
# and up to three windows of 29: the one being filled, the one being written and one still in flight.
LIMIT_MB = {"sorted": 250, "shuffled": 400}

WRITE_A_UNIT = """
import re, sys
from contextlib import closing
from pathlib import Path

import numpy as np

from s2ct_convert.names import UnitName
from s2ct_convert.source.samples import Series
from s2ct_convert.store.codecs import find_codec
from s2ct_convert.store.containers import make_container
from s2ct_convert.store.local import Scratch
from s2ct_convert.store.unit_writer import UnitTable, UnitWriter

format, order, folder, n, size = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
rng = np.random.default_rng(1)
scratch = Scratch(Path(folder), Path(folder))
container = make_container(Path(folder, "store"), find_codec(format, None), scratch)
localids = np.arange(n // size)
if order == "shuffled":
    rng.shuffle(localids)
with closing(UnitWriter(container, UnitName("train", "50SMG"), 2)) as writer:
    for example, localid in enumerate(localids.tolist()):
        image = rng.integers(0, 4000, (size, 4, 42, 42), np.uint16)
        numbers = np.full(size, example, np.int32)
        writer.append(Series(localid, (image,), numbers, np.arange(size, dtype=np.int32)))
    days = np.tile(np.arange(size, dtype=np.int32), n // size)
    columns = {"date": days.astype(np.int64), "time": days, "label": days.astype(np.int8), "weight": np.ones(n, "f4")}
    sizes = np.full(n // size, size, np.int64)
    content = writer.finish(UnitTable(np.sort(localids), localids.astype(np.int64), sizes, columns), {})
assert content.observations == n and content.passes == (2 if order == "shuffled" else 1)
# Not ru_maxrss: in a new process it includes the memory of the parent.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1000)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("order", LIMIT_MB)
def test_memory_does_not_depend_on_the_size_of_the_unit(tmp_path, format, order):
    command = [sys.executable, "-c", WRITE_A_UNIT, format, order, tmp_path, OBSERVATIONS, SAMPLE]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < LIMIT_MB[order]
