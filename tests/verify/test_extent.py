"""A unit says where its tile is, the root where all tiles are; verification finds a wrong place."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import plain
import pytest
from makers import random_group, write_tfrecord

import s2ct_convert
from s2ct_convert.reading.groups import read_all
from s2ct_convert.reading.opening import open_to_verify
from s2ct_convert.store.digest import tables_digest
from s2ct_convert.store.extent import EXTENT_NAMES, tile_extent
from s2ct_convert.tiles import locate_tile
from s2ct_convert.verify.store import verify_store

UNIT = "train/50SMG"


def extent(path: Path, group: str = "") -> dict[str, Any]:
    return {name: value for name, value in plain.attributes(path, group).items() if name.startswith("geospatial")}


@pytest.mark.parametrize("kind", ["zarr", "h5", "linked"])
def test_units_and_root_have_the_place_of_their_tiles(made, kind):
    path = made[kind]
    smg, rgn = (locate_tile(name) for name in ("50SMG", "49RGN"))
    assert smg and rgn
    for group, area in ((UNIT, smg), ("val/50SMG", smg), ("train/49RGN", rgn)):
        found = extent(path, group)
        west, south, east, north = area.bounds
        assert tuple(found[name] for name in EXTENT_NAMES[:4]) == (south, north, west, east)
        corners = ", ".join(f"{lat:.6f} {lon:.6f}" for lon, lat in (*area.corners, area.corners[0]))
        assert (found["geospatial_bounds"], found["geospatial_bounds_crs"]) == (f"POLYGON (({corners}))", "EPSG:4326")
    whole = extent(path)
    limits = rgn.bounds[1], smg.bounds[3], rgn.bounds[0], smg.bounds[2]
    assert tuple(whole[name] for name in EXTENT_NAMES[:4]) == limits
    assert whole["geospatial_bounds"].startswith(f"POLYGON (({rgn.bounds[1]:.6f} {rgn.bounds[0]:.6f}, ")


def forged(original: Path, folder: Path, group: str, **changes: Any) -> list[str]:
    """Change attributes of a copy of an HDF5 store, compute their digest again as a careful forger does, and verify."""
    path = Path(shutil.copy(original, folder))

    def write(values: dict[str, Any]) -> None:
        with h5py.File(path, "r+") as file:
            for name, value in values.items():
                if value is None:
                    del file[group or "/"].attrs[name]
                else:
                    file[group or "/"].attrs[name] = value

    write(changes)
    with open_to_verify(path) as store:
        node = store.tree.group(group or "index")
        attributes = node.attributes if group else store.attributes
        digest = tables_digest(attributes, read_all(node))
    write({"tables_digest": np.bytes_(digest)})
    return list(map(str, verify_store(path).findings))


@pytest.mark.parametrize(("group", "what"), [(UNIT, "the name of the tile"), ("", "the list of tiles")])
def test_a_wrong_place_is_found_even_with_a_correct_digest(made, tmp_path, group, what):
    right = extent(made["h5"], group)["geospatial_lat_min"]
    findings = forged(made["h5"], tmp_path, group, geospatial_lat_min=12.5)
    where = f"{group}: " if group else ""
    assert findings == [f"{where}geospatial_lat_min is 12.5, but {what} gives {right}"]


@pytest.mark.slow
def test_a_place_that_is_half_there_is_found(made, tmp_path):
    (finding,) = forged(made["h5"], tmp_path, UNIT, geospatial_bounds=None)
    assert finding.startswith(f"{UNIT}: geospatial_bounds is None, but the name of the tile gives POLYGON ((")


@pytest.mark.slow
def test_a_store_without_places_as_earlier_versions_wrote_it_is_valid(made, tmp_path):
    assert forged(made["h5"], tmp_path, UNIT, **dict.fromkeys(EXTENT_NAMES)) == []


@pytest.mark.slow
def test_a_tile_without_a_known_place_leaves_it_out(tmp_path):
    rng = np.random.default_rng(2)
    names = ("train_50SMG", "train_SITE7")
    sources = [write_tfrecord(tmp_path, [random_group(rng, 1, 2)], unit=name) for name in names]
    path = tmp_path / "x.zarr"
    s2ct_convert.convert(sources, path, jobs=1)
    assert extent(path, UNIT)
    assert extent(path, "train/SITE7") == extent(path) == {}  # the root would say less than its units
    assert verify_store(path).ok
    samples = s2ct_convert.open_store(path).samples
    area = locate_tile("50SMG")
    assert area
    for name, expected in zip(("tile_lon", "tile_lat"), area.centre, strict=True):
        assert samples[name].tolist() == pytest.approx([expected, np.nan], nan_ok=True)
        assert samples.where(tile="50SMG")[name].tolist() == [expected]


def test_a_tile_across_180_degrees_has_limits_and_no_polygon():
    found = tile_extent(locate_tile("01VCG"))
    assert list(found) == list(EXTENT_NAMES[:4])
    assert found["geospatial_lon_min"] == 179.370638 > found["geospatial_lon_max"] == -178.590473
