"""Tables, facts and lines: whole without a terminal, never wider than a terminal."""

from __future__ import annotations

import os

import pytest

from s2ct_convert.show.tables import Column, fact_lines, table_lines
from s2ct_convert.show.terminal import error_lines, line_of, make_console, note_lines, shorten

COLUMNS = [
    Column("unit", left=True),
    Column("source", left=True, name=True),
    Column("size"),
    Column("md5", detail=True, part=1),
    Column("remarks", left=True, text=True, part=1),
]
LONG = "archives/of/a/record/train_50SMG_462.7z"
ROWS = [("train/50SMG", LONG, "548.3 MB", 32 * "a", "the worker process died, and s2ct made the unit once more")] * 2
DIGEST = f"sha256:{64 * '0'}"


def test_a_table_in_a_pipe_is_whole():
    lines = table_lines(COLUMNS, ROWS, None)
    assert len(lines) == 3
    assert all(all(cell in line for cell in ROWS[0]) for line in lines[1:])


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("width", [50, 80, 120, 400])
def test_a_table_on_a_terminal_fits_the_width(width, verbose):
    lines = table_lines(COLUMNS, ROWS, width, verbose=verbose)
    assert max(map(len, lines)) <= width
    assert (32 * "a" in "\n".join(lines)) == verbose
    text = " ".join(" ".join(lines).split())
    assert "train/50SMG" in text
    assert LONG in text if width == 400 else "_462.7z" in text


def test_a_table_that_is_too_wide_comes_in_parts_with_their_keys():
    columns = [Column("unit", left=True), *(Column(name) for name in "ab"), *(Column(name, part=1) for name in "cd")]
    rows = [("train/50SMG", *4 * ["1,234,567"])]
    lines = table_lines(columns, rows, 40)
    heads = [line.split() for line in lines[::3]]
    assert heads == [["unit", "a", "b"], ["unit", "c", "d"]]
    assert table_lines(columns, rows, 80)[0].split() == ["unit", *"abcd"]


def test_a_digest_that_does_not_fit_has_a_line_of_its_own():
    facts = [("observations", "57,000"), ("digest", DIGEST)]
    assert fact_lines(facts, 80) == ["observations  57,000", "digest", f"  {DIGEST}"]
    assert fact_lines(facts, 120)[1] == f"digest        {DIGEST}"
    assert fact_lines(facts, None)[1] == f"digest        {DIGEST}"


def test_a_long_fact_is_wrapped_between_words():
    lines = fact_lines([("store", "x.zarr"), ("notes", "one word after another " * 9)], 40)
    assert max(map(len, lines)) <= 40
    assert lines[2].startswith("       ")
    assert " ".join(" ".join(lines).split()).count("one word after another") == 9


@pytest.mark.parametrize(
    ("name", "room", "shown"),
    [
        ("train_50SMG_462.7z", 18, "train_50SMG_462.7z"),
        ("train_50SMG_462.7z", 17, "train_50S…_462.7z"),
        ("train_50SMG_462.7z", 2, "t…"),
        ("archives/of/a/record/val_50SMG_35.7z", 24, "archive…/val_50SMG_35.7z"),
        (LONG, None, LONG),
    ],
)
def test_a_name_is_shortened_in_the_middle(name, room, shown):
    assert shorten(name, room) == shown


def test_a_line_with_a_name_fits_the_width():
    assert len(line_of(LONG, ": 24 examples, 1.2 MB", 50, "ok  ")) == 50
    assert line_of(LONG, ": 24 examples", None, "ok  ") == f"ok  {LONG}: 24 examples"


def test_a_closed_pipe_is_an_error_that_the_command_line_knows():
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        make_console(file=os.fdopen(writer, "w", buffering=1)).print("text")


def test_errors_break_between_words_and_commands_stay_whole():
    command = (
        "  to do:    s2ct convert archives/ a-very-long-name.zarr --format zarr --codec balanced --overwrite-unit x"
    )
    lines = error_lines(f"s2ct: {'words ' * 20}\n{command}", 40)
    assert command in lines
    assert all(len(line) <= 40 for line in lines if line != command)


NOTE = "note: /data/archives: skipped base_scenes.npz, cases.json and 3 more, neither .7z nor TFRecord"


@pytest.mark.parametrize(("width", "lines"), [(None, 1), (80, 2), (120, 1)])
def test_a_note_is_broken_between_words_on_a_terminal(width, lines):
    parts = note_lines(NOTE, width)
    assert (" ".join(part.strip() for part in parts), len(parts)) == (NOTE, lines)


def test_a_line_with_a_command_or_a_name_stays_whole():
    for line in (f"{NOTE}; run s2ct verify sources /data/archives", NOTE.removeprefix("note: ")):
        assert note_lines(line, 80) == [line]
