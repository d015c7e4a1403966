from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import plain
import pytest

from s2ct_convert.source.samples import Series
from s2ct_convert.store import unit_writer
from s2ct_convert.store.digest import ImageDigests
from s2ct_convert.store.unit_writer import UnitWriter, work_keys

from .units import NO_DAY, UNIT, container, expected, rows, table, unit_table, work, write, write_work

WINDOW = 64  # observations per window of the second pass: two chunks

SORTED = {
    "one sample": [(7, range(70))],
    "a sample of one observation": [(7, [3])],
    "an example of exactly 100": [(7, range(100))],
    "samples that end on chunks": [(1, range(32)), (2, range(32)), (3, range(64)), (5, range(32))],
    "dates out of order inside an example": [(1, [9, 3, 5, 1]), (2, [2, 1])],
    "the same date twice in an example": [(1, [4, 1, 4, 4, 1]), (2, [0] * 40)],
    "a sample without observations first": [(1, []), (2, range(40))],
    "samples without observations between": [(1, range(5)), (2, []), (3, []), (4, range(60))],
    "samples without observations last": [(1, range(33)), (2, []), (3, [])],
    "a unit without observations": [(1, []), (2, [])],
    "no observations, in any order": [(2, []), (1, []), (2, [])],
    "a sample without observations split": [(1, range(5)), (3, []), (2, range(64)), (3, [])],
    "a unit without examples": [],
    "localids over the whole range": [(-(2**63), range(3)), (-5, range(4)), (0, [1]), (2**63 - 1, range(40))],
    "samples without localid, one with -1": [(-1, range(3)), (None, range(4)), (None, []), (None, [1]), (0, [])],
    "images without date come last": [(1, [3, None, 1, None]), (2, [None] * 3), (3, [5])],
}
UNSORTED = {
    "reversed localids": [(i, range(i)) for i in range(20, 0, -1)],
    "groups interleaved": [(i, range(20 * k, 20 * k + 20)) for k in range(3) for i in (5, 2, 9)],
    "strided in time": [(i, range(k, 90, 3)) for k in (2, 0, 1) for i in (1, 2)],
    "a later group of a sample first": [(1, range(100, 150)), (1, range(100))],
    "the same date twice in two examples": [(1, [3, 5, 8]), (2, [1]), (1, [3, 3, 5]), (2, [1, 0])],
    "one date for all": [(i % 3, [6] * 5) for i in range(30)],
    "samples without observations between": [(9, range(64)), (4, []), (7, range(64)), (8, []), (2, range(64)), (1, [])],
    "samples without localid": [(4, range(40)), (None, range(5)), (None, range(70)), (-1, [2, 1]), (None, []), (2, [])],
    "images without date": [(2, [3, None, 1]), (1, [None, 9, None]), (2, [None, 2]), (1, range(64))],
    "negative localids": [(3, range(40)), (-1, range(30)), (-(2**63), range(2))],
}


