"""Entry points: ``s2ct`` and ``python -m``, help, version, closed pipes, light imports."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from makers import write_archive
from twins import first_quick

from s2ct_convert.cli import cli
from s2ct_convert.verify.store import verify_store
from s2ct_convert.version import __version__

from .helpers import assert_says, right_source

SCRIPT = Path(sys.executable).with_name("s2ct")
MODULE = [sys.executable, "-m", "s2ct_convert"]


def _paths(group: click.Group, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = []
    for name, command in group.commands.items():
        paths.append((*above, name))
        if isinstance(command, click.Group):
            paths += _paths(command, (*above, name))
    return paths


PATHS = [(), *_paths(cli)]


def _command(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


# Buffered output, as for a user.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | {"COLUMNS": "80"}


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, env=BUFFERED)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: " ".join(path) or "s2ct")
def test_every_command_prints_help_on_stdout(path):
    done = run(*MODULE, *path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for parameter in _command(path).params:
        if isinstance(parameter, click.Option):
            for option in parameter.opts:
                assert re.search(rf"(?<!\S){re.escape(option)}\b", done.stdout), option


def test_options_with_the_same_name_have_one_meaning():
    """A short letter belongs to one long option, and a long option has at most one short letter."""
    long_of: dict[str, set[str]] = {}
    short_of: dict[str, set[str]] = {}
    for path in PATHS:
        for parameter in _command(path).params:
            if isinstance(parameter, click.Option):
                short = {option for option in parameter.opts if not option.startswith("--")}
                long = {option for option in parameter.opts if option.startswith("--")}
                for letter in short:
                    long_of.setdefault(letter, set()).update(long)
                for name in long:
                    short_of.setdefault(name, set()).update(short)
    assert {letter: names for letter, names in long_of.items() if len(names) != 1} == {}
    assert {name: letters for name, letters in short_of.items() if len(letters) > 1} == {}
    assert long_of["-j"] == {"--jobs"}
    assert long_of["-f"] == {"--format"}


def test_every_long_command_has_the_progress_options():
    for path in [("convert",), ("extract",), ("demo",), ("download",)]:
        names = {option for parameter in _command(path).params for option in parameter.opts}
        assert {"--quiet", "-q", "--verbose", "-v", "--debug"} <= names, path


@pytest.mark.parametrize("path", PATHS, ids=lambda path: " ".join(path) or "s2ct")
def test_every_example_in_the_help_parses(path):
    text = run(*MODULE, *path, "--help").stdout
    examples = [line.strip() for line in text.splitlines() if line.strip().startswith("s2ct ")]
    if path in ((), ("convert",)):
        assert len(examples) >= 3
    for example in examples:
        one = re.split(r"\s[|>]\s|;|\s{3,}", example)[0]
        name, *rest = shlex.split(one)[1:]
        command: click.Command = cli.commands[name]
        while isinstance(command, click.Group):
            command = command.commands[rest.pop(0)]
        command.make_context("s2ct", rest)  # raises click.UsageError if it is invalid


def test_the_script_and_the_module_are_the_same_program():
    if not SCRIPT.exists():
        pytest.skip("the package is not installed beside this Python")
    for options in (["--version"], ["info", "/nowhere"]):
        script, module = run(SCRIPT, *options), run(*MODULE, *options)
        assert (script.returncode, script.stdout, script.stderr) == (module.returncode, module.stdout, module.stderr)
    assert run(SCRIPT, "--version").stdout == f"s2ct, version {__version__}\n"


@pytest.mark.parametrize("words", [["covnert"], ["convert", "--fomrat", "zarr"], ["--jobs", "2", "demo"]])
def test_a_typing_error_is_wrong_usage(words):
    done = run(*MODULE, *words)
    assert_says(done, 2, next(word for word in words if word in ("covnert", "--fomrat", "--jobs")), "--help")
    assert done.stdout == ""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash makes the pipe")
@pytest.mark.parametrize("reader", first_quick(["head -1", "true"]))
@pytest.mark.parametrize(
    "words", ["info {store}", "info {store} --json", "convert {source} {folder}/x.zarr -q", "--help"]
)
def test_a_reader_that_closes_stdout_early_causes_no_error(sample_stores, tmp_path, words, reader):
    names = {"store": sample_stores["zarr"], "source": right_source(tmp_path), "folder": tmp_path}
    command = shlex.join([*MODULE, *words.format(**names).split()])
    done = run("bash", "-c", f"{command} | {reader}")
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == (reader == "head -1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_full_disk_behind_stdout_is_reported(sample_stores, options):
    with open("/dev/full", "w") as full:
        command = [*MODULE, "info", str(sample_stores["zarr"]), *options]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED)
    assert done.returncode == 6, done.stderr
    assert done.stderr.startswith("s2ct: standard output: No space left on device\n")
    assert done.stderr.count("s2ct:") == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


HEAVY = ("numpy", "zarr", "h5py", "py7zr", "numcodecs", "google", "rich", "urllib3", "xarray", "matplotlib", "dask")
LIGHT = {
    "the package": "import s2ct_convert",
    "the command line": "import s2ct_convert.cli",
    "help": "from s2ct_convert.cli import cli; cli.main(['convert', '--help'], standalone_mode=False)",
    "errors and names": "import s2ct_convert.errors, s2ct_convert.names",
}


@pytest.mark.parametrize(
    ("source", "store", "without"),
    [
        ("train_50SMG_2.7z", "x.h5", {"zarr", "asyncio", "dask", "google.protobuf"}),
        ("train_50SMG_2", "x.h5", {"zarr", "asyncio", "dask", "py7zr", "google.protobuf"}),
        ("train_50SMG_2", "x.zarr", {"zarr", "dask", "py7zr"}),
    ],
)
def test_a_conversion_imports_only_what_it_needs(tmp_path, source, store, without):
    """The other packages would cost every cluster job and worker a third of a second."""
    write_archive(tmp_path / "train_50SMG_2.7z", {"train_50SMG_2": right_source(tmp_path).read_bytes()})
    convert = f"import sys, s2ct_convert; s2ct_convert.convert({source!r}, {store!r})"
    code = f"{convert}; print({without} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("what", LIGHT)
def test_fast_paths_import_no_heavy_packages(what):
    code = f"{LIGHT[what]}\nimport sys; print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("streams", [">&- 2>/dev/full", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_and_full_streams_do_not_stop_a_conversion(tmp_path, streams):
    right_source(tmp_path)
    command = f"{sys.executable} -m s2ct_convert convert train_50SMG_2 x.zarr {streams}"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert verify_store(tmp_path / "x.zarr").ok


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_numpy_starts_no_threads():
    script = (
        "import atexit, os\n"
        "atexit.register(lambda: print(len(os.listdir('/proc/self/task'))))\n"
        "from s2ct_convert.cli import cli, main\n"
        "import click\n"
        "cli.add_command(click.Command('load', callback=lambda: __import__('numpy')))\n"
        "import sys; sys.argv = ['s2ct', 'load']\n"
        "main()\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
