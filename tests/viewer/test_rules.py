"""The page and Python have one stretch, one palette and one set of rules: the page's own code runs under Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest

import s2ct_convert
from s2ct_convert.errors import WrongUsage
from s2ct_convert.pictures.palette import CLASSES, FALSE_COLOUR, TRUE_COLOUR
from s2ct_convert.pictures.stretch import stretch_for
from s2ct_convert.viewer.suspicion import POINTS, find_suspicious, spectra, suspicions

SCRIPT = Path(__file__).with_name("rules.mjs")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def of_the_page(folder: Path, image: np.ndarray, labels: list[int]) -> dict[str, Any]:
    image.astype("<u2").tofile(folder / "images.bin")
    (folder / "labels.json").write_text(json.dumps(labels))
    done = subprocess.run(["node", SCRIPT, folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_same(folder: Path, image: np.ndarray, labels: list[int]) -> set[str]:
    """Compare all that the page makes of a sample with Python; the rules that it meets."""
    page = of_the_page(folder, image, labels)
    stretch = stretch_for(image, np.array(labels, np.int8))
    assert page["stretch"] == np.stack([stretch.low, stretch.high, stretch.top], axis=1).tolist()
    painted = np.fromfile(folder / "painted.bin", np.uint8).reshape(2, len(labels), 42, 42, 4)[..., :3]
    for found, composite in zip(painted, (TRUE_COLOUR, FALSE_COLOUR), strict=True):
        assert np.array_equal(found, stretch.rgb(image, composite))
    spectrum = spectra(image)
    assert page["spectrum"] == spectrum.ravel().tolist()
    rules = suspicions(spectrum, labels)
    assert page["suspicions"] == [list(one) for one in rules]
    assert page["points"] == POINTS
    assert page["classes"] == [{"name": one.name, "color": one.color, "mark": one.mark} for one in CLASSES]
    assert page["crc"] == google_crc32c.value(image.astype("<u2").tobytes()[1:])
    return {name for one in rules for name in one}


def suspicious_series(rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """A series with each rule in it: clear and white, cloud and like the ground, alone between equal neighbours."""
    labels = [0, 0, 0, 0, 1, 1, 2, 1, 5, 0, 0, 3]
    ground = rng.integers(300, 1200, (4, 42, 42))
    image = np.repeat(ground[None], len(labels), axis=0) + rng.integers(0, 40, (len(labels), 4, 42, 42))
    image[4:7] = rng.integers(5000, 8000, (3, 4, 42, 42))
    image[10] = 6000 + rng.integers(0, 300, (4, 42, 42))
    return image.astype(np.uint16), labels


@needs_node
def test_every_rule_and_the_stretch_are_the_same_in_the_page(rng, tmp_path):
    assert assert_same(tmp_path, *suspicious_series(rng)) == {"bright", "like_clear", "alone"}


@needs_node
@pytest.mark.slow
def test_samples_and_noise_look_the_same_in_the_page(rng, sample_stores, tmp_path):
    with s2ct_convert.open_store(sample_stores["zarr"]) as store:
        for row in store.samples:
            sample = store[f"{row['split']}/{row['tile']}"].sample(int(row["localid"]))
            assert_same(tmp_path, sample.image, sample.label.tolist())
    for n in (1, 2, 5):
        labels = rng.integers(-1, 6, n).tolist()
        assert_same(tmp_path, rng.integers(0, 65536, (n, 4, 42, 42)).astype(np.uint16), labels)
        assert_same(tmp_path, np.full((n, 4, 42, 42), 65535, np.uint16), labels)


def test_find_suspicious_names_the_observations_and_their_rules(sample_stores):
    found = list(find_suspicious(sample_stores["zarr"], tiles=["31TCJ"], splits=["train"]))
    assert found and {one.unit for one in found} == {"train/31TCJ"}
    with s2ct_convert.open_store(sample_stores["h5"]) as store:
        unit = store["train/31TCJ"]
        for one in found:
            rows = unit.rows(one.localid)
            rules = suspicions(spectra(unit.sample(one.localid).image), unit.label[rows].tolist())[one.obs - rows.start]
            assert (one.rules, one.points) == (rules, sum(POINTS[rule] for rule in rules))
            assert one.label == unit.label[one.obs]
    with pytest.raises(WrongUsage, match="no such units"):
        list(find_suspicious(sample_stores["zarr"], tiles=["50SMG"]))
