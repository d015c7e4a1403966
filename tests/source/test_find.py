from __future__ import annotations

import gzip
import os
import threading
import zlib
from pathlib import Path

import py7zr
import pytest
from archives.sevenzip import put
from makers import flip, random_group, tfrecord_bytes, write_archive, write_tfrecord

import s2ct_convert
from s2ct_convert.errors import (
    EXIT_SOURCE,
    EXIT_USAGE,
    ArchiveDamaged,
    ArchiveUnsupported,
    BadName,
    NotAnArchive,
    NotATFRecord,
    S2ctError,
    WrongUsage,
)
from s2ct_convert.names import UnitName
from s2ct_convert.source.find import Found, Source, find_sources
from s2ct_convert.units.swap import start_new

SMG, RGN = UnitName("train", "50SMG"), UnitName("val", "49RGN")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 99\n"
HTML = b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>"


@pytest.fixture
def record(rng) -> bytes:
    return tfrecord_bytes([random_group(rng, 1, 1)])


def names(found: Found) -> list[str]:
    return [source.where for source in found.sources]


def the_failure(found: Found) -> tuple[Path, S2ctError]:
    assert found.sources == []
    (unusable,) = found.unusable
    return unusable.path, unusable.error


class TestFiles:
    def test_a_bare_tfrecord_is_a_source_by_its_name(self, tmp_path, rng):
        path = write_tfrecord(tmp_path, [random_group(rng, 1, 1)] * 2)
        found = find_sources([path])
        assert found == Found([Source(SMG, 2, path)])
        assert found.sources[0].where == "train_50SMG_2"

    def test_an_archive_is_a_source_by_the_name_of_the_file_in_it(self, tmp_path, record):
        path = write_archive(tmp_path / "renamed.7z", {"train_50SMG_462": record})
        found = find_sources([path])
        assert found == Found([Source(SMG, 462, path, "train_50SMG_462")])
        assert found.sources[0].where == "renamed.7z: train_50SMG_462"

    def test_a_published_archive_is_shown_with_its_own_name(self, tmp_path, record):
        path = write_archive(tmp_path / "train_50SMG_1.7z", {"train_50SMG_1": record})
        assert names(find_sources([path])) == ["train_50SMG_1.7z"]

    @pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "zlib"])
    @pytest.mark.parametrize("suffix", ["", ".gz", ".tfrecord.gz", ".zlib"])
    def test_a_wrapped_tfrecord_is_a_source_whatever_its_suffix(self, tmp_path, record, pack, suffix):
        path = put(tmp_path / f"train_50SMG_1{suffix}", pack(record))
        assert find_sources([path]) == Found([Source(SMG, 1, path)])

    def test_an_archive_without_its_suffix_is_recognised_by_content(self, tmp_path, record):
        path = write_archive(tmp_path / "train_50SMG_1", {"train_50SMG_1": record})
        assert find_sources([path]).sources[0].member == "train_50SMG_1"

    def test_an_empty_file_with_a_published_name_is_a_tfrecord_of_no_examples(self, tmp_path):
        path = put(tmp_path / "train_50SMG_0", b"")
        assert find_sources([path]) == Found([Source(SMG, 0, path)])

    def test_a_damaged_bare_file_is_found_and_left_to_the_reader(self, tmp_path, rng):
        path = flip(write_tfrecord(tmp_path, [random_group(rng, 1, 1)]), 3)
        assert find_sources([path]) == Found([Source(SMG, 1, path)])

    @pytest.mark.parametrize("content", [b"text", b"", POINTER, HTML])
    def test_a_named_file_that_is_not_a_source_fails_with_the_bytes_found(self, tmp_path, content):
        path, error = the_failure(find_sources([put(tmp_path / "notes.txt", content)]))
        assert path == tmp_path / "notes.txt"
        assert type(error) is NotAnArchive
        assert error.found == (content[:12].hex(" ") or "an empty file")

    def test_a_tfrecord_with_another_name_fails_with_bad_name(self, tmp_path, record):
        path, error = the_failure(find_sources([put(tmp_path / "mine.tfrecord", record)]))
        assert path == tmp_path / "mine.tfrecord"
        assert type(error) is BadName

    def test_a_missing_path_is_wrong_usage(self, tmp_path):
        with pytest.raises(WrongUsage, match="no such file or folder") as caught:
            find_sources([tmp_path / "train_50SMG_1.7z"])
        assert caught.value.exit_code == EXIT_USAGE

    def test_no_path_and_an_empty_folder_give_no_sources(self, tmp_path):
        assert find_sources([]) == find_sources([tmp_path]) == Found()


