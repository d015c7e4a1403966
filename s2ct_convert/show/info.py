"""Print the documents of ``describe`` for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from ..dataset import DATASET
from ..gaps import Gap, gaps_from_values
from ..pictures.palette import CLASSES
from ..words import day, plural, size
from .gaps import gap_lines
from .tables import Column, fact_lines, print_facts, print_lines, print_table, table_lines
from .terminal import make_console, width_of, wrap

Document = dict[str, Any]

NO_BREAK = "\xa0"
BAR, MOST_BAR = 60, 100  # characters; a wide terminal gets more


def print_info(document: Document, *, verbose: bool = False) -> None:
    """Print what ``s2ct info`` found. ``verbose``: also what a terminal leaves out."""
    match document["format"]:
        case "7z":
            _print_archive(document)
        case "sources":
            _print_folder(document)
        case "tfrecord":
            _print_counted(document)
        case _:
            _print_store(document, verbose)


def print_units(units: list[Document], classes: Sequence[str] = DATASET.classes, *, one_table: bool = False) -> None:
    """Print one line per unit: counts, dates and the number of observations of each class.

    ``one_table``: on a terminal that is too narrow for all columns, leave out the classes.
    """
    columns = [Column("unit", left=True), *map(Column, ("samples", "observations", "first", "last"))]
    columns += [Column(name, part=1) for name in classes]
    rows = [
        [
            f"{unit['split']}/{unit['tile']}",
            f"{unit['samples']:,}",
            f"{unit['observations']:,}",
            day(unit["time_first"]),
            day(unit["time_last"]),
            *(f"{n:,}" for n in unit["label_count"]),
        ]
        for unit in units
    ]
    if one_table and len(table_lines(columns, rows, width_of(sys.stdout))) > len(rows) + 1:
        columns = columns[: -len(classes)]
    print_table(columns, [row[: len(columns)] for row in rows])


def print_shares(units: list[Document]) -> None:
    """Print one bar per unit with the shares of its labels: one letter per class, in colour on a colour terminal."""
    from rich.text import Text

    console = make_console(highlight=False)
    names = [f"{unit['split']}/{unit['tile']}" for unit in units]
    column, width = max(map(len, names)) + 2, width_of(sys.stdout)
    bar = BAR if width is None else min(max(width - column, 10), MOST_BAR)
    legend = ", ".join(f"{one.letter}{NO_BREAK}{one.name.replace(' ', NO_BREAK)}" for one in CLASSES)
    for words in wrap(f"{'unit'.ljust(column)}shares of the labels: {legend}", width, " " * column):
        console.print(words.replace(NO_BREAK, " "), markup=False, emoji=False, soft_wrap=True)
    for name, unit in zip(names, units, strict=True):
        line = Text(name.ljust(column))
        for one, width in zip(CLASSES, share_widths(unit["label_count"], bar), strict=True):
            line.append(one.letter * width, style=f"{one.ink} on {one.color}")
        console.print(line, soft_wrap=True)


def share_widths(counts: list[int], width: int) -> list[int]:
    """Divide a bar of ``width`` characters by ``counts``. Each class that occurs gets at least one character."""
    total = sum(counts)
    if not total:
        return [0] * len(counts)
    exact = [width * n / total for n in counts]
    parts = [max(int(share), 1) if share else 0 for share in exact]
    while sum(parts) < width:  # lengthen the part that is shortest for its share
        parts[max(range(len(parts)), key=lambda i: exact[i] - parts[i])] += 1
    while sum(parts) > width:  # shorten the part that is longest for its share, but never to zero
        parts[max((i for i, n in enumerate(parts) if n > 1), key=lambda i: parts[i] - exact[i])] -= 1
    return parts


def _print_store(document: Document, verbose: bool) -> None:
    facts = [
        ("store", document["path"]),
        *((("data set", document["dataset"]),) if "dataset" in document else ()),
        ("format", f"{document['format']}, {document['codec']}"),
        ("state", document["state"]),
        *((("size", size(document["bytes"])),) if document["bytes"] is not None else ()),
        ("holds", f"{plural(document['samples'], 'sample')}, {plural(document['observations'], 'observation')}"),
    ]
    facts += [("missing", " ".join(document["missing"]))] if document.get("missing") else []
    facts += [("refused", document["refused_sources"])] if document.get("refused_sources") else []
    facts += [("salvaged", " ".join(document["salvaged"]))] if document.get("salvaged") else []
    facts += [("digest", document["digest"])] if document["digest"] else []
    print_facts(facts)
    if document["units"]:
        has_letters = "classes" not in document  # letters and colours exist only for the default data set
        brief = width_of(sys.stdout) is not None and not verbose
        print()
        print_units(document["units"], document.get("classes", DATASET.classes), one_table=brief and has_letters)
        if has_letters:
            print()
            print_shares(document["units"])
        if not brief:
            print()
            _print_origins(document["units"])
        notes = [f"{unit['split']}/{unit['tile']}: {note}" for unit in document["units"] for note in unit["notes"]]
        if notes:
            print()
        print_lines(f"note  {note}" for note in notes)
        for unit in document["units"]:
            if unit.get("gaps") is not None:
                print()
                name = f"{unit['split']}/{unit['tile']}"
                print_lines(f"salvaged  {line}" for line in gap_lines(name, unit["examples"], _gaps(unit)))
        if brief:
            print_lines(["-v shows all: counts of labels, centres of tiles, sources, md5 sums, digests"])


def _gaps(unit: Document) -> tuple[Gap, ...]:
    return gaps_from_values(unit["gaps"])


def _print_origins(units: list[Document]) -> None:
    """The source of each unit; digests stand in a pipe in the same table, on a terminal on their own lines."""
    rows = [
        (f"{u['split']}/{u['tile']}", u["digest"], _centre(u), u["source_file"], u["source_md5"] or "-") for u in units
    ]
    width = width_of(sys.stdout)
    if width is None:
        heads = ("unit", "content digest", "centre of the tile", "source", "md5 of the source")
        print_table([Column(head, left=True) for head in heads], rows)
        return
    columns = [Column("unit", left=True), Column("centre of the tile", left=True)]
    columns += [Column("source", left=True, name=True)]
    columns += [Column("md5 of the source", left=True)]
    print_table(columns, [(unit, *rest) for unit, _, *rest in rows])
    print("\ncontent digests")
    for line in fact_lines([(unit, digest) for unit, digest, *_ in rows], width):
        print(line)


def _centre(unit: Document) -> str:
    """Latitude and longitude of the centre of a tile, or "-"."""
    lon, lat = unit["tile_lon"], unit["tile_lat"]
    if lon is None:
        return "-"
    return f"{abs(lat):.2f} {'N' if lat >= 0 else 'S'}, {abs(lon):.2f} {'E' if lon >= 0 else 'W'}"


def _print_archive(document: Document) -> None:
    print_facts(
        [
            ("archive", document["path"]),
            ("size", size(document["bytes"])),
            ("method", ", ".join(document["methods"])),
            ("blocks", _blocks(document)),
            *(("unit", f"{u['split']}/{u['tile']}, {_by_name(u['name_count'])}") for u in document["units"]),
        ]
    )
    print()
    print_table(
        [Column("file", left=True, name=True), *map(Column, ("size", "bytes", "crc32"))],
        ([f["name"], size(f["bytes"]), f"{f['bytes']:,}", f["crc32"] or "-"] for f in document["files"]),
    )


def _print_folder(document: Document) -> None:
    print_facts([("folder", document["path"]), ("sources", f"{len(document['units'])}, {size(document['bytes'])}")])
    print()
    print_table(
        [Column("unit", left=True), Column("file", left=True, name=True), Column("number in name")],
        ([f"{u['split']}/{u['tile']}", u["source_file"], _count(u["name_count"])] for u in document["units"]),
    )
    for problem in document["problems"]:
        print(f"\n{problem}")


def _print_counted(document: Document) -> None:
    (unit,) = document["units"]
    print_facts(
        [
            ("TFRecord", document["path"]),
            ("size", size(document["bytes"])),
            ("examples", f"{unit['examples']:,}{_counted(unit)}"),
            ("labels", f"{unit['label_side']} x {unit['label_side']} per image"),
            ("dates", unit["date_encoding"]),
            *(("note", f"{note['text']} ({note['first']})") for note in unit["notes"]),
        ]
    )
    print()
    print_units(document["units"])


def _count(n: int | None) -> str:
    """The number in a name, or "-" if there is none."""
    return "-" if n is None else f"{n:,}"


def _by_name(n: int | None) -> str:
    return "no number in its name" if n is None else f"the number in its name is {n:,}"


def _counted(unit: Document) -> str:
    """The number in the name, and what it counts."""
    if unit["name_count"] is None:
        return ""
    return f" (the number in its name, {unit['name_count']:,}, counts {unit['name_counts']})"


def _blocks(document: Document) -> str:
    """The number of 7z blocks, and of LZMA2 blocks, which can be unpacked in parallel."""
    inner = [file["lzma2_blocks"] for file in document["files"] if file["lzma2_blocks"]]
    parallel = f"; {plural(sum(inner), 'LZMA2 block')} for parallel unpacking" if inner else ""
    return f"{document['blocks']}{', solid' if document['solid'] else ''}{parallel}"
