"""Assigns TFRecords to units: joins shards, finds copies, and keeps one source for each unit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from ..errors import BadName, DuplicateUnit, S2ctError, ShardsMissing, WrongUsage, from_os_error
from ..names import FORM, SourceName, UnitName
from .found import UNKNOWN, Found, FoundTFRecord, Part, Source, Unusable
from .rivals import best_first
from .same import same_content


def settle(tfrecords: Sequence[FoundTFRecord], found: Found, unit: UnitName | None) -> Found:
    """Add the sources that the TFRecords make to ``found``; ``unit`` is the unit given by ``--as``.

    Raises
    ------
    WrongUsage
        If ``unit`` fits several sources, or none.
    """
    if unit is not None:
        tfrecords = _name_one(tfrecords, found, unit)
    named: dict[UnitName, list[tuple[SourceName, FoundTFRecord]]] = {}
    for tfrecord in tfrecords:
        if tfrecord.name is None:
            found.unusable.append(Unusable(tfrecord.part.path, None, _nameless(tfrecord)))
        else:
            named.setdefault(tfrecord.name.unit, []).append((tfrecord.name, tfrecord))
    for name, of_unit in sorted(named.items()):
        found.sources += _one_source(name, of_unit, found)
    there = {source.unit for source in found.sources}
    found.unusable = [
        Unusable(one.path, None, one.error, one.unit) if one.unit in there else one for one in found.unusable
    ]
    return found


def _name_one(tfrecords: Sequence[FoundTFRecord], found: Found, unit: UnitName) -> list[FoundTFRecord]:
    nameless = [one for one in tfrecords if one.name is None]
    chosen = nameless or list(tfrecords)
    if len(chosen) != 1:
        raise WrongUsage(
            "--as needs exactly one source to name",
            expected="one source whose name does not give its unit, or one source in all",
            found=", ".join(one.part.where for one in chosen[:5]) or "no TFRecord and no archive with one",
            todo="give the sources one by one, each with its own --as SPLIT/TILE",
        )
    name = chosen[0].name
    if name and name.unit != unit:
        found.notes.append(f"{chosen[0].part.where}: taken as {unit} as requested, but its name says {name.unit}")
    named = FoundTFRecord(chosen[0].part, SourceName(unit, name.count if name else None))
    return [named if one is chosen[0] else one for one in tfrecords]


def _nameless(tfrecord: FoundTFRecord) -> BadName:
    inside = (
        "neither the name of the archive nor the name of the file in it gives"
        if tfrecord.part.member is not None
        else "the name does not give"
    )
    return BadName(
        f"not understood: {inside} a unit",
        where=str(tfrecord.part.path),
        expected=FORM,
        found=f"a TFRecord named {tfrecord.part.member or tfrecord.part.path.name!r}",
        todo="name the unit with --as SPLIT/TILE, for example --as train/50SMG",
    )


def _one_source(unit: UnitName, of_unit: list[tuple[SourceName, FoundTFRecord]], found: Found) -> list[Source]:
    """The source of a unit, if one is whole. The others become notes or unusable files."""
    of_unit.sort(
        key=lambda one: (
            one[1].part.member == UNKNOWN,  # damaged
            one[0].copy,
            str(one[1].part.path),
            one[1].part.member or "",
        )
    )
    sources = [
        Source(unit, name.count, tfrecord.part.path, tfrecord.part.member)
        for name, tfrecord in of_unit
        if name.shard is None
    ]
    sizes = sorted({name.shard[1] for name, _ in of_unit if name.shard})
    for size in sizes:
        shards = [(n, c) for n, c in of_unit if n.shard and n.shard[1] == size]
        sources += _joined(unit, size, shards, found)
    if not sources:
        return []
    first, copies = _first_and_copies(sources, found)
    return [dataclasses.replace(first, copies=(*first.copies, *copies))]


def _first_and_copies(sources: Sequence[Source], found: Found) -> tuple[Source, list[Source]]:
    """The source to read of several of one unit, and those with the same content. The others become unusable files."""
    (first, *others), faults = best_first(sources)
    for source in [source for source in others if source in faults]:
        others.remove(source)
        found.notes.append(f"{_place(source)} is damaged: {first.unit} is read from {_place(first)} instead")
        found.unusable.append(Unusable(source.path, None, faults[source], first.unit))
    return first, [source for source in others if _is_copy(first, source, found)]


def _is_copy(kept: Source, source: Source, found: Found) -> bool:
    """Whether a second source of a unit has the same content. Adds a note if it has, else an unusable file."""
    try:
        if same_content(kept, source):
            found.notes.append(f"{_place(source)}: the same content as {_place(kept)}, which is read")
            return True
        error: S2ctError = duplicate(kept, source)
    except S2ctError as failed:
        error = failed
    except OSError as failed:
        error = from_os_error(failed, str(source.path))
    found.unusable.append(Unusable(source.path, None, error, source.unit))
    return False


def duplicate(kept: Source, other: Source) -> DuplicateUnit:
    """The error for a second source of a unit."""
    return DuplicateUnit(
        f"another source of unit {kept.unit}, with different content",
        where=_place(other),
        expected=f"one source for each unit; {_place(kept)} is used",
        todo="remove one of the two, or give this one alone with --as SPLIT/TILE to make it another unit",
    )


def _place(source: Source) -> str:
    return f"{source.path}: {source.member}" if source.member else str(source.path)


def _joined(
    unit: UnitName, size: int, shards: Iterable[tuple[SourceName, FoundTFRecord]], found: Found
) -> list[Source]:
    """One source from the shards of a TFRecord; none if a shard is missing."""
    given: dict[int, list[Source]] = {}
    for name, tfrecord in shards:
        shard = Source(unit, name.count, tfrecord.part.path, tfrecord.part.member)
        given.setdefault(name.shard[0] if name.shard else 0, []).append(shard)
    by_number: dict[int, Source] = {}
    second: dict[int, Part] = {}  # copies of shards
    for number, several in given.items():
        by_number[number], copied = _first_and_copies(several, found)
        if copied:
            second[number] = copied[0].parts[0]
    numbers = sorted(by_number)
    base = 1 if numbers[0] == 1 and numbers[-1] == size else 0  # TensorFlow counts shards from 0
    missing = sorted(set(range(base, size + base)) - set(numbers))
    first = by_number[numbers[0]].parts[0]
    if missing or numbers[-1] >= size + base:
        error = ShardsMissing(
            f"{len(missing)} of {size} shards of unit {unit} are missing",
            where=first.where,
            expected=f"shards {base} to {size + base - 1}",
            found=f"shards {', '.join(map(str, numbers))}; missing: {', '.join(map(str, missing)) or 'none'}",
            todo="put all shards into one folder, or give all of them",
        )
        found.unusable.append(Unusable(first.path, unit, error))
        return []
    ordered = [by_number[number] for number in numbers]
    counts = [shard.name_count for shard in ordered]
    known = [count for count in counts if count is not None]
    total = None if not known else known[0] if len(set(counts)) == 1 else sum(known)
    if size > 1:
        more = f"{size - 1} more shard{'' if size == 2 else 's'}"
        found.notes.append(f"{first.where}: joined with {more} to {unit}")
    source = _of_parts(unit, total, [shard.parts[0] for shard in ordered])
    copies = [second.get(number, by_number[number].parts[0]) for number in numbers]
    return [dataclasses.replace(source, copies=(_of_parts(unit, total, copies),) if second else ())]


def _of_parts(unit: UnitName, count: int | None, parts: Sequence[Part]) -> Source:
    first, *more = parts
    return Source(unit, count, first.path, first.member, tuple(more))
