"""The unpacked size of a TFRecord gives the number of observations exactly, or no number at all."""

from __future__ import annotations

import numpy as np
import pytest
from makers import random_group, tfrecord_bytes

from s2ct_convert.peeking.layout import OBS_BYTES, Layout, overhead, read_layout

MANY = [71, 100, 62, 80, 95, 100, 33, 100] * 100  # 800 examples


def size_of(sizes: list[int], localid: int = 300) -> int:
    return sum(OBS_BYTES * n + overhead(n, localid) for n in sizes)


@pytest.mark.parametrize(("n", "localid"), [(1, 0), (2, 127), (15, 128), (16, 5), (32, 16384), (100, 300)])
def test_the_overhead_of_an_example_is_that_of_the_format(rng, n, localid):
    assert size_of([n], localid) == len(tfrecord_bytes([random_group(rng, localid, n)]))


@pytest.mark.parametrize("sizes", [[1], [3, 1, 2], [86, 85, 62, 62, 64, 95, 71], MANY], ids=len)
def test_examples_with_one_label_are_counted_exactly(sizes):
    found = read_layout(size_of(sizes), len(sizes))
    assert (found.observations, found.counts) == (sum(sizes), "examples")


@pytest.mark.parametrize("sizes", [[1], [3, 1, 2], [86, 85, 62, 62, 64, 95, 71]], ids=len)
@pytest.mark.parametrize("more", [35, -4], ids=["36 labels", "no weights"])
def test_another_layout_gives_no_number(sizes, more):
    found = read_layout(size_of(sizes) + more * sum(sizes) - (20 * len(sizes) if more < 0 else 0), len(sizes))
    assert (found.observations, found.counts, found.by_chance) == (None, None, None)


def test_a_number_too_small_for_examples_counts_samples_probably():
    sizes = [100, 100, 9, 80]
    found = read_layout(size_of(sizes), 2)
    assert (found.observations, found.counts) == (289, "samples")
    assert found.per_number == pytest.approx(sum(sizes) / 2, abs=0.1)
    assert read_layout(size_of([*sizes, 3]), 2).observations is None


@pytest.mark.parametrize("examples", [2, 3])
def test_samples_of_equally_many_examples_are_counted_exactly(examples):
    sizes = [100] * (examples - 1) + [42]
    found = read_layout(size_of(sizes * 40), 40)
    assert (found.observations, found.counts) == (40 * sum(sizes), "samples")


def test_a_number_of_observations_is_recognised():
    found = read_layout(size_of(MANY), sum(MANY))
    assert (found.observations, found.counts) == (sum(MANY), "observations")


@pytest.mark.parametrize("number", [None, 0])
def test_without_a_number_nothing_is_known(number):
    assert read_layout(size_of([3]), number) == Layout()


@pytest.mark.parametrize(("examples", "share"), [(7, 0.003), (400, 0.165)])
def test_the_share_of_sizes_that_fit_by_chance_is_stated(examples, share):
    rng = np.random.default_rng(5)
    sizes = examples * OBS_BYTES * 71 + rng.integers(0, 2 * OBS_BYTES, 500)
    found = [read_layout(size, examples) for size in sizes.tolist()]
    fitting = [one.by_chance for one in found if one.observations is not None]
    assert len(fitting) / len(sizes) == pytest.approx(share, abs=0.05)
    assert fitting == [pytest.approx(share, abs=0.01)] * len(fitting)
