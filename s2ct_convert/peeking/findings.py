"""Which assumptions about the record hold in a file that was looked at (docs/assumptions.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..archives.archive import Archive
from ..archives.unpackers import can_python
from ..dataset import DATASET
from ..names import stem, visible
from ..source.example import Example
from ..source.table import SourceTable
from ..words import plural
from .layout import MOST_OBS
from .parts import PeekedMember, PeekFinding

_NO_EXAMPLE = "no example was read"
_FORMS = {"labels_other_form", "labels_missing", "dates_other_form", "dates_none", "weights_other_form"}


def find(
    name: str, archive: Archive, members: Sequence[PeekedMember], examples: Sequence[Example], table: SourceTable | None
) -> tuple[PeekFinding, ...]:
    """Compare the headers and the first examples of the archive ``name`` with the assumptions."""
    table = table if examples else None
    return (*_in_header(name, archive, members, table), *_in_examples(examples, table))


def _in_header(
    name: str, archive: Archive, members: Sequence[PeekedMember], table: SourceTable | None
) -> Iterator[PeekFinding]:
    sources = [one for one in members if one.is_source]
    found = f"{plural(len(members), 'file')}, of which {plural(len(sources), 'TFRecord')}"
    yield PeekFinding("one_tfrecord", "one TFRecord and nothing else", len(members) == len(sources) == 1, found)
    first = sources[0] if sources else None
    same = None if first is None else stem(first.name) == stem(name)
    yield PeekFinding("member_name", "member named as its archive", same, visible(first.name) if first else "")
    python = all(can_python(one.methods) for one in archive.members)
    yield PeekFinding("method", "Python can unpack it", python, ", ".join(archive.methods))
    yield PeekFinding("number", "number in the name counts examples", *_number(first))
    yield PeekFinding("layout", "one label, date and weight each", *_layout(first, table))


def is_plain(examples: Sequence[Example], table: SourceTable) -> bool:
    """Whether these examples have one label, one date and one weight for each observation, and nothing else."""
    kinds = {note.kind for note in table.notes}
    return table.label_side == 1 and not kinds & _FORMS and not any(one.kept for one in examples)


def _number(first: PeekedMember | None) -> tuple[bool | None, str]:
    if first is None or first.number is None or first.per_number is None:
        return None, "no number in the name"
    each = f"{first.number:,}: {first.per_number:,.1f} observations each"
    match first.counts:
        case "examples":
            return True, f"{each}, and the unpacked size fits"
        case "observations":
            return False, f"{each}: it counts observations"
        case "samples":
            fits = "" if first.observations is None else ", each with the same number of examples"
            return False, f"{each}, more than the {MOST_OBS} of an example: samples, probably{fits}"
    return None, f"{each}, but the unpacked size does not fit: another layout, or it counts something else"


def _layout(first: PeekedMember | None, table: SourceTable | None) -> tuple[bool | None, str]:
    if table is not None:
        kinds = {note.kind for note in table.notes} & _FORMS
        if kinds or table.label_side != 1:
            side = f"{table.label_side} x {table.label_side} labels" if table.label_side != 1 else ""
            return False, ", ".join([*([side] if side else []), *sorted(kinds)])
        return True, "in the examples that were read"
    if first is not None and first.by_chance is not None:
        return True, f"the unpacked size fits, as {100 * (first.by_chance or 0):.1f} % of others would by chance"
    return None, "the unpacked size does not tell"


def _in_examples(examples: Sequence[Example], table: SourceTable | None) -> Iterator[PeekFinding]:
    classes = len(DATASET.classes)
    texts = {
        "classes": f"labels are classes 0 to {classes - 1}",
        "dates": "dates are ordinals",
        "localid": "every example has a localid",
        "most": f"at most {MOST_OBS} observations an example",
        "features": "only the five known features",
    }
    if table is None:
        yield from (PeekFinding(key, text, None, _NO_EXAMPLE) for key, text in texts.items())
        return
    kinds = {note.kind: note for note in table.notes}
    label, most = table.columns["label"], max(table.sizes.tolist())
    seen = " ".join(map(str, sorted(set(label.ravel().tolist()))))
    ids = [str(one.localid) for one in examples]
    other = [
        kinds[kind].first for kind in ("features_unknown", "records_unknown", "images_other_form") if kind in kinds
    ]
    localid = not kinds.keys() & {"localid_missing", "localid_other_form"}
    yield PeekFinding("classes", texts["classes"], "labels_other_class" not in kinds if label.size else None, seen)
    yield PeekFinding("dates", texts["dates"], table.encoding == "ordinal", table.encoding)
    yield PeekFinding("localid", texts["localid"], localid, ", ".join(ids))
    yield PeekFinding("most", texts["most"], most <= MOST_OBS, f"{most} at most")
    yield PeekFinding("features", texts["features"], not other, "; ".join(other) or "nothing else")
