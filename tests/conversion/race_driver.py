"""``python race_driver.py MOMENT HOST ARGUMENTS``: ``s2ct`` that stops at one moment, on a host with this name.

At the moments ``looked`` (after the check whether the unit is done), ``made`` (before the last check of the lease) and
``publishing`` (after it), it prints the moment and suspends itself with SIGSTOP, heartbeat included. At ``rename`` and
``entry`` it kills itself before the unit is renamed or its entry is written. It waits one second for a heartbeat, not
minutes. HOST ``-`` is this host.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Any

MOMENTS = {
    "looked": ("s2ct_convert.conversion.batch", "make_unit"),
    "made": ("s2ct_convert.lease", "Lease.check"),
    "publishing": ("s2ct_convert.store.zarr_container", "ZarrContainer.publish"),
    "rename": ("s2ct_convert.store.zarr_container", "publish"),
    "entry": ("s2ct_convert.units.ledger", "Ledger.write"),
}


def stop_before(moment: str) -> None:
    """Make the function of this moment suspend or kill the process before it runs."""
    module, path = MOMENTS[moment]
    target: Any = sys.modules[module]
    *owners, name = path.split(".")
    for owner in owners:
        target = getattr(target, owner)
    real = getattr(target, name)

    def late(*args: Any, **kwargs: Any) -> Any:
        print(f"at {moment}", flush=True)
        os.kill(os.getpid(), signal.SIGKILL if moment in ("rename", "entry") else signal.SIGSTOP)
        return real(*args, **kwargs)

    setattr(target, name, late)


def main() -> None:
    moment, host, *arguments = sys.argv[1:]
    if host != "-":
        socket.gethostname = lambda: host
    from s2ct_convert import lease
    from s2ct_convert.cli import main as command
    from s2ct_convert.conversion import batch  # noqa: F401
    from s2ct_convert.store import zarr_container  # noqa: F401
    from s2ct_convert.units import ledger  # noqa: F401

    lease.SILENT_SECONDS = 1.0
    if moment != "-":
        stop_before(moment)
    sys.argv[1:] = arguments
    command()


if __name__ == "__main__":
    main()
