"""Runs one command and prints its wall time, CPU time, peak memory and standard output as JSON.

This is a separate, small process because a child inherits the peak memory of its parent on Linux, even across ``exec``:
a command started by a benchmark that holds 500 MB of pixels would seem to need 500 MB.

usage: python -I bench_child.py CORES COMMAND...    (CORES: 0 for all that this process may use, 1 to pin to one)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main() -> None:
    cores, command = int(sys.argv[1]), sys.argv[2:]
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = usage.ru_utime + usage.ru_stime  # of the processes that it waited for too, such as 7-Zip
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_bytes": peak, "stdout": out.decode()}))
    sys.exit(process.returncode != 0)


if __name__ == "__main__":
    main()
