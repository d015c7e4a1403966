from __future__ import annotations

import gzip
import zlib

import pytest
from archives.streams import Trickle, drain

from s2ct_convert.errors import TFRecordDamaged
from s2ct_convert.source.wrapped import Gunzip, Inflate


@pytest.fixture
def data(rng) -> bytes:
    """Half noise, half zeros: some of it does not compress, some of it very well."""
    return rng.bytes(3000) + bytes(3000)


def packed_gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


WRAPPERS = pytest.mark.parametrize(("wrapper", "pack"), [(Gunzip, packed_gzip), (Inflate, zlib.compress)])


class TestUnwrapping:
    @WRAPPERS
    @pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 1 << 30])
    @pytest.mark.parametrize("n", [1, 4, 12, 999, 1 << 20])
    def test_unpacked_bytes_match_for_any_read_size(self, wrapper, pack, piece, n, data):
        assert drain(wrapper(Trickle(pack(data), piece), where="file"), n) == data

    @WRAPPERS
    def test_an_empty_stream_unpacks_to_nothing(self, wrapper, pack):
        assert drain(wrapper(Trickle(pack(b"")), where="file")) == b""

    @WRAPPERS
    def test_reads_after_the_end_return_nothing(self, wrapper, pack):
        stream = wrapper(Trickle(pack(b"abc")), where="file")
        assert [stream.read(9) for _ in range(4)] == [b"abc", b"", b"", b""]

    @WRAPPERS
    def test_a_read_of_0_bytes_loses_nothing(self, wrapper, pack):
        stream = wrapper(Trickle(pack(b"abc")), where="file")
        assert stream.read(0) == b""
        assert stream.read(2) == b"ab"
        assert stream.read(0) == b""
        assert stream.read(2) == b"c"

    @WRAPPERS
    def test_a_bomb_is_unpacked_only_as_it_is_read(self, wrapper, pack):
        stream = wrapper(Trickle(pack(bytes(64 << 20))), where="file")
        assert 0 < len(stream.read(1000)) <= 1000

    @WRAPPERS
    def test_a_cut_at_any_byte_raises_after_the_bytes_before_it(self, wrapper, pack, data):
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
    def test_a_flipped_bit_raises_or_changes_nothing(self, wrapper, pack, data):
        packed, wrong = pack(data[2900:3100]), 0
        for at in range(len(packed) * 8):
            changed = bytearray(packed)
            changed[at // 8] ^= 1 << at % 8
            try:
                assert drain(wrapper(Trickle(bytes(changed)), where="file"), 64) == data[2900:3100]
            except TFRecordDamaged as error:
                assert error.where == "file"
                wrong += 1
        assert wrong > 8 * 100  # the other bits have no meaning, for example the time in the gzip header

    def test_several_gzip_members_are_read(self, data):
        packed = packed_gzip(data[:100]) + packed_gzip(b"") + packed_gzip(data[100:2900]) + packed_gzip(data[2900:])
        for piece in (1, 7, 1 << 30):
            assert drain(Gunzip(Trickle(packed, piece), where="file"), 333) == data

    @pytest.mark.parametrize("cut", [1, 2, 5, 9, 15, 18])
    def test_a_cut_in_a_later_gzip_member_raises(self, cut):
        later = packed_gzip(b"def")
        with pytest.raises(TFRecordDamaged):
            drain(Gunzip(Trickle(packed_gzip(b"abc") + later[:cut]), where="file"))

    @pytest.mark.parametrize("tail", [b"x", b"\x1f\x8c garbage", b"abc" * 100])
    def test_bytes_after_the_end_raise(self, tail):
        with pytest.raises(TFRecordDamaged):
            drain(Gunzip(Trickle(packed_gzip(b"abc") + tail), where="file"))
        for piece in (1, 1 << 30):
            with pytest.raises(TFRecordDamaged, match="bytes after the end of the zlib stream"):
                drain(Inflate(Trickle(zlib.compress(b"abc") + tail, piece), where="file"))
