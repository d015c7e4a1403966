"""A conversion does not hold a whole unit in memory: a source five times as large needs hardly more memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from makers import example_bytes, random_group, record_bytes

MB = 1_000_000
# Keeps every event, as a program that shows them later may do: no event may refer to observations.
RUN = """
import re, sys
from pathlib import Path
import s2ct_convert
from s2ct_convert.store.layout import OBS_BYTES
events = []
summary = s2ct_convert.convert(sys.argv[1], sys.argv[2], on_event=events.append)
assert summary.bytes_raw == int(sys.argv[3]) * OBS_BYTES, summary
# Not ru_maxrss: for a process that was just started, it includes the memory of its parent.
print(len(events), int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024)
"""


def source(folder: Path, examples: int) -> Path:
    """Examples of 100 timestamps and 1.4 MB; all have the same images, to be made quickly."""
    group = random_group(np.random.default_rng(59), 0, 100)
    folder.mkdir()
    path = folder / f"train_50SMG_{examples}"
    with open(path, "wb") as file:
        for i in range(examples):
            group.localid = i
            file.write(record_bytes(example_bytes(group)))
    return path


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory in /proc")
def test_memory_does_not_grow_with_the_source(tmp_path, suffix):
    """``tests/store/test_unit_writer_memory.py`` tests the memory of a second pass."""
    small, large = 60, 300  # 85 and 423 MB
    peaks = []
    for n in (small, large):
        path = source(tmp_path / str(n), n)
        command = [sys.executable, "-c", RUN, str(path), str(tmp_path / f"{n}.{suffix}"), str(n * 100)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        events, peak = map(int, done.stdout.split())
        assert events > path.stat().st_size / (8 << 20)
        peaks.append(peak)
        path.unlink()
    assert peaks[1] - peaks[0] < 100 * MB, f"{peaks[0] / MB:.0f} MB, then {peaks[1] / MB:.0f} MB"
