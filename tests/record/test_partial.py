"""A file that is not whole yet: who may work on it, what is read back, and what may get the final name."""

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
    def test_what_is_there_is_read_back_and_continued(self, final, have):
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

    def test_a_prefix_that_the_disk_spoilt_is_found_by_its_md5(self, final):
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

    def test_longer_than_the_whole_is_no_beginning(self, final):
        part(final).write_bytes(DATA + b"x")
        partial = Partial(final, FILE)
        assert partial.have == 0
        partial.close()

    def test_a_part_of_a_file_with_another_md5_is_not_taken(self, final):
        other = RecordFile(KEY, hashlib.md5(b"other").hexdigest(), len(DATA))
        partial_path(final, other).write_bytes(b"other bytes")
        partial = Partial(final, FILE)
        assert partial.have == 0
        partial.close()
        assert partial_path(final, other).read_bytes() == b"other bytes"

    def test_stopped_while_reading_back_it_lets_go_of_everything(self, final):
        part(final).write_bytes(DATA)
        before = open_files()
        with pytest.raises(KeyboardInterrupt):
            Partial(final, FILE, lambda: True)
        assert not lease(final).exists()
        assert part(final).read_bytes() == DATA
        assert open_files() == before

    def test_closed_it_stays_but_for_a_beginning_of_nothing(self, final):
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

    def test_what_is_whole_and_wrong_is_kept_under_a_name_that_says_so(self, final):
        wrong = DATA[:-1] + b"?"
        partial = Partial(final, FILE)
        write(partial, wrong)
        aside = partial.set_aside()
        partial.close()
        assert aside.read_bytes() == wrong
        assert names(final.parent) == {f"{KEY}.bad-{hashlib.md5(wrong).hexdigest()}"}

    def test_an_empty_file_is_published_too(self, tmp_path):
        partial = Partial(tmp_path / "empty", RecordFile("empty", hashlib.md5().hexdigest(), 0))
        partial.publish()
        partial.close()
        assert (tmp_path / "empty").read_bytes() == b""
        assert names(tmp_path) == {"empty"}


class TestPublish:
    """Nothing but the file that was written and hashed here gets the name."""

    @pytest.mark.parametrize("data", [DATA[:-1], DATA[:-1] + b"?", b""])
    def test_size_and_md5_must_fit(self, final, data):
        partial = Partial(final, FILE)
        write(partial, data)
        with pytest.raises(AssertionError):
            partial.publish()
        partial.close()
        assert not final.exists()

    def test_not_a_file_that_took_its_place(self, final):
        partial = Partial(final, FILE)
        write(partial, DATA)
        part(final).rename(final.with_name("moved"))
        part(final).write_bytes(b"of another process")
        with pytest.raises(Incomplete, match="replaced"):
            partial.publish()
        partial.close()
        assert not final.exists()
        assert part(final).read_bytes() == b"of another process"

    def test_not_one_that_is_gone(self, final):
        partial = Partial(final, FILE)
        write(partial, DATA)
        part(final).unlink()
        with pytest.raises(Incomplete, match="replaced"):
            partial.publish()
        partial.close()
        assert names(final.parent) == set()

    @pytest.mark.parametrize("size", [10, len(DATA) + 1])
    def test_not_one_whose_length_another_changed(self, final, size):
        partial = Partial(final, FILE)
        write(partial, DATA)
        os.truncate(part(final), size)
        with pytest.raises(Incomplete, match="replaced"):
            partial.publish()
        partial.close()
        assert not final.exists()


class TestTwoWithoutALease:
    """A lease can be broken: by hand, by a clock, on a file system that has none. It may cost bandwidth only."""

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

    def test_who_comes_too_late_writes_nothing_into_what_has_its_name(self, final):
        one, other = self.both(final)
        write(other, DATA[1_000_000:])
        other.publish()
        with pytest.raises(Incomplete, match="replaced"):
            write(one, b"what a broken line brings")
        one.close()
        other.close()
        assert final.read_bytes() == DATA

    def test_who_starts_over_leaves_the_other_its_file(self, final):
        one, other = self.both(final)
        one.start_over()
        write(one, b"?" * 50)
        with pytest.raises(Incomplete, match="replaced"):
            write(other, DATA[1_000_000:])
        other.close()
        assert part(final).read_bytes() == b"?" * 50
        one.close()

    def test_who_has_nothing_does_not_delete_what_the_other_began(self, final):
        one = Partial(final, FILE)
        lease(final).unlink()
        other = Partial(final, FILE)
        write(other, DATA[:1000])
        one.close()
        assert part(final).read_bytes() == DATA[:1000]
        other.close()

    def test_who_has_it_wrong_sets_nothing_aside_that_is_not_its_own(self, final):
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
