"""Crash-safe files: the order of steps, and the files that a failure leaves."""

from __future__ import annotations

import errno
import os
import re
import resource
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from s2ct_convert import durable
from s2ct_convert.durable import (
    WriteBehind,
    beside,
    publish,
    remove,
    size_of,
    sweep,
    sync,
    sync_tree,
    whole,
    write_atomic,
)
from s2ct_convert.errors import FolderSyncWarning

LEFT_OVER = ".s2ct-tmp"
DEAD = 2**22 + 1  # an impossible process id: above the maximum of Linux


def left_overs(folder: Path) -> list[Path]:
    return list(folder.rglob(f"*{LEFT_OVER}"))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def tree(path: Path, **files: str) -> Path:
    """Make a folder with files and a subfolder."""
    (path / "below").mkdir(parents=True)
    for name, content in {"a": "aaa", "below/b": "bb", **files}.items():
        (path / name).write_text(content)
    return path


@pytest.fixture
def steps(monkeypatch) -> list[tuple[str, str]]:
    """Record syncs and renames in order, and perform them."""
    calls: list[tuple[str, str]] = []
    lock = threading.Lock()

    def record(real: Callable[..., None], name: str, path_of: Callable[..., str]) -> Callable[..., None]:
        def call(*args: object) -> None:
            with lock:
                calls.append((name, Path(path_of(*args)).name))
            real(*args)

        return call

    monkeypatch.setattr(os, "fsync", record(os.fsync, "sync", lambda fd: str(Path(f"/proc/self/fd/{fd}").readlink())))
    monkeypatch.setattr(os, "rename", record(os.rename, "rename", lambda _, to: to))
    return calls


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of open files are in /proc")


class TestWriteAtomic:
    @pytest.mark.parametrize("data", [b"", b"new", bytes(range(256)) * 1000])
    def test_the_content_is_replaced_and_no_other_file_is_left(self, tmp_path, data):
        path = tmp_path / "x.json"
        path.write_bytes(b"something longer than what comes")
        write_atomic(path, data)
        assert path.read_bytes() == data
        assert list(tmp_path.iterdir()) == [path]

    @needs_proc
    def test_content_is_synced_before_the_rename_and_the_folder_after_it(self, tmp_path, steps):
        write_atomic(tmp_path / "x.json", b"new")
        (first, temporary), *rest = steps
        assert first == "sync"
        assert temporary.endswith(LEFT_OVER)
        assert rest == [("rename", "x.json"), ("sync", tmp_path.name)]

    def test_a_reader_never_sees_partial_content(self, tmp_path):
        path, contents = tmp_path / "x", [bytes([n]) * 100_000 for n in range(2)]
        write_atomic(path, contents[0])
        stop, seen = threading.Event(), set()

        def read() -> None:
            while not stop.is_set():
                seen.add(path.read_bytes())

        reader = threading.Thread(target=read)
        reader.start()
        for n in range(60):
            write_atomic(path, contents[n % 2])
        stop.set()
        reader.join()
        assert seen <= set(contents)

    def test_a_folder_in_the_way_is_an_error_and_stays(self, tmp_path):
        folder = tree(tmp_path / "x")
        with pytest.raises(OSError):
            write_atomic(folder, b"new")
        assert (folder / "below" / "b").read_text() == "bb"
        assert left_overs(tmp_path) == []

    def test_a_missing_folder_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            write_atomic(tmp_path / "not there" / "x", b"new")

    def test_a_failed_write_leaves_the_old_content_and_no_other_file(self, tmp_path):
        """A limit on the size of files acts like a full disk: the write fails in the middle of the data."""
        path = tmp_path / "x"
        path.write_bytes(b"old")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(OSError, match="too large"):
                write_atomic(path, b"n" * 300_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]


class TestWhole:
    def test_a_folder_gets_its_name_only_when_it_is_whole(self, tmp_path):
        with whole(tmp_path / "x") as work:
            tree(work)
            assert not (tmp_path / "x").exists()
        assert (tmp_path / "x" / "below" / "b").read_text() == "bb"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]

    def test_a_folder_replaces_a_folder_with_content(self, tmp_path):
        tree(tmp_path / "x", old="old")
        with whole(tmp_path / "x") as work:
            tree(work)
        assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["a", "below"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, FileNotFoundError])
    def test_a_failed_block_leaves_the_old_content(self, tmp_path, error):
        (tmp_path / "x").write_text("old")
        with pytest.raises(error), whole(tmp_path / "x") as work:
            tree(work)
            raise error
        assert (tmp_path / "x").read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["x"]

    def test_an_error_names_the_final_path_not_the_temporary_one(self, tmp_path):
        for name, expected in ((None, "x"), ("{work}", "x"), ("{work}/below/b", "x/below/b"), ("/other", "/other")):
            with pytest.raises(OSError) as caught, whole(tmp_path / "x") as work:
                raise OSError(errno.EIO, "broken", name and name.format(work=work))
            assert caught.value.filename == str(tmp_path / expected)

    def test_files_of_dead_processes_are_removed_of_living_ones_stay(self, tmp_path):
        host = re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())
        dead, living, other = (f".x.12345678@{host}.{pid}{LEFT_OVER}" for pid in (DEAD, os.getppid(), 1))
        other = other.replace(host, "another-host")
        for name in (dead, living, other):
            (tmp_path / name).write_text("half")
        write_atomic(tmp_path / "x", b"new")
        assert {path.name for path in tmp_path.iterdir()} == {"x", living, other}

    def test_a_leftover_that_cannot_be_deleted_is_ignored(self, tmp_path, monkeypatch):
        left = tmp_path / f".x.1{LEFT_OVER}"
        left.write_text("of another user")

        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted", str(left))

        monkeypatch.setattr(os, "unlink", refuse)
        write_atomic(tmp_path / "x", b"new")
        assert (tmp_path / "x").read_bytes() == b"new"