def scattered(rng, n, samples):
    """One observation per example, with samples and dates in random order and up to four equal dates."""
    return [(int(rng.integers(samples)), [int(rng.integers(n // samples // 4 + 1))]) for _ in range(n)]


@pytest.fixture
def store(format, tmp_path):
    return container(format, tmp_path / "store")


@pytest.fixture
def small_window(monkeypatch):
    monkeypatch.setattr(unit_writer, "WINDOW_OBS", WINDOW)


def assert_written(content, source, *, passes):
    """Assert that the unit equals one full sort of the source, and that its summary is correct."""
    unit = plain.arrays(content.path)
    plain.assert_same(unit, expected(source))
    assert content.digest == plain.unit_digest(unit)
    assert content.passes == passes
    assert (content.samples, content.observations) == (len(unit["localid"]), len(unit["time"]))
    times, labels = [day for day in unit["time"].tolist() if day != NO_DAY], unit["label"].ravel().tolist()
    assert (content.time_first, content.time_last) == ((min(times), max(times)) if times else (None, None))
    assert content.label_count == tuple(labels.count(k) for k in range(6))
    assert content.bytes == sum(len(data) for data in plain.file_bytes(content.path).values())


@pytest.mark.parametrize("groups", SORTED.values(), ids=SORTED)
def test_sorted_samples_are_written_in_one_pass(store, tmp_path, rng, groups):
    source = table(rng, groups)
    assert_written(write(store, tmp_path / "unit", source), source, passes=1)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("groups", UNSORTED.values(), ids=UNSORTED)
def test_unsorted_samples_are_sorted_in_a_second_pass(store, tmp_path, rng, groups):
    source = table(rng, groups)
    assert_written(write(store, tmp_path / "unit", source), source, passes=2)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("n", [3 * WINDOW, 3 * WINDOW + 1, 4 * WINDOW - 1])
def test_observations_scattered_over_several_windows_are_sorted(store, tmp_path, rng, n):
    source = table(rng, scattered(rng, n, samples=5))
    assert_written(write(store, tmp_path / "unit", source), source, passes=2)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("seed", range(8))
def test_random_orders_are_sorted(store, tmp_path, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.choice([0, 0, 1, 2, 16, 31, 32, 33, 64, 65], rng.integers(2, 12))
    groups = [(int(rng.integers(-3, 3)), rng.integers(0, 12, n).tolist()) for n in sizes]
    groups += [(5, [1]), (4, [0])]
    source = table(rng, groups)
    assert_written(write(store, tmp_path / "unit", source), source, passes=2)


def test_full_size_windows_and_several_shards_are_sorted(store, tmp_path, rng):
    n = 2 * unit_writer.WINDOW_OBS + 1
    source = table(rng, scattered(rng, n, samples=40), sparse=True)
    assert_written(write(store, tmp_path / "unit", source), source, passes=2)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize(("groups", "passes"), [([(1, range(50)), (2, [])], 1), ([(2, range(50)), (1, range(50))], 2)])
@pytest.mark.parametrize("side", [2, 6, 42])
def test_several_labels_per_image_are_stored_as_k_by_k(store, tmp_path, rng, groups, passes, side):
    source = table(rng, groups, label_side=side)
    content = write(store, tmp_path / "unit", source)
    assert_written(content, source, passes=passes)
    assert plain.arrays(content.path)["label"].shape[1:] == (side, side)


@pytest.mark.parametrize("groups", [[(1, range(40))], [(2, range(20)), (1, range(20))]], ids=["one pass", "two passes"])
def test_extreme_values_are_stored_unchanged(store, tmp_path, rng, groups):
    source = table(rng, groups)
    image, weight, label = (source.columns[name] for name in ("image", "weight", "label"))
    image[::2], image[1::2] = 0, 65535
    weight[:5] = np.nan, -0.0, np.inf, -1, np.float32(1e-45)
    label[:4] = -128, 127, -1, 6
    content = write(store, tmp_path / "unit", source)
    plain.assert_same(plain.arrays(content.path), expected(source))
    assert sum(content.label_count) == np.count_nonzero((label >= 0) & (label < 6))


@pytest.mark.parametrize("order", ["big-endian", "fortran", "every second", "read-only"])
def test_images_may_have_any_memory_order(store, tmp_path, rng, order):
    change = {
        "big-endian": lambda a: a.astype(">u2"),
        "fortran": np.asfortranarray,
        "every second": lambda a: np.repeat(a, 2, axis=0)[::2],
        "read-only": lambda a: np.frombuffer(a.tobytes(), "<u2").reshape(a.shape),
    }[order]
    source = table(rng, [(1, range(40)), (2, range(100))])
    changed = [Series(**{**vars(one), "images": tuple(change(image) for image in one.images)}) for one in rows(source)]
    content = write(store, tmp_path / "unit", source, given=changed)
    plain.assert_same(plain.arrays(content.path), expected(source))


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("groups", [[(1, range(100)), (2, range(99))], UNSORTED["groups interleaved"]])
@pytest.mark.parametrize(
    ("format", "codec"), [("zarr", "balanced"), ("zarr", "fast"), ("hdf5", "gzip"), ("hdf5", "blosc")]
)
def test_the_number_of_cores_does_not_change_the_files(format, codec, tmp_path, rng, groups):
    source, files = table(rng, groups), []
    for cores in (1, 2, 5):
        folder = tmp_path / str(cores)
        folder.mkdir()
        content = write(container(format, folder / "store", codec), folder / "unit", source, cores=cores)
        files.append(plain.file_bytes(content.path))
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize("cores", [1, 2])
def test_one_core_uses_the_calling_thread_and_more_cores_use_threads(store, tmp_path, rng, cores, monkeypatch):
    here, at_work = threading.get_ident(), set()
    kind = type(store.codec)

    def recorded(work):
        def call(*args):
            at_work.add(threading.get_ident())
            return work(*args)

        return call

    monkeypatch.setattr(kind, "encode", recorded(kind.encode))
    monkeypatch.setattr(kind, "decode_into", recorded(kind.decode_into))
    monkeypatch.setattr(ImageDigests, "image", recorded(ImageDigests.image))
    write(store, tmp_path / "unit", table(rng, [(2, range(400)), (1, range(400))]), cores=cores)
    assert at_work == {here} if cores == 1 else len(at_work - {here}) > 1
    assert (here in at_work) == (cores == 1)


@pytest.mark.parametrize("groups", [[(1, range(40))], [(2, range(20)), (1, range(20))]], ids=["one pass", "two passes"])
def test_only_the_finished_unit_is_left_in_the_work_folder(store, tmp_path, rng, groups):
    content = write_work(store, table(rng, groups))
    assert list(tmp_path.iterdir()) == [work(store, content)]
    for key in work_keys(UNIT):
        store.discard(key)
    assert not list(tmp_path.iterdir())


class Broken(Exception):
    pass


def fail(*args):
    raise Broken


def s2ct_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("s2ct-work")]


def open_below(folder):
    """Files below ``folder`` that this process has open; empty on systems without /proc."""
    descriptors = Path("/proc/self/fd")
    links = [link.readlink() for link in descriptors.iterdir() if link.is_symlink()] if descriptors.exists() else []
    return [path for path in links if path.is_relative_to(folder)]


@pytest.mark.every_variant
@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("broken", ["encode", "decode_into"])
def test_an_error_is_raised_and_close_frees_threads_and_files(store, tmp_path, rng, monkeypatch, broken, cores):
    monkeypatch.setattr(type(store.codec), broken, fail)
    source = table(rng, [(2, range(40)), (1, range(40))])
    with closing(UnitWriter(store, UNIT, cores)) as writer, pytest.raises(Broken):
        for one in rows(source):
            writer.append(one)
        writer.finish(unit_table(source), {})
    assert not s2ct_threads()
    assert not open_below(tmp_path)
