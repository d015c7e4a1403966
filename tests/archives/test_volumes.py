from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from s2ct_convert.archives.archive import read_archive
from s2ct_convert.archives.stream import SourceReader
from s2ct_convert.archives.volumes import JoinedFile, files_of, first_volume
from s2ct_convert.errors import ArchiveDamaged

from .sevenzip import handmade, put, read_member

pytestmark = pytest.mark.every_variant  # all are quick

DATA = bytes(range(256)) * 40


def cut(path: Path, data: bytes, sizes: list[int]) -> list[Path]:
    """Write volumes of these sizes, and a last one with the rest."""
    stream, out = io.BytesIO(data), []
    for i, size in enumerate([*sizes, -1], start=1):
        out.append(put(path.with_name(f"{path.name}.{i:03}"), stream.read(size)))
    return out


@pytest.mark.parametrize("sizes", [[1], [1, 1, 4096], [5000], [0, 7, 0]])
def test_joined_volumes_read_like_the_original_file(tmp_path, rng, sizes):
    paths = cut(tmp_path / "a.7z", DATA, sizes)
    joined, whole = JoinedFile(paths), io.BytesIO(DATA)
    assert joined.seek(0, os.SEEK_END) == len(DATA)
    for _ in range(300):
        at, n = int(rng.integers(0, len(DATA) + 9)), int(rng.integers(-1, 9000))
        assert joined.seek(at) == whole.seek(at)
        assert joined.read(n) == whole.read(n)
        assert joined.tell() == max(at, whole.tell()) if n else True
    joined.close()


def test_the_first_volume_means_all_up_to_a_gap(tmp_path):
    paths = cut(tmp_path / "a.7z", DATA, [10, 10, 10])
    assert files_of(paths[0]) == tuple(paths)
    assert files_of(paths[1]) == (paths[1],)
    assert (first_volume(paths[0]), first_volume(paths[2])) == (None, paths[0])
    paths[2].unlink()
    assert files_of(paths[0]) == tuple(paths[:2])


def test_an_archive_in_volumes_has_the_md5_of_all_bytes(tmp_path):
    whole = handmade({"train_50SMG_1": DATA})
    paths = cut(tmp_path / "a.7z", whole, [20, 3000])
    assert read_archive(paths[0]).bytes == len(whole)
    assert read_member(paths[0]) == DATA
    with SourceReader(paths[0]) as file:
        assert file.no_descriptor == "the archive is in volumes"
        assert file.md5() == hashlib.md5(whole).hexdigest()


@pytest.mark.parametrize(("gone", "named"), [([2], "a.7z.003"), ([1], "a.7z.002"), ([1, 2], "a.7z.002")])
def test_a_missing_volume_is_named(tmp_path, gone, named):
    paths = cut(tmp_path / "a.7z", handmade({"train_50SMG_1": DATA}), [200, 3000])
    for i in gone:
        paths[i].unlink()
    with pytest.raises(ArchiveDamaged, match=f"{named} is missing") as caught:
        read_archive(paths[0])
    assert "fetch" not in str(caught.value)