class TestPublish:
    @needs_proc
    def test_the_folder_is_synced_after_the_rename(self, tmp_path, steps):
        (tmp_path / "work").mkdir()
        (tmp_path / "home").mkdir()
        publish(tree(tmp_path / "work" / "unit"), tmp_path / "home" / "final")
        assert steps == [("rename", "final"), ("sync", "home")]
        assert (tmp_path / "home" / "final" / "below" / "b").read_text() == "bb"
        assert list((tmp_path / "work").iterdir()) == []

    def test_a_file_replaces_a_file(self, tmp_path):
        for name in ("work", "final"):
            (tmp_path / name).write_text(name)
        publish(tmp_path / "work", tmp_path / "final")
        assert (tmp_path / "final").read_text() == "work"

    def test_a_folder_does_not_replace_a_folder_with_content(self, tmp_path):
        work, final = tree(tmp_path / "work"), tree(tmp_path / "final", a="theirs")
        with pytest.raises(OSError):
            publish(work, final)
        assert (final / "a").read_text() == "theirs"
        assert (work / "a").read_text() == "aaa"


class TestSync:
    @needs_proc
    def test_every_file_and_folder_of_a_tree_is_synced_the_top_last(self, tmp_path, steps):
        sync_tree(tree(tmp_path / "x"))
        names = [name for _, name in steps]
        assert sorted(names) == ["a", "b", "below", "x"]
        assert names.index("b") < names.index("below")
        assert names[-1] == "x"

    @needs_proc
    def test_a_single_file_is_synced_like_a_tree(self, tmp_path, steps):
        (tmp_path / "x.h5").write_bytes(b"x")
        sync_tree(tmp_path / "x.h5")
        assert steps == [("sync", "x.h5")]

    def test_a_missing_path_cannot_be_synced(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            sync(tmp_path / "x")

    @needs_proc
    def test_no_file_is_left_open(self, tmp_path):
        before = open_files()
        sync_tree(tree(tmp_path / "x"))
        write_atomic(tmp_path / "y", b"y")
        with pytest.raises(OSError):
            write_atomic(tmp_path / "x", b"y")
        assert open_files() == before


class TestRemove:
    def test_trees_files_and_missing_paths_can_be_removed(self, tmp_path):
        (tmp_path / "file").write_text("x")
        for path in (tree(tmp_path / "tree"), tmp_path / "file", tmp_path / "nothing"):
            remove(path)
        assert list(tmp_path.iterdir()) == []

    def test_a_tree_loses_its_name_before_its_first_file_is_deleted(self, tmp_path, monkeypatch):
        path, real, seen = tree(tmp_path / "x"), os.unlink, []

        def unlink(*args: object, **kwargs: object) -> None:
            seen.append(path.exists())
            real(*args, **kwargs)

        monkeypatch.setattr(os, "unlink", unlink)
        remove(path)
        assert seen == [False, False]

    @pytest.mark.parametrize("target", ["tree", "file", "nothing"])
    def test_removing_a_link_keeps_its_target(self, tmp_path, target):
        tree(tmp_path / "tree")
        (tmp_path / "file").write_text("x")
        (tmp_path / "link").symlink_to(tmp_path / target)
        remove(tmp_path / "link")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "tree"]
        assert (tmp_path / "tree" / "below" / "b").exists()

    def test_links_inside_a_tree_are_not_followed(self, tmp_path):
        outside = tree(tmp_path / "outside")
        (tree(tmp_path / "x") / "link").symlink_to(outside)
        remove(tmp_path / "x")
        assert (outside / "below" / "b").exists()