class TestArchives:
    @pytest.mark.parametrize(
        "content", [POINTER, HTML, b"", b"x"], ids=["git-lfs pointer", "HTML", "empty", "one byte"]
    )
    @pytest.mark.parametrize("in_folder", [True, False])
    def test_a_file_that_only_has_the_name_of_an_archive_fails(self, tmp_path, content, in_folder):
        path = put(tmp_path / "train_50SMG_1.7z", content)
        failed, error = the_failure(find_sources([tmp_path if in_folder else path]))
        assert failed == path
        assert type(error) is NotAnArchive
        assert error.exit_code == EXIT_SOURCE

    def test_a_damaged_archive_fails_and_the_others_are_found(self, tmp_path, record):
        good = write_archive(tmp_path / "val_49RGN_1.7z", {"val_49RGN_1": record})
        cut = put(tmp_path / "train_50SMG_1.7z", good.read_bytes()[:-1])
        changed = flip(good, 20, to=tmp_path / "train_51SMG_1.7z")
        locked = write_archive(tmp_path / "train_52SMG_1.7z", {"train_52SMG_1": record}, password="secret")
        found = find_sources([tmp_path])
        assert names(found) == ["val_49RGN_1.7z"]
        assert [(one.path, str(one.unit), type(one.error)) for one in found.unusable] == [
            (cut, "train/50SMG", ArchiveDamaged),
            (changed, "train/51SMG", ArchiveDamaged),
            (locked, "train/52SMG", ArchiveUnsupported),
        ]

    def test_a_failure_without_a_published_name_has_no_unit(self, tmp_path):
        (unusable,) = find_sources([put(tmp_path / "some.7z", HTML)]).unusable
        assert unusable.unit is None

    def test_an_archive_with_several_tfrecords_is_several_sources(self, tmp_path, record):
        files = {"val_49RGN_1": record, "deep/folder/train_50SMG_1.tfrecord": record}
        path = write_archive(tmp_path / "all.7z", files)
        assert find_sources([path]) == Found(
            [Source(SMG, 1, path, "deep/folder/train_50SMG_1.tfrecord"), Source(RGN, 1, path, "val_49RGN_1")]
        )

    def test_other_files_in_an_archive_are_noted(self, tmp_path, record):
        others = dict.fromkeys(("README", "a.txt", "b.txt", "c.txt"), b"text")
        path = write_archive(tmp_path / "train_50SMG_1.7z", {"train_50SMG_1": record, **others})
        found = find_sources([path])
        assert names(found) == ["train_50SMG_1.7z"]
        (note,) = found.notes
        assert "skipped README, a.txt, b.txt and 1 more inside" in note

    def test_the_only_file_in_an_archive_may_get_its_unit_from_the_archive(self, tmp_path, record):
        path = write_archive(tmp_path / "train_50SMG_1.7z", {"data.tfrecord": record})
        found = find_sources([path])
        assert found.sources == [Source(SMG, 1, path, "data.tfrecord")]
        (note,) = found.notes
        assert "'data.tfrecord' inside is read as train/50SMG, by the name of the archive" in note

    def test_the_name_inside_takes_priority_over_the_archive_name(self, tmp_path, record):
        path = write_archive(tmp_path / "train_50SMG_1.7z", {"val_49RGN_1": record})
        assert find_sources([path]).sources == [Source(RGN, 1, path, "val_49RGN_1")]

    def test_a_unit_that_contradicts_the_name_is_noted(self, tmp_path, record):
        path = write_archive(tmp_path / "train_50SMG_1.7z", {"train_50SMG_1": record})
        found = find_sources([path], unit=RGN)
        assert [one.unit for one in found.sources] == [RGN]
        assert found.notes == [f"train_50SMG_1.7z: taken as {RGN} as requested, but its name says train/50SMG"]
        assert find_sources([path], unit=UnitName("train", "50SMG")).notes == []

    @pytest.mark.parametrize(
        ("archive", "files"),
        [("some.7z", ["data"]), ("some.7z", ["a", "b"]), ("train_50SMG_1.7z", ["a", "b"])],
        ids=["one file", "two files", "two files and a published name"],
    )
    def test_names_without_a_unit_fail(self, tmp_path, record, archive, files):
        path = write_archive(tmp_path / archive, dict.fromkeys(files, record))
        for given in (path, tmp_path):
            found = find_sources([given])
            assert found.sources == []
            assert [(one.path, type(one.error)) for one in found.unusable] == [(path, BadName)] * len(files)
            assert all("not understood" in one.error.what and "--as" in one.error.todo for one in found.unusable)

    def test_an_archive_without_files_fails(self, tmp_path):
        (tmp_path / "empty").mkdir()
        path = tmp_path / "train_50SMG_1.7z"
        with py7zr.SevenZipFile(path, "w") as archive:
            archive.writeall(tmp_path / "empty", "empty")
        assert type(the_failure(find_sources([path]))[1]) is NotATFRecord


