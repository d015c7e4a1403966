"""Completion in real shells on a terminal: commands, options and values."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import s2ct_convert

from .helpers import right_source

SCRIPT = Path(sys.executable).with_name("s2ct")
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
LOAD = {
    "bash": "source <(s2ct completion bash)",
    "zsh": "autoload -Uz compinit; compinit -u -D; source <(s2ct completion zsh)",
    "fish": "s2ct completion fish | source",
}
pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="the package is not installed beside this Python")


class Shell:
    """An interactive shell on a terminal, with the completion of s2ct."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._ours, theirs = pty.openpty()
        environment = {
            **{key: os.environ[key] for key in ("HOME", "LANG") if key in os.environ},
            "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}",
            "TERM": "dumb",
            "INPUTRC": os.devnull,
            "COLUMNS": "200",
            "XDG_CONFIG_HOME": str(folder),
        }
        self._process = subprocess.Popen(
            START[name], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.run(LOAD[name])

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def run(self, line: str) -> str:
        """Type a line and wait for its end. Returns what the terminal shows meanwhile."""
        self.type(f"{line}; echo E''ND\n" if self.name != "fish" else f"{line}; echo E''ND\r")
        return self.read_until("END")

    def read_until(self, text: str) -> str:
        shown = ""
        while text not in shown:
            assert select.select([self._ours], [], [], 60)[0], f"{text!r} is not in:\n{shown}"
            shown += os.read(self._ours, 4096).decode(errors="replace")
        return shown

    def complete(self, start: str) -> str:
        """The line after Tab. The shell itself echoes it, as the words of a command."""
        self.type(f"{start}\t\x01echo '<'\x05'>'; echo E''ND\n")
        shown = self.read_until("END")
        return re.findall(r"<(.*)>", shown.replace("\r", ""))[-1].strip()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store in both formats and sources."""
    folder = tmp_path_factory.mktemp("completed")
    sources = [right_source(folder / "in"), right_source(folder / "in", "val_31TCJ")]
    for name in ("clouds.zarr", "other.h5"):
        s2ct_convert.convert(sources, folder / name)
    return folder


@pytest.fixture
def bash(folder):
    shell = Shell("bash", folder)
    yield shell
    shell.close()


LINES = {
    "s2ct conv": "s2ct convert",
    "s2ct verify st": "s2ct verify store",
    "s2ct convert --ove": "s2ct convert --overwrite",
    "s2ct convert in x.zarr --codec sm": "s2ct convert in x.zarr --codec small",
    "s2ct convert in x.h5 --codec b": "s2ct convert in x.h5 --codec blosc",
    "s2ct convert in x --format h": "s2ct convert in x --format hdf5",
    "s2ct export clouds.zarr back --tile 3": "s2ct export clouds.zarr back --tile 31TCJ",
    "s2ct export other.h5 back --split v": "s2ct export other.h5 back --split val",
    "s2ct convert in x.zarr --tile 50smg,3": "s2ct convert in x.zarr --tile 50smg,31TCJ",
    "s2ct export other.h5 back --label haze,sn": "s2ct export other.h5 back --label haze,snow",
    "s2ct convert in x.h5 --codec zs": "s2ct convert in x.h5 --codec zstd",
    "s2ct preview o": "s2ct preview other.h5",
}


@pytest.mark.slow
def test_bash_completes_commands_options_and_values(bash):
    """One shell for all: its start takes long."""
    assert {line: bash.complete(line) for line in LINES} == LINES


def test_bash_lists_codecs_with_their_figures(bash):
    bash.type("s2ct convert in x.zarr --codec \t\t\t")
    shown = bash.read_until("small ")
    assert re.search(r"small +\(zarr: 0\.\d\d of the pixels, packs [\d,]+ MB/s", shown + bash.read_until("unpacks"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_complete_too(folder, name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    for start, wanted in {"convert in x.zarr --codec sm": "small", "export clouds.zarr back --tile 3": "31TCJ"}.items():
        words = f"s2ct {start}"
        if name == "fish":
            command = ["fish", "--no-config", "-c", f"{LOAD['fish']}; complete -C '{words}'"]
            environment = {**os.environ, "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}"}
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
            assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [wanted], done.stderr
        else:
            shell = Shell(name, folder)
            assert shell.complete(words).endswith(wanted)
            shell.close()


@pytest.mark.parametrize("lock", [True, False])
def test_tiles_come_from_the_lock_of_the_folder(tmp_path, lock):
    (tmp_path / "archives").mkdir()
    if lock:
        from s2ct_convert.record.manifest import Manifest, RecordFile, write_lock

        files = [RecordFile(f"{key}.7z", "0" * 32, 1) for key in ("train_50SMG_1", "val_51SMG_1")]
        write_lock(tmp_path / "archives", Manifest.of("10613705", files))
    asked = {"_S2CT_COMPLETE": "bash_complete", "COMP_WORDS": "s2ct download archives --tile ", "COMP_CWORD": "4"}
    done = subprocess.run([SCRIPT], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **asked})
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("\t")[1] for line in done.stdout.splitlines() if line] == (["50SMG", "51SMG"] if lock else [])


def test_an_unreadable_path_completes_nothing_and_prints_nothing(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n broken")
    asked = {"_S2CT_COMPLETE": "bash_complete", "COMP_WORDS": "s2ct export x.h5 back --tile ", "COMP_CWORD": "5"}
    done = subprocess.run([SCRIPT], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **asked})
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_how_to_install_it(run, shell):
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"^#.*s2ct completion {shell}", done.stdout, re.MULTILINE)
    assert (shell == "zsh") == done.stdout.startswith("#compdef s2ct\n")