class TestSweep:
    @pytest.mark.parametrize("name", ["x.zarr", "a[1]*?.zarr", ".hidden", "with space", "ümlaut.h5"])
    def test_only_leftovers_of_killed_writes_and_removals_are_deleted(self, tmp_path, name):
        kept = [name, f"{name}{LEFT_OVER}", f".{name}", f".other.1{LEFT_OVER}"]
        for one in kept:
            (tmp_path / one).write_text("kept")
        (tmp_path / f".{name}.1{LEFT_OVER}").write_text("half")
        tree(tmp_path / f".{name}.2{LEFT_OVER}")
        sweep(tmp_path, name)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)

    def test_without_a_name_all_leftovers_are_deleted(self, tmp_path):
        for one in ("x.json", f".x.1{LEFT_OVER}", f".y.2{LEFT_OVER}"):
            (tmp_path / one).write_text("x")
        sweep(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["x.json"]

    def test_a_missing_folder_can_be_swept(self, tmp_path):
        sweep(tmp_path / "not there", "x")

    @pytest.mark.parametrize("step", ["rename", "fsync", "rmdir"])
    def test_sweep_finds_the_leftovers_of_a_killed_process(self, tmp_path, step):
        """Kill a child process: its leftovers have names that sweep knows, and other files are old or complete."""
        tree(tmp_path / "tree")
        (tmp_path / "file").write_bytes(b"old")
        if (child := os.fork()) == 0:
            try:
                setattr(os, step, lambda *_, **__: os.kill(os.getpid(), 9))
                write_atomic(tmp_path / "file", b"new")
                remove(tmp_path / "tree")
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
        sweep(tmp_path)
        assert left_overs(tmp_path) == []
        assert (tmp_path / "file").read_bytes() == (b"new" if step == "rmdir" else b"old")
        assert {path.name for path in tmp_path.rglob("*")} in ({"file"}, {"file", "tree", "a", "below", "b"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x.zarr", "x.zarr.s2ct"),
        ("x.zarr/", "x.zarr.s2ct"),
        ("below/../x.zarr", "x.zarr.s2ct"),
        ("./x", "x.s2ct"),
        (".", "{here}.s2ct"),
        ("..", "../{above}.s2ct"),
    ],
)
def test_beside_is_next_to_any_form_of_a_path(tmp_path, monkeypatch, path, expected):
    here = tmp_path / "outer" / "inner"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    folder = here if not path.startswith(".") or path == "./x" else here.parent if path == "." else tmp_path
    assert beside(Path(path), ".s2ct") == folder / Path(expected.format(here="inner", above="outer")).name


def test_beside_a_link_is_next_to_the_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "x.zarr").symlink_to(tmp_path / "elsewhere")
    assert beside(tmp_path / "x.zarr", ".s2ct") == tmp_path / "x.zarr.s2ct"


@pytest.mark.parametrize(("name", "size"), [("x", 3 + 2), ("x/a", 3), ("x/below", 2), ("nothing", 0)])
def test_the_size_is_the_sum_of_all_files(tmp_path, name, size):
    tree(tmp_path / "x")
    assert size_of(tmp_path / name) == size


class TestWriteBehind:
    @pytest.fixture
    def path(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.setattr(durable, "BEHIND_BYTES", 100)
        path = tmp_path / "growing"
        path.write_bytes(bytes(1000))
        return path

    @needs_proc
    def test_a_sync_starts_each_time_the_threshold_is_reached(self, path, steps):
        with closing(WriteBehind(path)) as behind:
            for n, asked in ((60, 0), (39, 0), (1, 1), (99, 1), (500, 2), (0, 2)):
                behind.grew(n)
                behind.finish()
                assert steps == [("sync", "growing")] * asked

    def test_a_slow_sync_blocks_nobody_and_never_runs_twice_at_once(self, path, monkeypatch):
        started, release, calls = threading.Event(), threading.Event(), []

        def slow(fd: int) -> None:
            calls.append(fd)
            started.set()
            assert release.wait(60)

        monkeypatch.setattr(os, "fsync", slow)
        with closing(WriteBehind(path)) as behind:
            behind.grew(100)
            assert started.wait(60)
            for _ in range(5):
                behind.grew(100)
            assert len(calls) == 1
            release.set()
            behind.finish()
            behind.grew(0)  # starts a sync of the bytes since the first one
            behind.finish()
            assert len(calls) == 2

    @pytest.mark.parametrize("call", ["finish", "grew"])
    def test_errors_of_the_sync_are_raised(self, path, monkeypatch, call):
        def broken(fd: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fsync", broken)
        with closing(WriteBehind(path)) as behind:
            behind.grew(100)
            behind._syncing.exception()  # wait for the failed sync
            with pytest.raises(OSError, match="Input/output error"):
                behind.finish() if call == "finish" else behind.grew(100)

    def test_no_file_stays_open(self, path):
        before = open_files()
        behind = WriteBehind(path)
        behind.grew(100)
        behind.close()
        behind.close()
        assert open_files() == before


def test_a_folder_that_cannot_be_synced_is_a_warning_and_a_file_an_error(tmp_path, monkeypatch):
    def refuse(fd: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.warns(FolderSyncWarning, match="cannot sync folders"):
        durable.sync(tmp_path)
    with pytest.raises(OSError, match="Invalid argument"):
        durable.sync(tmp_path / "file")
