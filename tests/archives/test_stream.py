from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest

from s2ct_convert.archives.stream import PIECE_BYTES, Prefixed, SourceReader

from .streams import Trickle, drain

pytestmark = pytest.mark.every_variant  # all are quick


@pytest.fixture
def data(rng) -> bytes:
    """Half noise, half zeros: one half does not compress, the other very well."""
    return rng.bytes(3000) + bytes(3000)


class TestSourceReader:
    def test_it_reads_like_a_file(self, tmp_path, data):
        path = tmp_path / "file"
        path.write_bytes(data)
        with SourceReader(path) as reader:
            assert reader.readable() and reader.seekable()
            assert reader.read(10) == data[:10]
            assert reader.tell() == 10
            assert reader.seek(-5, io.SEEK_CUR) == 5
            assert reader.read(3) == data[5:8]
            assert reader.seek(-4, io.SEEK_END) == len(data) - 4
            assert reader.read(100) == data[-4:]
            assert reader.read(100) == b""
            assert reader.seek(7) == 7
            assert reader.read() == data[7:]
        assert reader.closed

    @pytest.mark.parametrize("seed", range(30))
    def test_md5_and_reported_bytes_are_right_for_any_order(self, tmp_path, data, seed):
        path, reported = tmp_path / "file", []
        path.write_bytes(data)
        dice = np.random.default_rng(seed)
        with SourceReader(path, on_bytes=reported.append) as reader:
            for _ in range(dice.integers(0, 12)):
                if dice.random() < 0.5:
                    reader.seek(int(dice.integers(0, len(data) + 50)))
                reader.read(int(dice.integers(0, 3000)))
            assert sum(reported) <= len(data)
            assert reader.md5() == hashlib.md5(data).hexdigest()
            assert reader.md5() == hashlib.md5(data).hexdigest()
        assert sum(reported) == len(data)
        assert min(reported) > 0

    def test_bytes_are_reported_once_in_contiguous_order(self, tmp_path, data):
        path, reported = tmp_path / "file", []
        path.write_bytes(data)
        with SourceReader(path, on_bytes=reported.append) as reader:
            for start, n, front in [(0, 100, 100), (50, 100, 150), (0, 150, 150), (160, 40, 150), (149, 11, 160)]:
                reader.seek(start)
                reader.read(n)
                assert sum(reported) == front

    def test_the_md5_of_an_empty_file_is_right(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"")
        with SourceReader(path) as reader:
            assert reader.read(10) == b""
            assert reader.md5() == hashlib.md5(b"").hexdigest()

    def test_the_rest_of_a_large_file_is_hashed_in_pieces(self, tmp_path, rng):
        path, reported = tmp_path / "file", []
        path.write_bytes(content := rng.bytes(3 * PIECE_BYTES + 17))
        with SourceReader(path, on_bytes=reported.append) as reader:
            reader.read(5)
            assert reader.md5() == hashlib.md5(content).hexdigest()
        assert sum(reported) == len(content)
        assert max(reported) <= PIECE_BYTES

    def test_without_md5_bytes_are_still_reported(self, tmp_path, data):
        path, reported = tmp_path / "file", []
        path.write_bytes(data)
        with SourceReader(path, with_md5=False, on_bytes=reported.append) as reader:
            drain(reader, 1000)
            assert reader.md5() is None
        assert sum(reported) == len(data)


class TestPrefixed:
    @pytest.mark.parametrize("piece", [1, 2, 5, 7, 100])
    @pytest.mark.parametrize("n", [1, 3, 4, 100])
    def test_bytes_put_in_front_come_first(self, n, piece):
        assert drain(Prefixed(b"abcd", Trickle(b"efghijkl", piece)), n) == b"abcdefghijkl"

    def test_both_parts_may_be_empty(self):
        assert drain(Prefixed(b"", Trickle(b"ab"))) == b"ab"
        assert drain(Prefixed(b"ab", Trickle(b""))) == b"ab"
