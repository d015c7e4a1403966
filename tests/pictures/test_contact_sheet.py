"""Contact sheets, read back: the right colours are in the right places."""

from __future__ import annotations

import re

import numpy as np
import pytest

from s2ct_convert import Sample
from s2ct_convert.pictures.contact_sheet import draw_contact_sheet
from s2ct_convert.pictures.palette import CLASSES
from s2ct_convert.pictures.sheet import Sheet

from .pictures import BRIGHT, DARK, find, flat, hex_rgb, read, sample

TOP = 140  # y of the first pictures, below the legend
D, B = DARK, BRIGHT
RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)


def draw(series: Sample, *, limit: int = 48, suffix: str = ".png") -> bytes:
    return draw_contact_sheet(
        series, unit="train/50SMG", localid=7, store="x.zarr", why="as requested", limit=limit, suffix=suffix
    )


def patches(picture: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each patch, in reading order: patches are where rows and columns are not white."""
    body = (picture[TOP:] != 255).any(-1)
    out = []
    for top, bottom in runs(body[:, 62:].mean(1) > 0.15):
        if bottom - top > 100:
            columns = body[top:bottom, 62:].mean(0) > 0.5
            out += [(62 + left, TOP + top, 62 + right, TOP + bottom) for left, right in runs(columns)]
    return out


def runs(true: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All text on the sheets of a test."""
    drawn: list[str] = []
    write = Sheet.text

    def text(self: Sheet, x: float, y: float, words: str, **how: object) -> None:
        drawn.append(words)
        write(self, x, y, words, **how)

    monkeypatch.setattr(Sheet, "text", text)
    return drawn


class TestPatches:
    # B2 B3 B4 B8, colour above (B4 B3 B2), colour below (B8 B4 B3). The sheet is white, so no patch is.
    SEEN = (
        ((D, D, B, D), RED, GREEN),
        ((D, B, D, D), GREEN, BLUE),
        ((B, D, D, D), BLUE, BLACK),
        ((D, D, D, B), BLACK, RED),
        ((D, D, D, D), BLACK, BLACK),
    )

    def test_each_band_has_its_colour_in_both_composites(self):
        picture = read(draw(sample(flat(*(bands for bands, *_ in self.SEEN)))))
        places = patches(picture)
        assert len(places) == 10
        colours = [c for _, c, _ in self.SEEN] + [c for _, _, c in self.SEEN]
        for (left, top, right, bottom), colour in zip(places, colours, strict=True):
            # The pixels above and left of the small square.
            mean = picture[top + 5 : top + 60, left + 5 : left + 60].mean((0, 1))
            assert np.abs(mean - colour).max() < 2, (left, top, mean, colour)
            assert right - left == bottom - top
            assert (right - left) % 42 == 0

    def test_pixels_are_not_rotated_mirrored_or_smoothed(self):
        image = flat((D,) * 4, (D,) * 4)
        image[0, :, 3, 7] = B  # row 3, column 7
        picture = read(draw(sample(image)))
        (left, top, right, _), *_ = patches(picture)
        scale = (right - left) // 42
        patch = picture[top : top + 42 * scale, left:right]
        assert sorted(np.unique(find(patch, WHITE)[:, 0]).tolist()) == list(range(3 * scale, 4 * scale))
        assert sorted(np.unique(find(patch, WHITE)[:, 1]).tolist()) == list(range(7 * scale, 8 * scale))
        rest = np.delete(patch[: 17 * scale], np.s_[3 * scale : 4 * scale], axis=0)
        assert (rest == 0).all()

    def test_the_square_surrounds_the_centre_6_x_6_pixels(self):
        image = flat((D,) * 4, (D,) * 4)
        picture = read(draw(sample(image)))
        (left, top, right, _), *_ = patches(picture)
        scale = (right - left) // 42
        patch = picture[top : top + 42 * scale, left:right].max(-1)
        rows, columns = np.nonzero(patch > 100)
        for low, high in ((rows.min(), rows.max()), (columns.min(), columns.max())):
            assert abs(low - 18 * scale) <= 1
            assert abs(high + 1 - 24 * scale) <= 1
        inner = patch[18 * scale + 3 : 24 * scale - 3, 18 * scale + 3 : 24 * scale - 3]
        assert inner.size > 0
        assert (inner == 0).all()


class TestLabels:
    def test_each_label_has_its_colour_below_its_patches(self):
        order = [3, 0, 5, 2, 1, 4]
        picture = read(draw(sample(flat(*[(D,) * 4] * 6), np.array(order))))
        places = patches(picture)
        bottom = max(place[3] for place in places)
        for (left, _, right, _), label in zip(places[:6], order, strict=True):
            below = picture[bottom + 19 : bottom + 38, left + 2 : right - 2]
            share = len(find(below, hex_rgb(CLASSES[label].color))) / below[..., 0].size
            assert share > 0.5, label
            others = [one for k, one in enumerate(CLASSES) if k != label]
            assert all(len(find(below, hex_rgb(one.color))) < 0.05 * below[..., 0].size for one in others)

    def test_36_labels_are_drawn_as_a_map(self, words):
        label = np.zeros((2, 6, 6), np.int8)
        label[0, 0] = 5  # the upper row is snow
        label[1, :, 5] = 4  # the right column is shadow
        picture = read(draw(sample(flat((D,) * 4, (D,) * 4), label)))
        (first, _, _, bottom), (second, *_) = patches(picture)[2:]
        maps = [picture[bottom + 4 : bottom + 50, left : left + 40] for left in (first, second)]
        clear, snow = (find(maps[0], hex_rgb(CLASSES[k].color)) for k in (0, 5))
        assert snow[:, 0].max() <= clear[:, 0].min()
        assert np.ptp(snow[:, 1]) > 30
        assert 4 <= np.ptp(snow[:, 0]) <= 7
        clear, shadow = (find(maps[1], hex_rgb(CLASSES[k].color)) for k in (0, 4))
        assert shadow[:, 1].min() >= clear[:, 1].max()
        assert np.ptp(shadow[:, 0]) > 30
        assert 4 <= np.ptp(shadow[:, 1]) <= 7
        assert words.count("clear") == 2
        assert words.count("○ 30 of 36") == 2
        assert any("Each image has 36 labels" in one for one in words)

    def test_labels_outside_the_classes_are_shown_with_their_number(self, words):
        draw(sample(flat((D,) * 4, (D,) * 4, (D,) * 4), np.array([0, 9, -1])))
        assert {"label 9", "no label", "other labels  2"} <= set(words)


def test_pixels_labels_and_dates_stay_aligned_with_a_limit(words):
    image = flat(*[(D,) * 4] * 9)
    image[8, 2] = B  # the last one is red
    picture = read(draw(sample(image, np.array([1, 2, 2, 2, 2, 2, 2, 2, 5])), limit=2))
    places = patches(picture)
    assert len(places) == 4
    bottom = max(place[3] for place in places)
    for (left, top, right, _), label, colour in zip(places[:2], (1, 5), (BLACK, RED), strict=True):
        assert np.abs(picture[top + 5 : top + 60, left + 5 : left + 60].mean((0, 1)) - colour).max() < 2
        below = picture[bottom + 19 : bottom + 38, left + 2 : right - 2]
        assert len(find(below, hex_rgb(CLASSES[label].color))) > 0.5 * below[..., 0].size
    assert [word for word in words if re.fullmatch(r"\d{4}-\d\d-\d\d", word)] == ["2018-01-02", "2018-02-11"]


class TestTitle:
    def test_the_title_counts_shown_and_all_observations(self, words):
        draw(sample(flat(*[(D,) * 4] * 100)), limit=5)
        assert "5 of 100 observations, 2018-01-02 to 2019-05-12" in words
        dates = [word for word in words if re.fullmatch(r"\d{4}-\d\d-\d\d", word)]
        assert dates == ["2018-01-02", "2018-05-07", "2018-09-09", "2019-01-07", "2019-05-12"]

    @pytest.mark.parametrize(("n", "count"), [(1, "1 observation, "), (2, "2 observations, ")])
    def test_the_title_counts_all_observations_without_a_limit(self, words, n, count):
        draw(sample(flat(*[(D,) * 4] * n)))
        assert any(word.startswith(count) for word in words)

    def test_the_legend_counts_the_whole_sample(self, words):
        draw(sample(flat(*[(D,) * 4] * 9), np.array([0, 0, 0, 1, 1, 2, 3, 4, 5])), limit=2)
        assert {"clear  3", "opaque cloud  2", "thin cloud  1", "haze  1", "cloud shadow  1", "snow  1"} <= set(words)

    def test_the_caption_explains_the_stretch(self, words):
        draw(sample(flat(*[(D,) * 4] * 3), np.array([0, 0, 1])))
        caption = [word.replace("\u00a0", " ") for word in words]
        (scale,) = [line for line in caption if line.startswith("One brightness scale for all patches")]
        assert "set by the 2 clear observations. Black to white: B2 " in scale
        assert ", B8 " in scale, "one line"
        assert "false colour (NIR)" in caption
        assert "Sample 7 of train/50SMG in x.zarr: as requested." in " ".join(caption)


@pytest.mark.parametrize("n", [1, 2, 7, 12, 13, 25, 60])
def test_patches_have_one_size_and_nothing_is_clipped(n):
    picture = read(draw(sample(flat(*[(D,) * 4] * n)), limit=60))
    places = patches(picture)
    assert len(places) == 2 * n
    assert len({(right - left, bottom - top) for left, top, right, bottom in places}) == 1
    ink = np.argwhere((picture != 255).any(-1))
    assert ink.min() >= 20
    assert (np.array(picture.shape[:2]) - ink.max(0) >= 20).all()


def test_a_pdf_has_one_page_and_the_pixels_of_each_patch():
    series = sample(flat(*[(D,) * 4] * 6))
    pdf = draw(series, suffix=".pdf")
    height, width, _ = read(draw(series)).shape
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 1
    box = [float(n) for n in re.search(rb"/MediaBox \[([^\]]+)\]", pdf)[1].split()]
    assert box == pytest.approx([0, 0, 0.72 * width, 0.72 * height])
    assert len(re.findall(rb"/Width 42\b", pdf)) == len(re.findall(rb"/Height 42\b", pdf)) == 12


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
@pytest.mark.slow
def test_user_settings_of_matplotlib_do_not_change_the_bytes(suffix, rng):
    import matplotlib

    series = sample(rng.integers(0, 9000, (4, 4, 42, 42)), np.arange(4))
    first = draw(series, suffix=suffix)
    with matplotlib.rc_context({"font.family": "serif", "figure.dpi": 30, "savefig.bbox": "tight", "axes.grid": True}):
        assert draw(series, suffix=suffix) == first
        assert matplotlib.rcParams["savefig.bbox"] == "tight", "the user's settings stay"
    assert not re.search(rb"CreationDate|Software|tIME", first)


@pytest.mark.slow
def test_store_names_are_drawn_as_plain_text(words, recwarn):
    for store in ("a$b$c.zarr", r"$\frac{$.zarr", "云.zarr"):
        draw_contact_sheet(
            sample(flat((D,) * 4)), unit="train/50SMG", localid=7, store=store, why="x", limit=1, suffix=".png"
        )
        assert any(store in word for word in words)
    assert not recwarn.list