class TestFolders:
    def test_folders_are_searched_recursively_and_sorted_by_unit(self, tmp_path, record):
        put(tmp_path / "val_49RGN_1", record)
        put(tmp_path / "a/train_50SMG_1", record)
        write_archive(tmp_path / "a/b/c/train_01CAA_1.7z", {"train_01CAA_1": record})
        found = find_sources([tmp_path])
        assert [str(source.unit) for source in found.sources] == ["train/01CAA", "train/50SMG", "val/49RGN"]
        assert (found.notes, found.unusable) == ([], [])

    def test_hidden_sources_and_folders_are_skipped_with_a_note(self, tmp_path, record):
        put(tmp_path / ".train_50SMG_1", record)
        put(tmp_path / ".train_50SMG_1.7z.part", b"half")
        put(tmp_path / ".cache/train_50SMG_1", record)
        put(tmp_path / ".notes", b"no source")
        put(tmp_path / "val_49RGN_1", record)
        found = find_sources([tmp_path])
        assert (found.sources, found.unusable) == ([Source(RGN, 1, tmp_path / "val_49RGN_1")], [])
        assert found.notes == [
            f"{tmp_path}: skipped .train_50SMG_1.7z.part, unfinished downloads",
            f"{tmp_path}: skipped .cache, .train_50SMG_1, hidden",
        ]

    def test_folders_that_only_look_like_parts_of_a_store_are_searched(self, tmp_path, record):
        paths = [put(tmp_path / f"{name}/train_{tile}_1", record) for tile, name in
                 (("50SMG", "tile.units"), ("51SMG", "x.s2ct"), ("52SMG", "__MACOSX"))]  # fmt: skip
        assert sorted(source.path for source in find_sources([tmp_path]).sources) == sorted(paths)

    def test_a_zarr_store_given_by_name_is_not_a_source(self, tmp_path, record):
        put(tmp_path / "zarr.json", b"{}")
        put(tmp_path / "train_50SMG_1", record)
        with pytest.raises(WrongUsage, match="this is a Zarr store, not a source"):
            find_sources([tmp_path])

    def test_a_link_with_the_name_of_another_unit_is_another_source(self, tmp_path, record):
        path, link, again = put(tmp_path / "train_50SMG_1", record), tmp_path / "val_50SMG_1", tmp_path / "train_50SMG"
        link.symlink_to(path)
        again.symlink_to(path)
        found = find_sources([tmp_path])
        assert [source.path for source in found.sources] == [again, link]
        assert found.notes == [f"{path}: the same file as {again}"]

    def test_what_an_unfinished_new_store_left_is_skipped_without_a_note(self, tmp_path, rng):
        start_new(tmp_path / "x.h5")
        write_tfrecord(tmp_path, [random_group(rng, 1, 2)])
        found = find_sources([tmp_path])
        assert (len(found.sources), found.notes, found.unusable) == (1, [], [])

    def test_stores_are_skipped_with_a_note_and_ledgers_without(self, tmp_path, rng):
        path = write_tfrecord(tmp_path, [random_group(rng, 1, 2)])
        for store in ("mine.zarr", "a store without suffix"):
            s2ct_convert.convert([path], tmp_path / store, format="zarr")
        put(tmp_path / "mine.zarr.s2ct/train_51SMG_1", b"ours")
        put(tmp_path / "mine.h5.units/train_51SMG_1.h5", b"ours")
        put(tmp_path / "mine.zarr/train/train_51SMG_1", b"ours")
        put(tmp_path / "mine.h5", b"a store")
        found = find_sources([tmp_path])
        assert (found.sources, found.unusable) == ([Source(SMG, 1, path)], [])
        assert f"{tmp_path}: skipped a store without suffix, mine.zarr, Zarr stores" in found.notes
        assert not any("s2ct" in note or "units" in note for note in found.notes)

    def test_an_hdf5_store_is_skipped_like_any_other_file(self, tmp_path, rng):
        path = write_tfrecord(tmp_path, [random_group(rng, 1, 2)])
        s2ct_convert.convert([path], tmp_path / "mine.h5")
        found = find_sources([tmp_path])
        assert found.sources == [Source(SMG, 1, path)]
        assert "mine.h5" in "".join(found.notes)

    def test_other_files_are_noted_once_per_given_folder(self, tmp_path, record):
        put(tmp_path / "train_50SMG_1", record)
        for name in ("md5sums.txt", "a/README", "a/b.csv", "c.png", "d.zip"):
            put(tmp_path / name, b"text")
        (note,) = find_sources([tmp_path]).notes
        assert note == f"{tmp_path}: skipped c.png, d.zip, md5sums.txt and 2 more, neither .7z nor TFRecord"

    def test_a_tfrecord_with_another_name_in_a_folder_fails(self, tmp_path, record):
        path, error = the_failure(find_sources([put(tmp_path / "a/mine.tfrecord", record).parent]))
        assert (path.name, type(error)) == ("mine.tfrecord", BadName)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
    def test_a_named_pipe_in_a_folder_does_not_block(self, tmp_path, record):
        put(tmp_path / "train_50SMG_1", record)
        os.mkfifo(pipe := tmp_path / "val_49RGN_1")
        found: list[Found] = []
        search = threading.Thread(target=lambda: found.append(find_sources([tmp_path])), daemon=True)
        search.start()
        search.join(10)
        waits = search.is_alive()
        if waits:
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))  # lets it go on
            search.join()
        assert not waits
        assert "train_50SMG_1" in names(found[0])


