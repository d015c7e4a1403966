"""Partial files: resuming, publishing, and two processes that work on one file."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from s2ct_convert.errors import Incomplete
from s2ct_convert.record.manifest import RecordFile
from s2ct_convert.record.partial import Partial, partial_path

pytestmark = pytest.mark.every_variant  # all are quick

KEY = "train_50SMG_2.7z"
DATA = np.random.default_rng(88).bytes(3_000_001)
FILE = RecordFile(KEY, hashlib.md5(DATA).hexdigest(), len(DATA))


@pytest.fixture
def final(tmp_path) -> Path:
    return tmp_path / KEY


def part(final: Path) -> Path:
    return partial_path(final, FILE)


def lease(final: Path) -> Path:
    return part(final).with_name(part(final).name + ".lease")


def write(partial: Partial, data: bytes) -> None:
    partial.write(memoryview(data))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


class TestContent:
    @pytest.mark.parametrize("have", [0, 1, (1 << 20) - 1, 1 << 20, 2_500_000, len(DATA)])
    def test_a_partial_file_is_read_and_resumed(self, final, have):
        part(final).write_bytes(DATA[:have])
        partial = Partial(final, FILE)
        assert (partial.have, partial.missing) == (have, len(DATA) - have)
        assert partial.md5() == hashlib.md5(DATA[:have]).hexdigest()
        write(partial, DATA[have:])
        assert partial.is_right()
        partial.publish()
        partial.close()
        assert final.read_bytes() == DATA
        assert names(final.parent) == {KEY}

    def test_a_damaged_prefix_is_found_by_its_md5(self, final):
        spoilt = bytearray(DATA[:2_000_000])
        spoilt[1_234_567] ^= 4
        part(final).write_bytes(spoilt)
        partial = Partial(final, FILE)
        write(partial, DATA[2_000_000:])
        assert not partial.is_right()
        with pytest.raises(AssertionError):
            partial.publish()
        partial.close()
        assert not final.exists()

    def test_a_partial_file_that_is_too_long_is_dropped(self, final):
        part(final).write_bytes(DATA + b"x")
        partial = Partial(final, FILE)
        assert partial.have == 0
        partial.close()

    def test_a_partial_file_of_another_md5_is_not_used(self, final):
        other = RecordFile(KEY, hashlib.md5(b"other").hexdigest(), len(DATA))
        partial_path(final, other).write_bytes(b"other bytes")
        partial = Partial(final, FILE)
        assert partial.have == 0
        partial.close()
        assert partial_path(final, other).read_bytes() == b"other bytes"

    def test_a_stop_while_reading_releases_everything(self, final):
        part(final).write_bytes(DATA)
        before = open_files()
        with pytest.raises(KeyboardInterrupt):
            Partial(final, FILE, lambda: True)
        assert not lease(final).exists()
        assert part(final).read_bytes() == DATA
        assert open_files() == before

    def test_close_keeps_a_partial_file_unless_it_is_empty(self, final):
        partial = Partial(final, FILE)
        partial.close()
        assert names(final.parent) == set()
        partial = Partial(final, FILE)
        write(partial, b"x")
        partial.close()
        assert names(final.parent) == {part(final).name}

    def test_start_over_forgets_bytes_and_md5(self, final):
        partial = Partial(final, FILE)
        write(partial, b"wrong from the start")
        partial.start_over()
        assert (partial.have, partial.md5()) == (0, hashlib.md5().hexdigest())
        write(partial, DATA)
        partial.publish()
        partial.close()
        assert final.read_bytes() == DATA

    def test_a_complete_file_with_the_wrong_md5_is_renamed(self, final):
        wrong = DATA[:-1] + b"?"
        partial = Partial(final, FILE)
        write(partial, wrong)
        aside = partial.set_aside()
        partial.close()
        assert aside.read_bytes() == wrong
        assert names(final.parent) == {f"{KEY}.bad-{hashlib.md5(wrong).hexdigest()}"}

    def test_an_empty_file_is_published(self, tmp_path):
        partial = Partial(tmp_path / "empty", RecordFile("empty", hashlib.md5().hexdigest(), 0))
        partial.publish()
        partial.close()
        assert (tmp_path / "empty").read_bytes() == b""
        assert names(tmp_path) == {"empty"}


class TestPublish:
    """Only the file that was written and hashed here gets the final name."""

    @pytest.mark.parametrize("data", [DATA[:-1], DATA[:-1] + b"?", b""])
    def test_size_and_md5_must_match(self, final, data):
        partial = Partial(final, FILE)
        write(partial, data)
        with pytest.raises(AssertionError):
            partial.publish()
        partial.close()
        assert not final.exists()

    def test_a_replaced_partial_file_is_not_published(self, final):
        partial = Partial(final, FILE)
        write(partial, DATA)
        part(final).rename(final.with_name("moved"))
        part(final).write_bytes(b"of another process")
        with pytest.raises(Incomplete, match="replaced"):
            partial.publish()
        partial.close()
        assert not final.exists()
        assert part(final).read_bytes() == b"of another process"

    def test_a_deleted_partial_file_is_not_published(self, final):
        partial = Partial(final, FILE)
        write(partial, DATA)
        part(final).unlink()
        with pytest.raises(Incomplete, match="replaced"):
            partial.publish()
        partial.close()
        assert names(final.parent) == set()

    @pytest.mark.parametrize("size", [10, len(DATA) + 1])
    def test_a_partial_file_with_a_changed_size_is_not_published(self, final, size):
        partial = Partial(final, FILE)
        write(partial, DATA)
        os.truncate(part(final), size)
        with pytest.raises(Incomplete, match="replaced"):
            partial.publish()
        partial.close()
        assert not final.exists()


class TestTwoWithoutALease:
    """A lease can break: deleted by hand, or by a wrong clock. This may cost only bandwidth."""

    def both(self, final: Path) -> tuple[Partial, Partial]:
        one = Partial(final, FILE)
        write(one, DATA[:1_000_000])
        lease(final).unlink()
        return one, Partial(final, FILE)

    def test_both_write_and_one_publishes(self, final):
        one, other = self.both(final)
        for start in range(1_000_000, len(DATA), 100_000):
            write(one, DATA[start : start + 100_000])
            write(other, DATA[start : start + 100_000])
        other.publish()
        with pytest.raises(Incomplete, match="replaced"):
            one.publish()
        one.close()
        other.close()
        assert final.read_bytes() == DATA
        assert names(final.parent) == {KEY}

    def test_a_late_process_does_not_write_into_the_published_file(self, final):
        one, other = self.both(final)
        write(other, DATA[1_000_000:])
        other.publish()
        with pytest.raises(Incomplete, match="replaced"):
            write(one, b"bytes that come too late")
        one.close()
        other.close()
        assert final.read_bytes() == DATA

    def test_start_over_does_not_affect_the_other_process(self, final):
        one, other = self.both(final)
        one.start_over()
        write(one, b"?" * 50)
        with pytest.raises(Incomplete, match="replaced"):
            write(other, DATA[1_000_000:])
        other.close()
        assert part(final).read_bytes() == b"?" * 50
        one.close()

    def test_close_does_not_delete_the_file_of_another_process(self, final):
        one = Partial(final, FILE)
        lease(final).unlink()
        other = Partial(final, FILE)
        write(other, DATA[:1000])
        one.close()
        assert part(final).read_bytes() == DATA[:1000]
        other.close()

    def test_set_aside_never_renames_the_file_of_another_process(self, final):
        one = Partial(final, FILE)
        write(one, b"?" * len(DATA))
        lease(final).unlink()
        part(final).unlink()
        other = Partial(final, FILE)
        write(other, DATA[:1000])
        with pytest.raises(Incomplete, match="replaced"):
            one.set_aside()
        one.close()
        assert part(final).read_bytes() == DATA[:1000]
        other.close()
