"""Units made by Dask workers: the same bytes as locally, and the refusals before anything is written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import plain
import pytest
from twins import slow, zarr_first

import s2ct_convert
from s2ct_convert.engines import dask_engine
from s2ct_convert.engines.dask_crew import PEAK_BYTES
from s2ct_convert.errors import EXIT_SOURCE, MachineError, NetworkError, WrongUsage
from s2ct_convert.events import Message
from s2ct_convert.units.events import UnitDone, UnitFailed, UnitProgress, UnitStarted

pytest.importorskip("distributed")

SAMPLE = s2ct_convert.sample_sources()


def convert(processes, sources, store: Path, **options):
    """Convert on a cluster; return the summary and all events."""
    events: list[object] = []
    options = {"scheduler_file": processes.file, "workers_timeout": 60.0, "on_event": events.append, **options}
    return s2ct_convert.convert(sources, store, engine="dask", command="the same", **options), events


@pytest.fixture
def dated(monkeypatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@zarr_first
def test_a_store_has_the_bytes_of_a_local_one(crew, tmp_path, suffix, dated):
    here, there = tmp_path / "here" / f"x.{suffix}", tmp_path / "there" / f"x.{suffix}"
    first = s2ct_convert.convert(SAMPLE, here, command="the same")
    second, events = convert(crew, SAMPLE, there)
    assert second.digest == first.digest == plain.store_digest(there)
    assert plain.file_bytes(there) == plain.file_bytes(here)
    units = sorted(event.unit for event in events if isinstance(event, UnitStarted))
    assert units == sorted(event.entry.unit for event in events if isinstance(event, UnitDone))
    for event in (event for event in events if isinstance(event, UnitDone)):
        read = [one.bytes for one in events if isinstance(one, UnitProgress) and one.unit == event.entry.unit]
        assert sum(read) == event.entry.source_bytes
    assert not [event for event in events if isinstance(event, Message)]
    assert list((Path(f"{there}.s2ct") / "work").iterdir()) == []
    assert [path.name for path in there.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_relative_paths_refer_to_the_client(crew, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / SAMPLE[0].name).write_bytes(SAMPLE[0].read_bytes())
    summary, _ = convert(crew, "in", Path("x.zarr"))
    assert len(summary.converted) == 1
    assert (tmp_path / "x.zarr" / "zarr.json").exists()


def test_local_and_dask_runs_skip_each_others_units(crew, tmp_path):
    store = tmp_path / "x.zarr"
    s2ct_convert.convert(SAMPLE[:1], store)
    summary, _ = convert(crew, SAMPLE, store)
    assert (len(summary.skipped), len(summary.converted)) == (1, len(SAMPLE) - 1)
    assert len(s2ct_convert.convert(SAMPLE, store).skipped) == len(SAMPLE)


@pytest.mark.slow
def test_a_damaged_source_fails_alone_as_in_a_local_run(crew, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for source in SAMPLE:
        (folder / source.name).write_bytes(source.read_bytes())
    damaged = folder / SAMPLE[0].name
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(s2ct_convert.UnitsFailed) as here:
        s2ct_convert.convert(folder, tmp_path / "here.zarr")
    with pytest.raises(s2ct_convert.UnitsFailed) as there:
        convert(crew, folder, tmp_path / "there.zarr")
    (failed,), (expected,) = there.value.summary.failures, here.value.summary.failures
    assert isinstance(failed, UnitFailed)
    assert (failed.unit, failed.exit_code, failed.message) == (expected.unit, EXIT_SOURCE, expected.message)
    assert there.value.exit_code == here.value.exit_code
    assert len(there.value.summary.converted) == len(SAMPLE) - 1
    assert f"--engine dask --scheduler-file {crew.file}" in there.value.todo


@pytest.mark.slow
def test_a_machine_fault_starts_no_other_unit(dask, tmp_path, monkeypatch):
    """The work folder of the ledger is replaced by a file, so that nothing can be written."""
    store = tmp_path / "x.zarr"
    dask.start_workers(1)
    run_dask = dask_engine.run_dask

    def without_work(tasks, cluster, on_event):
        work = Path(f"{store}.s2ct") / "work"
        work.rmdir()
        work.write_bytes(b"")
        try:
            run_dask(tasks, cluster, on_event)
        finally:
            work.unlink()

    monkeypatch.setattr(dask_engine, "run_dask", without_work)
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        convert(dask, SAMPLE, store)
    assert caught.value.exit_code == 6
    assert len(caught.value.summary.failures) == 1
    assert len(caught.value.summary.missing) == len(SAMPLE)


@pytest.mark.slow
def test_warnings_of_a_worker_name_the_unit_and_the_worker(dask, tmp_path):
    """For example, if py7zr stores its headers in an unexpected way."""
    preload = tmp_path / "preload.py"
    preload.write_text(
        "from s2ct_convert.archives import archive\n"
        "def find_packed(*args):\n    raise AttributeError('no header')\n"
        "def dask_setup(worker):\n    archive.find_packed = find_packed\n"
    )
    dask.start_workers(1, "--preload", str(preload))
    _, events = convert(dask, SAMPLE[:1], tmp_path / "x.zarr", unpacker="python")
    (note,) = (event.text for event in events if isinstance(event, Message))
    (address,) = dask.addresses().values()
    assert note.startswith("train/31TCJ: ")
    assert "unpacking with one thread" in note
    assert address in note


@slow
def test_a_late_worker_gets_units(dask, tmp_path, long_sources, monkeypatch):
    """The first worker blocks on a pipe without a writer until all other units are done."""
    folder = tmp_path / "in"
    folder.mkdir()
    for source in long_sources.iterdir():
        (folder / source.name).symlink_to(source)
    stuck = folder / "train_31TCJ_24"
    stuck.unlink()
    stuck.write_bytes((long_sources / stuck.name).read_bytes() + b" ")  # the largest source runs first
    dask.start_workers(1)
    done: list[str] = []

    def on_event(event: object) -> None:
        if isinstance(event, UnitStarted) and not done and event.unit == "train/31TCJ":
            dask.start_worker(nanny=True)
        if isinstance(event, UnitDone | UnitFailed):
            done.append(event.entry.unit if isinstance(event, UnitDone) else event.unit)
            if len(done) == 3:
                os.close(os.open(stuck, os.O_WRONLY))

    run_dask = dask_engine.run_dask

    def with_a_pipe(tasks, cluster, listener):
        stuck.unlink()
        os.mkfifo(stuck)
        run_dask(tasks, cluster, listener)

    monkeypatch.setattr(dask_engine, "run_dask", with_a_pipe)
    with pytest.raises(s2ct_convert.UnitsFailed) as caught:
        convert(dask, folder, tmp_path / "x.h5", on_event=on_event)
    assert len(caught.value.summary.converted) == 3
    assert done[-1] == "train/31TCJ"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"scheduler": "tcp://127.0.0.1:9", "workers_timeout": 0.5}, NetworkError, "tcp://127.0.0.1:9"),
        ({"scheduler": "carrier-pigeon://coop:9"}, WrongUsage, "not the address of a scheduler"),
        ({}, WrongUsage, "s2ct does not start one"),
        ({"scheduler_file": "never.json", "workers_timeout": 0.5}, NetworkError, "never.json"),
        ({"scheduler": "tcp://127.0.0.1:9", "scheduler_file": "x.json"}, WrongUsage, "two schedulers are given"),
        ({"scheduler": "tcp://127.0.0.1:9", "workers_timeout": 0.0}, WrongUsage, "positive"),
        ({"scheduler": "tcp://127.0.0.1:9", "engine": "local"}, WrongUsage, "--engine dask"),
        ({"engine": "spark"}, WrongUsage, "local or dask"),
    ],
)
def test_without_a_scheduler_nothing_is_written(tmp_path, monkeypatch, options, error, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        s2ct_convert.convert(SAMPLE, tmp_path / "x.zarr", **{"engine": "dask", **options})
    assert says in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--engine", "dask", "-j", "2"], 2, "-j does not apply to --engine dask"),
        (["--engine", "dask"], 2, "s2ct does not start one"),
        (["--scheduler", "tcp://127.0.0.1:9"], 2, "add --engine dask"),
        (["--engine", "dask", "--scheduler", "tcp://127.0.0.1:9", "--workers-timeout", "1"], 7, "does not answer"),
        (["--engine", "dask", "--scheduler-file", "never.json", "--workers-timeout", "1"], 7, "never.json"),
    ],
)
def test_the_command_reports_the_error_and_its_exit_code(s2ct, tmp_path, options, code, says):
    done = s2ct("convert", SAMPLE[0], "x.zarr", *options, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert done.stderr.startswith("s2ct: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"address": 0', '{"id": "Scheduler-1"}'])
def test_an_unfinished_scheduler_file_is_waited_for(tmp_path, content):
    file = tmp_path / "scheduler.json"
    file.write_text(content)
    with pytest.raises(NetworkError, match="not a scheduler file, or an unfinished one"):
        s2ct_convert.convert(SAMPLE, tmp_path / "x.zarr", engine="dask", scheduler_file=file, workers_timeout=0.3)


def test_the_address_may_come_from_the_configuration_of_dask(crew, tmp_path):
    import dask as dask_package

    with dask_package.config.set({"scheduler-address": crew.admin.scheduler.address}):
        assert convert(crew, SAMPLE[:1], tmp_path / "x.zarr", scheduler_file=None)[0].digest


@pytest.mark.slow
def test_without_workers_the_run_times_out(dask, tmp_path):
    with pytest.raises(NetworkError, match=r"no worker within 0\.5 s") as caught:
        convert(dask, SAMPLE, tmp_path / "x.zarr", workers_timeout=0.5)
    assert "--workers-timeout" in caught.value.todo
    assert list(tmp_path.iterdir()) == []


def refused(dask, tmp_path, kind: type[Exception]) -> str:
    """Check that a conversion is refused and changes nothing; return the message."""
    store = tmp_path / "x.zarr"
    s2ct_convert.convert(SAMPLE[:1], store)
    before = plain.file_bytes(tmp_path)
    with pytest.raises(kind) as caught:
        convert(dask, SAMPLE, store, overwrite=True)
    assert plain.file_bytes(tmp_path) == before
    return str(caught.value)


@pytest.mark.slow
def test_a_worker_with_another_version_is_refused_by_name(dask, tmp_path):
    preload = dask.folder / "preload.py"
    preload.write_text("import s2ct_convert.version\ns2ct_convert.version.__version__ = '99.0'\n")
    dask.start_workers(1)
    (good,) = dask.addresses().values()
    dask.start_workers(1, "--preload", str(preload))
    (bad,) = set(dask.addresses().values()) - {good}
    message = refused(dask, tmp_path, WrongUsage)
    assert "1 of 2 workers" in message
    assert f"{bad}: s2ct_convert 99.0" in message
    assert f"expected: s2ct_convert {s2ct_convert.__version__}" in message
    assert good not in message
    assert "numpy" not in message


@pytest.mark.slow
def test_a_worker_without_this_package_is_refused(dask, tmp_path):
    preload = dask.folder / "preload.py"
    preload.write_text("import sys\nsys.modules['s2ct_convert'] = None\n")
    dask.start_workers(1, "--preload", str(preload))
    (address,) = dask.addresses().values()
    message = refused(dask, tmp_path, WrongUsage)
    assert "s2ct cannot run there" in message
    assert f"{address}: ModuleNotFoundError" in message
    assert list(dask.addresses().values()) == [address]  # the worker is alive


@pytest.mark.slow
def test_a_worker_with_too_little_memory_is_refused(dask, tmp_path):
    dask.start_workers(1, "--memory-limit", "300MB")
    message = refused(dask, tmp_path, MachineError)
    assert f"expected: {PEAK_BYTES / 1e6:,.0f} MB" in message
    assert "300 MB" in message


@pytest.mark.slow
def test_a_worker_that_sees_other_files_is_refused(dask, tmp_path):
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if os.geteuid() or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("file systems can only be hidden by root, and not in every container")
    hide = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs tmpfs {tmp_path} && exec "$@"', "sh"]
    dask.start_worker(prefix=hide)
    dask.admin.wait_for_workers(1, timeout=60)
    message = refused(dask, tmp_path, WrongUsage)
    assert "the workers do not see the files of this machine" in message
    assert "No such file" in message


def test_a_source_that_differs_on_the_worker_is_refused(dask, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / SAMPLE[0].name).write_bytes(SAMPLE[0].read_bytes())
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("file systems can only be hidden by root, and not in every container")
    script = f'mount -t tmpfs tmpfs {folder} && echo no > {folder}/{SAMPLE[0].name} && exec "$@"'
    dask.start_worker(prefix=["unshare", "-m", "sh", "-c", script, "sh"])
    dask.admin.wait_for_workers(1, timeout=60)
    with pytest.raises(WrongUsage) as caught:
        convert(dask, folder, tmp_path / "x.zarr")
    assert f"{SAMPLE[0].name}: 3 bytes, the client sees {SAMPLE[0].stat().st_size:,}" in caught.value.found
