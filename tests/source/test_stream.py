from __future__ import annotations

import gzip
import hashlib
import io
import zlib

import numpy as np
import pytest

from s2ct_convert.errors import TFRecordDamaged
from s2ct_convert.source.stream import PIECE_BYTES, Gunzip, Inflate, Prefixed, SourceReader

from .streams import Trickle, drain


@pytest.fixture
def data(rng) -> bytes:
    """Half noise, half zeros: some of it does not compress, some of it very well."""
    return rng.bytes(3000) + bytes(3000)


def packed_gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


WRAPPERS = pytest.mark.parametrize(("wrapper", "pack"), [(Gunzip, packed_gzip), (Inflate, zlib.compress)])


class TestSourceReader:
    def test_it_reads_as_a_file_does(self, tmp_path, data):
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
    def test_the_md5_is_right_and_every_byte_reported_once_whatever_was_read_in_which_order(self, tmp_path, data, seed):
        path, told = tmp_path / "file", []
        path.write_bytes(data)
        dice = np.random.default_rng(seed)
        with SourceReader(path, on_bytes=told.append) as reader:
            for _ in range(dice.integers(0, 12)):
                if dice.random() < 0.5:
                    reader.seek(int(dice.integers(0, len(data) + 50)))
                reader.read(int(dice.integers(0, 3000)))
            assert sum(told) <= len(data)
            assert reader.md5() == hashlib.md5(data).hexdigest()
            assert reader.md5() == hashlib.md5(data).hexdigest()
        assert sum(told) == len(data)
        assert min(told) > 0

    def test_bytes_read_twice_or_out_of_order_are_reported_when_the_front_reaches_them(self, tmp_path, data):
        path, told = tmp_path / "file", []
        path.write_bytes(data)
        with SourceReader(path, on_bytes=told.append) as reader:
            for start, n, front in [(0, 100, 100), (50, 100, 150), (0, 150, 150), (160, 40, 150), (149, 11, 160)]:
                reader.seek(start)
                reader.read(n)
                assert sum(told) == front

    def test_the_md5_of_an_empty_file_is_that_of_nothing(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"")
        with SourceReader(path) as reader:
            assert reader.read(10) == b""
            assert reader.md5() == hashlib.md5(b"").hexdigest()

    def test_the_rest_of_a_large_file_is_hashed_piece_by_piece(self, tmp_path, rng):
        path, told = tmp_path / "file", []
        path.write_bytes(content := rng.bytes(3 * PIECE_BYTES + 17))
        with SourceReader(path, on_bytes=told.append) as reader:
            reader.read(5)
            assert reader.md5() == hashlib.md5(content).hexdigest()
        assert sum(told) == len(content)
        assert max(told) <= PIECE_BYTES

    def test_there_is_no_md5_where_none_was_asked_for_but_bytes_are_reported(self, tmp_path, data):
        path, told = tmp_path / "file", []
        path.write_bytes(data)
        with SourceReader(path, with_md5=False, on_bytes=told.append) as reader:
            drain(reader, 1000)
            assert reader.md5() is None
        assert sum(told) == len(data)


class TestPrefixed:
    @pytest.mark.parametrize("piece", [1, 2, 5, 7, 100])
    @pytest.mark.parametrize("n", [1, 3, 4, 100])
    def test_bytes_put_back_come_first_and_nothing_is_lost_or_doubled(self, n, piece):
        assert drain(Prefixed(b"abcd", Trickle(b"efghijkl", piece)), n) == b"abcdefghijkl"

    def test_nothing_may_be_put_back_and_nothing_may_follow(self):
        assert drain(Prefixed(b"", Trickle(b"ab"))) == b"ab"
        assert drain(Prefixed(b"ab", Trickle(b""))) == b"ab"


class TestUnwrapping:
    @WRAPPERS
    @pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 1 << 30])
    @pytest.mark.parametrize("n", [1, 4, 12, 999, 1 << 20])
    def test_what_was_packed_comes_out_whatever_the_steps(self, wrapper, pack, piece, n, data):
        assert drain(wrapper(Trickle(pack(data), piece), where="file"), n) == data

    @WRAPPERS
    def test_packed_nothing_is_nothing(self, wrapper, pack):
        assert drain(wrapper(Trickle(pack(b"")), where="file")) == b""

    @WRAPPERS
    def test_the_end_stays_the_end(self, wrapper, pack):
        stream = wrapper(Trickle(pack(b"abc")), where="file")
        assert [stream.read(9) for _ in range(4)] == [b"abc", b"", b"", b""]

    @WRAPPERS
    def test_asked_for_nothing_it_gives_nothing_and_loses_nothing(self, wrapper, pack):
        stream = wrapper(Trickle(pack(b"abc")), where="file")
        assert stream.read(0) == b""
        assert stream.read(2) == b"ab"
        assert stream.read(0) == b""
        assert stream.read(2) == b"c"

    @WRAPPERS
    def test_a_bomb_comes_out_no_faster_than_it_is_read(self, wrapper, pack):
        stream = wrapper(Trickle(pack(bytes(64 << 20))), where="file")
        assert 0 < len(stream.read(1000)) <= 1000

    @WRAPPERS
    def test_a_cut_at_any_byte_is_an_error_and_what_came_before_it_is_given(self, wrapper, pack, data):
        packed = pack(data[2800:3200])
        for end in range(2, len(packed)):
            out = bytearray()
            stream = wrapper(Trickle(packed[:end]), where="file.gz")
            with pytest.raises(TFRecordDamaged, match=r"file\.gz: the (gzip|zlib) stream ends early"):
                while piece := stream.read(50):
                    out += piece
            assert data[2800:3200].startswith(out)
            if end == len(packed) - 1:
                assert len(out) == 400

    @WRAPPERS
    def test_a_flipped_bit_is_an_error_or_changes_nothing(self, wrapper, pack, data):
        packed, wrong = pack(data[2900:3100]), 0
        for at in range(len(packed) * 8):
            changed = bytearray(packed)
            changed[at // 8] ^= 1 << at % 8
            try:
                assert drain(wrapper(Trickle(bytes(changed)), where="file"), 64) == data[2900:3100]
            except TFRecordDamaged as error:
                assert error.where == "file"
                wrong += 1
        assert wrong > 8 * 100  # the rest has no meaning, as the time in the header of gzip

    def test_members_of_gzip_follow_one_another(self, data):
        packed = packed_gzip(data[:100]) + packed_gzip(b"") + packed_gzip(data[100:2900]) + packed_gzip(data[2900:])
        for piece in (1, 7, 1 << 30):
            assert drain(Gunzip(Trickle(packed, piece), where="file"), 333) == data

    @pytest.mark.parametrize("cut", [1, 2, 5, 9, 15, 18])
    def test_a_cut_in_a_later_member_of_gzip_is_an_error(self, cut):
        later = packed_gzip(b"def")
        with pytest.raises(TFRecordDamaged):
            drain(Gunzip(Trickle(packed_gzip(b"abc") + later[:cut]), where="file"))

    @pytest.mark.parametrize("tail", [b"x", b"\x1f\x8c garbage", b"abc" * 100])
    def test_bytes_after_the_end_are_an_error(self, tail):
        with pytest.raises(TFRecordDamaged):
            drain(Gunzip(Trickle(packed_gzip(b"abc") + tail), where="file"))
        for piece in (1, 1 << 30):
            with pytest.raises(TFRecordDamaged, match="bytes after the end of the zlib stream"):
                drain(Inflate(Trickle(zlib.compress(b"abc") + tail, piece), where="file"))