class TestTwice:
    def test_a_file_given_twice_is_one_source(self, tmp_path, record):
        path = put(tmp_path / "a/train_50SMG_1", record)
        again = tmp_path / "a" / ".." / "a" / "train_50SMG_1"
        relative = Path(os.path.relpath(path))
        assert find_sources([path, path, again, tmp_path, tmp_path / "a", relative]) == Found([Source(SMG, 1, path)])

    def test_a_link_and_its_target_are_one_source(self, tmp_path, record):
        path = put(tmp_path / "real" / "train_50SMG_1", record)
        link = tmp_path / "train_50SMG_1"
        link.symlink_to(path)
        assert len(find_sources([tmp_path]).sources) == 1
        assert find_sources([link, path]).sources == [Source(SMG, 1, link)]

    def test_a_link_gets_its_unit_from_its_own_name(self, tmp_path, record):
        path = put(tmp_path / "blob", record)
        link = tmp_path / "train_50SMG_1"
        link.symlink_to(path)
        assert find_sources([link]).sources == [Source(SMG, 1, link)]

    def test_a_given_link_to_a_folder_is_followed(self, tmp_path, record):
        put(tmp_path / "real/train_50SMG_1", record)
        (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
        assert len(find_sources([tmp_path / "link"]).sources) == 1

    def test_a_link_to_a_folder_inside_a_folder_is_followed_or_noted(self, tmp_path, record):
        put(tmp_path / "real/train_50SMG_1", record)
        (tmp_path / "given").mkdir()
        (tmp_path / "given/link").symlink_to(tmp_path / "real", target_is_directory=True)
        found = find_sources([tmp_path / "given"])
        assert found.sources or "link" in "".join(found.notes)

    def test_a_circle_of_links_ends(self, tmp_path, record):
        put(tmp_path / "a/train_50SMG_1", record)
        (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
        assert len(find_sources([tmp_path]).sources) == 1

    def test_a_broken_link_fails(self, tmp_path):
        (tmp_path / "train_50SMG_1").symlink_to(tmp_path / "gone")
        assert isinstance(the_failure(find_sources([tmp_path]))[1], WrongUsage)
        with pytest.raises(WrongUsage):
            find_sources([tmp_path / "train_50SMG_1"])

    def test_a_tile_in_two_splits_is_two_units(self, tmp_path, record):
        put(tmp_path / "train_50SMG_1", record)
        put(tmp_path / "val_50SMG_1", record)
        assert [str(source.unit) for source in find_sources([tmp_path]).sources] == ["train/50SMG", "val/50SMG"]
