"""nginx, a server that nobody here wrote, with a configuration of a test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Debian puts it into /usr/sbin.
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


@contextmanager
def nginx_serving(folder: Path, configuration: str) -> Iterator[int]:
    """Run nginx until the block ends; yields its port. ``{folder}`` and ``{port}`` in the configuration are set."""
    assert NGINX is not None
    for place in (folder, *folder.parents):
        if os.geteuid() == 0 and place.stat().st_uid == 0 and place != place.parent and place.name != "tmp":
            place.chmod(place.stat().st_mode | 0o055)  # its workers run as the user nobody
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "conf").write_text(configuration.format(folder=folder, port=port))
    process = subprocess.Popen([NGINX, "-c", str(folder / "conf"), "-e", str(folder / "errors")])
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
    assert process.poll() is None, (folder / "errors").read_text()
    yield port
    process.terminate()
    process.wait(10)
