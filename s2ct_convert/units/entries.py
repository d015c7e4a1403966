"""The records of the ledger: options of the store, finished units, failures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..dataset import DATASET, Dataset
from ..fields import check_fields
from ..gaps import Gap, gaps_from_values
from ..source.notes import Note
from ..store.container import UnitFile
from ..store.layout import LAYOUT_VERSION


@dataclass(frozen=True)
class StoreOptions:
    """The options that determine the content of a store."""

    format: str
    codec: str
    linked: bool = False
    layout: int = LAYOUT_VERSION
    dataset: Dataset = DATASET
    statistics: bool = False

    def values(self) -> dict[str, Any]:
        """Plain values for JSON; the default data set is left out, and ``statistics`` if not asked for."""
        own = {name: getattr(self, name) for name in ("format", "codec", "linked", "layout")}
        own |= {"statistics": True} if self.statistics else {}
        return own if self.dataset == DATASET else {**own, "dataset": self.dataset.values()}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> StoreOptions:
        """Inverse of :meth:`values`; other keys are ignored.

        Raises
        ------
        ValueError, TypeError, KeyError, AttributeError
            If the values are not store options.
        """
        own = {name: values[name] for name in ("format", "codec", "linked", "layout")}
        dataset = Dataset.from_values(values["dataset"]) if "dataset" in values else DATASET
        return check_fields(cls(**own, dataset=dataset, statistics=values.get("statistics", False)))

    def flags(self) -> str:
        """Command-line flags that give these options."""
        also = f"{' --linked' if self.linked else ''}{' --statistics' if self.statistics else ''}"
        return f" --format {self.format} --codec {self.codec}{also}"


@dataclass(frozen=True)
class UnitEntry:
    """A finished unit: its source and its content.

    Times are days since 1970-01-01. ``plan`` is the hash of the plan. ``peak_memory`` is the peak memory in bytes of
    the process that made the unit; with one job, that process may have made other units before. ``unpacker`` is
    "python" or a program with its version, e.g. "7zz 24.09"; None for a bare TFRecord. ``content_bytes`` and
    ``content_crc32`` are the size and CRC-32 of the TFRecord, for an archive as its header gives them; None for shards.
    ``source_path`` is the absolute path of the source, or its address; ``source_etag`` is its ETag there. Labels are
    ``label_side`` x ``label_side`` per image. ``gaps``: what is missing of a unit that was salvaged from a damaged
    source, whose ``source_md5`` is that of all its files; None for other units. ``name_counts`` is what the number in
    the name counts.
    """

    unit: str
    plan: str
    source_file: str
    source_member: str | None
    source_bytes: int
    source_mtime_ns: int
    source_md5: str | None
    examples: int
    date_encoding: str
    dates_with_time: int
    label_side: int
    name_count: int | None
    name_counts: str
    notes: tuple[Note, ...]
    samples: int
    observations: int
    time_first: int | None
    time_last: int | None
    label_count: list[int]
    digest: str
    bytes: int
    files: tuple[UnitFile, ...]
    passes: int
    seconds: float
    peak_memory: int | None
    s2ct_version: str
    unpacker: str | None = None
    content_bytes: int | None = None
    content_crc32: int | None = None
    source_path: str | None = None
    gaps: tuple[Gap, ...] | None = None
    source_etag: str | None = None

    @property
    def salvaged(self) -> bool:
        """Whether the unit was salvaged from a damaged source."""
        return self.gaps is not None

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> UnitEntry:
        """An entry from plain values.

        Raises
        ------
        ValueError, TypeError, KeyError
            If the values are not an entry of this version.
        """
        files = tuple(check_fields(UnitFile(**file)) for file in values["files"])
        notes = tuple(check_fields(Note(**note)) for note in values["notes"])
        if not all(note.is_known for note in notes):
            raise ValueError("a note of another version")
        gaps = None if values.get("gaps") is None else gaps_from_values(values["gaps"])
        return check_fields(cls(**{**values, "files": files, "notes": notes, "gaps": gaps}))


@dataclass(frozen=True)
class Failure:
    """A unit whose last attempt failed."""

    unit: str
    source: str
    exit_code: int
    message: str
    host: str
    peak_memory: int | None


def to_json(content: Any) -> bytes:
    """JSON of a dataclass or of plain values, as the ledger writes it."""
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        content = dataclasses.asdict(content)
    return json.dumps(content, indent=1).encode() + b"\n"
