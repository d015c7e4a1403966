"""Runs ``s2ct`` in processes forked from a server that has all imports loaded, which saves half a second per run.

Each run is the real command in its own process, with its own arguments, folder, environment, output and exit code. A
forked process cannot show imports, locale, signals during start-up and the end of Python; tests of these start new
processes.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any


class ForkServer:
    """Runs commands one after another; their output goes to ``folder``. ``short_waits``: see short_waits.py."""

    def __init__(self, folder: Path, *, short_waits: bool = False) -> None:
        self._output = folder / "stdout", folder / "stderr"
        pipe = subprocess.PIPE
        command = [sys.executable, __file__, *(["short"] if short_waits else [])]
        self._server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def __call__(self, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        command = ["s2ct", *map(str, arguments)]
        request = {
            "command": command,
            "cwd": str(cwd or Path.cwd()),
            "environment": dict(os.environ),
            "output": list(map(str, self._output)),
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        texts = [path.read_bytes().decode(errors="surrogateescape") for path in self._output]
        return subprocess.CompletedProcess(command, code, *texts)

    def close(self) -> None:
        self._server.communicate()


def _serve() -> None:
    from s2ct_convert.archives import extract  # noqa: F401
    from s2ct_convert.cli import main
    from s2ct_convert.conversion import convert, describe  # noqa: F401
    from s2ct_convert.pictures import preview  # noqa: F401
    from s2ct_convert.pictures.sheet import new_sheet
    from s2ct_convert.record import download  # noqa: F401
    from s2ct_convert.show import lanes, progress  # noqa: F401
    from s2ct_convert.store import hdf5_container, zarr_container  # noqa: F401

    with new_sheet(1, 1) as sheet:  # loads matplotlib and its font
        sheet.text(0, 0, "x", size=9)
        sheet.encode(".png")
    if sys.argv[1:] == ["short"]:
        from short_waits import shorten  # in the folder of this file, which runs as a script

        shorten()
    gc.collect()
    gc.freeze()  # otherwise garbage collection in a child would copy most of this memory
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            _become(**request)
            try:
                main()
            except SystemExit as ending:
                _end(ending.code)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _end(code: Any) -> None:
    """End like Python, but without tearing down the modules that the server has loaded."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    assert code is None or isinstance(code, int)
    os._exit(code or 0)


def _become(command: list[str], cwd: str, environment: dict[str, str], output: list[str]) -> Any:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for fd, path in enumerate(output, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), fd)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv[:] = command


if __name__ == "__main__":
    _serve()
