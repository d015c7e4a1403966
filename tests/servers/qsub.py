"""``python qsub.py FOLDER OPTIONS [SCRIPT]``: a stand-in for the qsub of PBS that runs a job at once, in this process.

Like PBS it refuses an array of one task, a throttle within ``-J``, and unknown options. It does not run a job that
depends on a failed one. FOLDER records the exit code of each job.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

DIRECTIVE = "#PBS "


def main() -> None:
    folder, *arguments = sys.argv[1:]
    script = Path(arguments.pop()).read_text() if arguments and Path(arguments[-1]).is_file() else sys.stdin.read()
    directives = [line for line in script.splitlines() if line.startswith(DIRECTIVE)]
    words = [word for line in directives for word in shlex.split(line.removeprefix(DIRECTIVE), comments=True)]
    options = _options([*words, *arguments])
    number = len(list(Path(folder).glob("*.ended"))) + 1
    code = 0 if _may_run(Path(folder), options.W) else None
    if code == 0:
        for extra in _tasks(options):
            name = f"{options.N}.o{number}.{extra.get('PBS_ARRAY_INDEX', '')}".rstrip(".")
            with open(name, "w") as log:
                code = _run(script, {**_environment(options), **extra}, log) or code
    (Path(folder) / f"{number}.ended").write_text(str(code))
    print(f"{number}[].here" if options.J else f"{number}.here")


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("qsub", allow_abbrev=False)
    parser.add_argument("-N", default="STDIN")
    for option in ("-J", "-v", "-j", "-r"):
        parser.add_argument(option)
    for option in ("-W", "-l"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("-V", action="store_true")
    options = parser.parse_args(words)
    for limit in options.l:
        assert re.fullmatch(r"select=\d+:ncpus=\d+:mem=\d+mb|walltime=\d+:\d\d:\d\d", limit), limit
    return options


def _may_run(folder: Path, attributes: list[str]) -> bool:
    for name, _, value in (attribute.partition("=") for attribute in attributes):
        if name == "depend":
            kind, _, job = value.partition(":")
            assert kind == "afterok", value
            if (folder / f"{job.split('[')[0].split('.')[0]}.ended").read_text() != "0":
                return False
        else:
            assert name == "max_run_subjobs" and int(value) > 0, (name, value)
    return True


def _tasks(options: argparse.Namespace) -> list[dict[str, str]]:
    if options.J is None:
        return [{}]
    found = re.fullmatch(r"(\d+)-(\d+)", options.J)
    if found is None or int(found[1]) >= int(found[2]):
        sys.exit("qsub: illegal -J value")
    return [{"PBS_ARRAY_INDEX": str(n)} for n in range(int(found[1]), int(found[2]) + 1)]


def _environment(options: argparse.Namespace) -> dict[str, str]:
    """The environment of a job: everything with -V, else a few variables and those that -v names."""
    few = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
    given = dict(pair.split("=", 1) for pair in options.v.split(",")) if options.v else {}
    return {**(os.environ if options.V else few), "PBS_O_WORKDIR": str(Path.cwd()), "PBS_JOBID": "1.here", **given}


def _run(script: str, environment: dict[str, str], log: object) -> int:
    """Run a script like PBS: in the home folder, with a shell that reads a copy of the script."""
    command = ["bash", "-c", script]
    home = environment["HOME"]
    return subprocess.run(command, env=environment, cwd=home, stdout=log, stderr=log).returncode  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
