"""Sources with many names and packings that are converted: exit code and units of the store."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest
from archives.sevenzip import needs_7zip, seven_zip
from makers import write_archive
from twins import first_quick

from .packing import TRAIN, VOLUMES, WHOLE, A, B, Ids, archive, converted, files, several

NAMES: dict[str, tuple[Callable[[Path], object], Ids]] = {
    "T before the tile": (archive("train_T50SMG_2", "train_T50SMG_2.7z"), TRAIN),
    "capitals": (archive("TRAIN_50smg_2", "Train_50SMG_2.7Z"), TRAIN),
    "points": (files(**{"val.50SMG.2": A}), {"val/50SMG": [3, 7]}),
    "dashes": (archive("val-50SMG-2", "val-50SMG-2.7z"), {"val/50SMG": [3, 7]}),
    "another split": (files(**{"test_50SMG_2.tfrecords.gz": gzip.compress(A)}), {"test/50SMG": [3, 7]}),
    "a tile that is a word": (archive("train_Beijing_2", "x.7z"), {"train/BEIJING": [3, 7]}),
    "no number, and a word for the tile": (files(train_Beijing=A), {"train/BEIJING": [3, 7]}),
    "no number inside": (archive("train_50SMG", "train_50SMG_2.7z"), TRAIN),
    "an unknown suffix": (files(**{"train_50SMG_2.data": A}), TRAIN),
    "a copy, and a name inside that says nothing": (archive("data", "train_50SMG_2 - Copy (2).7z"), TRAIN),
    "another number beside the name": (archive("data", "train_50SMG_2_1.7z"), TRAIN),
    "the second download of wget": (archive("train_50SMG_2", "train_50SMG_2.7z.1"), TRAIN),
    "no suffix at all": (archive("train_50SMG_2", "train_50SMG_2"), TRAIN),
    "letters of another script in the folder": (archive("данные/train_50SMG_2", "train_50SMG_2.7z"), TRAIN),
    "control characters": (archive("train_50SMG_2\t\x07", "x.7z"), TRAIN),
    "a blank at the end": (archive("train_50SMG_2 ", "train_50SMG_2.7z"), TRAIN),
    "a name inside that is of no unit beyond doubt": (archive("test_data", "train_50SMG_2.7z"), TRAIN),
    "the name inside counts": (archive("val_49RGN_2", "train_50SMG_2.7z"), {"val/49RGN": [3, 7]}),
    "an empty TFRecord": (files(train_50SMG_0=b""), {"train/50SMG": []}),
    "an empty TFRecord in an archive": (archive("train_50SMG_0", "train_50SMG_0.7z", b""), {"train/50SMG": []}),
}

PACKINGS: dict[str, tuple[Callable[[Path], object], Ids]] = {
    "shards": (
        files(**{"train_50SMG_3-00001-of-00002": B, "train_50SMG_3-00000-of-00002": A}),
        {"train/50SMG": [3, 7, 8]},
    ),
    "a gzip and an archive as shards": (
        several(
            files(**{"train_50SMG_3-00000-of-00002.gz": gzip.compress(A)}),
            archive("train_50SMG_3-00001-of-00002", "two.7z", B),
        ),
        {"train/50SMG": [3, 7, 8]},
    ),
    "shards in one archive": (
        lambda f: write_archive(f / "x.7z", {"train_50SMG_3-00000-of-00002": A, "train_50SMG_3-00001-of-00002": B}),
        {"train/50SMG": [3, 7, 8]},
    ),
    "shards whose archives alone say so": (
        several(archive("a", "train_50SMG_3-00000-of-00002.7z"), archive("a", "train_50SMG_3-00001-of-00002.7z", B)),
        {"train/50SMG": [3, 7, 8]},
    ),
    "litter of operating systems": (
        lambda f: write_archive(
            f / "train_50SMG_2.7z",
            {"__MACOSX/._train_50SMG_2": b"\0\5\26\7", ".DS_Store": b"x", "Thumbs.db": b"y", "train_50SMG_2": A},
        ),
        TRAIN,
    ),
    "an empty readme and a TFRecord whose name says nothing": (
        lambda f: write_archive(f / "train_50SMG_2.7z", {"README": b"", "data": A}),
        TRAIN,
    ),
    "a TFRecord that is called a text": (
        lambda f: write_archive(f / "train_50SMG_2.7z", {"readme.md": b"hello", "data.txt": A}),
        TRAIN,
    ),
    "other files of all kinds": (
        lambda f: write_archive(f / "train_50SMG_2.7z", {"zz.bin": bytes(9999), "train_50SMG_2": A, "more": b"x" * 99}),
        TRAIN,
    ),
    "two units in an archive": (
        lambda f: write_archive(f / "x.7z", {"train_50SMG_2": A, "val_49RGN_1": B}),
        {**TRAIN, "val/49RGN": [8]},
    ),
    "a second download": (
        several(archive("train_50SMG_2", "train_50SMG_2.7z"), archive("data", "train_50SMG_2 (1).7z")),
        TRAIN,
    ),
    "an archive beside its TFRecord": (several(archive("a", "train_50SMG_2.7z"), files(train_50SMG_2=A)), TRAIN),
    "a TFRecord beside its gzip": (files(train_50SMG_2=A, **{"train_50SMG_2.gz": gzip.compress(A)}), TRAIN),
    "the same member twice": (
        lambda f: write_archive(f / "x.7z", {"a/train_50SMG_2": A, "b/train_50SMG_2": A}),
        TRAIN,
    ),
    "volumes": (files(**VOLUMES), TRAIN),
    "volumes beside the archive": (files(**VOLUMES, **{"train_50SMG_2.7z": WHOLE}), TRAIN),
    "unfinished downloads": (
        several(
            archive("train_50SMG_2", "train_50SMG_2.7z"),
            files(
                **{
                    f"val_50SMG_1.7z{end}": WHOLE[:999]
                    for end in (".part", ".download", ".partial", ".filepart", ".tmp")
                }
            ),
            files(**{f"val_51SMG_1.7z{end}": WHOLE[:999] for end in (".crdownload", ".!ut", ".0123abcd.part")}),
            files(
                **{
                    "val_49RGN_1.7z": WHOLE[:999],
                    "val_49RGN_1.7z.aria2": b"x",
                    "val_48RGN_1.7z": b"",
                    "val_48RGN_1.7z.part": WHOLE,
                }
            ),
        ),
        TRAIN,
    ),
    "names of other things": (
        files(
            train_50SMG_2=A,
            **{"my_notes_1": b"n", "train.txt": b"t", "train_50SMG_2.json": b"{}", "train_readme.md": b"r"},
        ),
        TRAIN,
    ),
}


@pytest.mark.parametrize("case", [*NAMES, *PACKINGS])
def test_every_understood_name_and_packing_is_converted(run, tmp_path, case):
    make, units = (NAMES | PACKINGS)[case]
    make(tmp_path / "in")
    assert converted(run, tmp_path, 0) == units


METHODS = ["PPMd", "BCJ2", "ARM64", "RISCV", "SWAP2", "Deflate64", "Copy", "BZip2", "LZMA"]


@needs_7zip
@pytest.mark.parametrize("solid", first_quick(["off", "on"]))
@pytest.mark.parametrize("method", METHODS)
def test_every_7_zip_method_is_unpacked(run, tmp_path, method, solid):
    filters = [f"-mf={method}"] if method in ("BCJ2", "ARM64", "RISCV") else [f"-m0={method}", "-m1=LZMA2"]
    seven_zip(
        tmp_path / "in" / "train_50SMG_2.7z",
        {"a.txt": b"a" * 999, "train_50SMG_2": A},
        f"-ms={solid}",
        *(filters if "SWAP" in method or len(filters) == 1 else filters[:1]),
    )
    assert converted(run, tmp_path, 0) == TRAIN


@pytest.mark.parametrize("filters", [py7zr.FILTER_ZSTD, py7zr.FILTER_BROTLI], ids=["zstd", "brotli"])
def test_methods_that_7_zip_may_lack_are_unpacked_by_python(run, tmp_path, filters):
    write_archive(tmp_path / "in" / "train_50SMG_2.7z", {"train_50SMG_2": A}, filters=[{"id": filters, "level": 3}])
    assert converted(run, tmp_path, 0) == TRAIN


@needs_7zip
@pytest.mark.parametrize(("unpacker", "filters"), [("python", "PPMd"), ("7zz", "Brotli")])
def test_an_unpacker_without_the_method_names_the_other_one(run, tmp_path, unpacker, filters):
    chosen = {
        "PPMd": {"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24},
        "Brotli": {"id": py7zr.FILTER_BROTLI, "level": 3},
    }
    source = write_archive(tmp_path / "train_50SMG_2.7z", {"train_50SMG_2": A}, filters=[chosen[filters]])
    for command in (
        ["convert", source, tmp_path / "x.zarr"],
        ["extract", source, tmp_path],
        ["verify", "sources", source],
    ):
        done = run(*command, "--unpacker", unpacker)
        assert done.returncode == 5, done.stderr
        assert f"does not unpack {filters}" in done.stdout + done.stderr
        assert "--unpacker auto" in done.stdout + done.stderr
        done = run(*(tmp_path / "y.zarr" if one == tmp_path / "x.zarr" else one for one in command))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["train_50SMG", "train_50SMG.7z"])
def test_info_describes_sources_without_a_number_in_the_name(run, tmp_path, name):
    make = archive("train_50SMG", name) if name.endswith(".7z") else files(**{name: A})
    make(tmp_path / "in")
    for path in (tmp_path / "in" / name, tmp_path / "in"):
        done = run("info", path)
        assert done.returncode == 0, done.stderr
        assert "train/50SMG" in done.stdout or "2 (- by its name)" in done.stdout
