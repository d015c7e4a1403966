"""The summary of a conversion, on stdout."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..errors import Incomplete
from ..objects.usage import Usage
from ..store.layout import STATE_COMPLETE
from ..units.entries import UnitEntry
from ..units.summary import Summary, salvaged_error
from ..words import seconds, size, without
from .gaps import gap_lines
from .notes import note_lines, sum_documents
from .tables import print_facts


def print_summary(summary: Summary) -> None:
    """Print the result of a conversion for people."""
    done = summary.converted + summary.skipped
    counts = [f"{len(summary.converted)} converted"]
    counts += [f"{len(summary.skipped)} done before"] if summary.skipped else []
    refused = sum(failure.refused for failure in summary.failures)
    counts += [f"{len(summary.failures) - refused} failed"] if len(summary.failures) > refused else []
    counts += [f"{refused} refused"] if refused else []
    facts = [
        ("store", f"{summary.store} ({summary.format}, {summary.codec})"),
        ("units", ", ".join(counts)),
        ("samples", f"{sum(entry.samples for entry in done):,}"),
        ("observations", f"{sum(entry.observations for entry in done):,}"),
    ]
    if summary.converted:
        rate = summary.bytes_raw / summary.seconds
        facts += [
            ("read", size(summary.bytes_in)),
            ("written", f"{size(summary.bytes_out)}, {_ratio(summary.bytes_out, summary.bytes_raw)} of the pixels"),
            ("time", f"{seconds(summary.seconds)}, {size(rate)}/s of pixels"),
        ]
        facts += [("unpacked by", "; ".join(summary.unpackers))] if summary.unpackers else []
    facts += [("requests", usage_words(summary.usage))] if summary.usage else []
    facts += [("note", line) for line in note_lines(done, summary.dataset)]
    facts += [("no unit in", ", ".join(summary.not_units))] if summary.not_units else []
    facts += [("salvaged", line) for entry in done if entry.salvaged for line in salvage_lines(entry)]
    facts += [("state", _state(summary))] if summary.state != STATE_COMPLETE else []
    facts += [("digest", summary.digest)] if summary.digest else []
    print_facts(facts)


def usage_words(usage: Usage) -> str:
    """What was asked of a service, in words."""
    moved = [(usage.sent, "sent"), (usage.received, "received")]
    return ", ".join([f"{usage.requests:,}", *(f"{size(n)} {how}" for n, how in moved if n)])


def salvage_lines(entry: UnitEntry) -> list[str]:
    """What was salvaged of a unit, and its gaps; of many gaps the first ones."""
    return gap_lines(entry.unit, entry.examples, entry.gaps or ())


def _state(summary: Summary) -> str:
    lacks = without(" ".join(summary.missing), ", ".join(summary.refused), " ".join(summary.salvaged))
    return f"{summary.state}{': ' if lacks else ''}{lacks}"


def check_complete(summary: Summary) -> None:
    """Check that no unit is missing or salvaged, and that every selected file holds a unit.

    Raises
    ------
    Incomplete
    """
    if summary.missing:
        raise Incomplete(
            "the store is not complete: units of an earlier run are missing",
            where=str(summary.store),
            found=", ".join(summary.missing),
            todo="convert them too, or use --overwrite to make a store of these units only",
        )
    if summary.not_units:
        raise Incomplete(
            "the store is not complete: some of the selected files hold no unit",
            where=str(summary.store),
            found=", ".join(summary.not_units),
            todo="select only files that hold units, such as --file '*.7z'",
        )
    if summary.refused:
        raise Incomplete(
            "the store is not complete: sources of its units were refused in an earlier run",
            where=str(summary.store),
            found=", ".join(summary.refused),
            todo="to leave them out, convert the sources that these units were made from; to take one: "
            "--overwrite-unit SPLIT/TILE",
        )
    if summary.salvaged:
        raise salvaged_error(summary.store, summary.salvaged)


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def summary_document(summary: Summary) -> dict[str, Any]:
    """The result of a conversion for programs."""
    done = summary.converted + summary.skipped
    return {
        "store": str(summary.store),
        "format": summary.format,
        "codec": summary.codec,
        "unpackers": list(summary.unpackers),
        "state": summary.state,
        "complete": summary.state == STATE_COMPLETE,
        "missing": list(summary.missing),
        "refused_sources": list(summary.refused),
        "not_units": list(summary.not_units),
        "salvaged": list(summary.salvaged),
        "digest": summary.digest,
        "converted": [dataclasses.asdict(entry) for entry in summary.converted],
        "skipped": [dataclasses.asdict(entry) for entry in summary.skipped],
        "failed": [
            {"unit": f.unit, "source": f.source, "exit_code": f.exit_code, "message": f.message, "refused": f.refused}
            for f in summary.failures
        ],
        "notes": sum_documents(done, summary.dataset),
        "units": len(done),
        "samples": sum(entry.samples for entry in done),
        "observations": sum(entry.observations for entry in done),
        "bytes_in": summary.bytes_in,
        "bytes_out": summary.bytes_out,
        "bytes_pixels": summary.bytes_raw,
        "ratio": summary.bytes_out / summary.bytes_raw if summary.bytes_raw else None,
        "usage": summary.usage._asdict() if summary.usage else None,
        "seconds": round(summary.seconds, 3),
        "mb_per_second": round(summary.bytes_raw / 1e6 / summary.seconds, 1) if summary.seconds else None,
    }
