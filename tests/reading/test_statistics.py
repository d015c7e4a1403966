"""Statistics agree with numpy in float64, and read only what they are asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from twins import SUFFIXES

from s2ct_convert.errors import StoreDamaged
from s2ct_convert.reading import statistics
from s2ct_convert.reading.opening import open_store
from s2ct_convert.reading.statistics import PERCENTILES, StatisticsProgress


@pytest.fixture(params=SUFFIXES)
def store(request, made):
    with open_store(made[request.param]) as opened:
        yield opened


def pixels_of(store, names, *, clear=False):
    """All pixels of units as float64, (band, pixel); of k x k labels, all must be clear."""
    parts = []
    for name in names:
        label = store[name].label.reshape(store[name].observations, -1)
        image = store[name]["image"][...]
        parts.append(image[(label == 0).all(axis=1)] if clear else image)
    return np.concatenate(parts).astype(np.float64).transpose(1, 0, 2, 3).reshape(4, -1)


def assert_agrees(found, pixels):
    assert found.histogram.sum(axis=1).tolist() == [pixels.shape[1]] * 4
    assert found.observations * 42 * 42 == pixels.shape[1]
    np.testing.assert_allclose(found.mean, pixels.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.std, pixels.std(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.percentiles, np.percentile(pixels, PERCENTILES, axis=1), rtol=1e-9)


@pytest.mark.parametrize("piece", [statistics.PIECE_OBS, 7])
@pytest.mark.every_variant
def test_statistics_are_those_of_numpy(store, piece, monkeypatch):
    monkeypatch.setattr(statistics, "PIECE_OBS", piece)
    names, found = ("train/49RGN", "train/50SMG"), store.statistics()
    assert_agrees(found.all, pixels_of(store, names))
    assert_agrees(found.clear, pixels_of(store, names, clear=True))
    labels = np.concatenate([store[name].label.ravel() for name in names])
    counts = [int((labels == number).sum()) for number in range(6)]
    assert found.class_counts.tolist() == counts
    np.testing.assert_allclose(found.class_weights, sum(counts) / (6 * np.array(counts)), rtol=1e-9)
    assert found.all.bands == ("B2", "B3", "B4", "B8")


def test_statistics_are_of_the_units_asked_for(store):
    assert_agrees(store.statistics("val").all, pixels_of(store, ["val/50SMG"]))
    assert_agrees(store.statistics(None, "50SMG").all, pixels_of(store, ["train/50SMG", "val/50SMG"]))
    selection = store.select(split="train", localid=[9, 412], label="snow")
    images = np.concatenate([one.image for one in selection]).astype(np.float64)
    assert_agrees(selection.statistics().all, images.transpose(1, 0, 2, 3).reshape(4, -1))
    with pytest.raises(KeyError, match="no split 'test'"):
        store.statistics("test")


def test_statistics_of_train_do_not_read_val(made, tmp_path):
    own = Path(shutil.copytree(made["zarr"], tmp_path / "own.zarr"))
    shutil.rmtree(own / "val/50SMG/image/c")
    with open_store(own) as store, open_store(made["zarr"]) as whole:
        np.testing.assert_array_equal(store.statistics().all.histogram, whole.statistics().all.histogram)
        with pytest.raises(StoreDamaged, match="this shard is missing"):
            store.statistics(None)


def test_progress_ends_with_all_observations(store, monkeypatch):
    monkeypatch.setattr(statistics, "PIECE_OBS", 32)
    events = []
    store.statistics(on_event=events.append)
    done = [event.done for event in events]
    assert all(isinstance(event, StatisticsProgress) and event.total == 201 for event in events)
    assert done == sorted(set(done)) and done[-1] == 201
    assert len(done) == 2 + 5  # units of 50 and 151 observations, 32 at once


def test_an_error_of_the_callback_ends_the_statistics(store):
    def stop(event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.statistics(on_event=stop)


def test_absent_classes_and_dates_have_no_statistics(store):
    found = store.select(split="val", label="snow").statistics()
    assert found.clear.observations == 0 and np.isnan(found.clear.mean).all()
    assert found.class_weights.tolist() == [0, 0, 0, 0, 0, 1]
    assert store.select(time="1999").statistics().all.observations == 0


def test_statistics_are_equal_if_the_same_pixels_and_labels_were_counted(store):
    found = store.statistics()
    assert found == store.statistics()
    assert found != store.statistics("val")
    assert found.all != store.statistics("val").all
    assert found != 1
