"""The results of a search for sources: sources, notes and unusable files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..archives.volumes import files_of
from ..errors import CountMismatch, S2ctError, WrongUsage
from ..names import SourceName, UnitName
from ..objects.remote import AnyFile, GivenSource, RemoteFile

SALVAGED_SUFFIX = ".salvaged.tfrecord"  # of a TFRecord that holds what was whole in a damaged source
UNKNOWN = ""  # name of the member of an archive whose headers are damaged


@dataclass(frozen=True)
class Part:
    """A TFRecord or a shard of one: a file, or a member of an archive (``UNKNOWN`` if its headers are damaged)."""

    path: AnyFile
    member: str | None = None

    @property
    def where(self) -> str:
        """How messages name it."""
        if not self.member or self.member == self.path.name.removesuffix(".7z"):
            return self.path.name
        return f"{self.path.name}: {self.member}"


@dataclass(frozen=True)
class FoundTFRecord:
    """A TFRecord, and what its own name or the name of its archive gives; None if neither gives a unit."""

    part: Part
    name: SourceName | None


@dataclass(frozen=True)
class Source:
    """One TFRecord and the unit that its name gives.

    Attributes
    ----------
    unit : UnitName
    name_count : int or None
        The number in the name; None where it has none.
    path : Path or RemoteFile
        The archive, or the TFRecord file itself; the first of its volumes or shards. An object at an address is read
        there.
    member : str or None
        Name inside the archive; None for a bare file, ``UNKNOWN`` for an archive whose headers are damaged.
    more : tuple of Part
        The shards after the first, in order; examples are numbered through.
    copies : tuple of Source
        Other files with the same content.
    """

    unit: UnitName
    name_count: int | None
    path: AnyFile
    member: str | None = None
    more: tuple[Part, ...] = ()
    copies: tuple[Source, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """The TFRecord, or its shards in order."""
        return (Part(self.path, self.member), *self.more)

    @property
    def files(self) -> tuple[AnyFile, ...]:
        """The files to read, without repeats."""
        places = [part.path for part in self.parts]
        return tuple(
            dict.fromkeys(file for one in places for file in ((one,) if isinstance(one, RemoteFile) else files_of(one)))
        )

    @property
    def is_remote(self) -> bool:
        """Whether any of it is at an address."""
        return any(isinstance(part.path, RemoteFile) for part in self.parts)

    @property
    def is_packed(self) -> bool:
        """Whether any of it is in an archive."""
        return any(part.member is not None for part in self.parts)

    @property
    def is_salvaged(self) -> bool:
        """Whether it was salvaged from a damaged source, by its name, so that examples are missing."""
        return any(part.path.name.endswith(SALVAGED_SUFFIX) for part in self.parts)

    @property
    def where(self) -> str:
        """How messages name it."""
        first = self.parts[0].where
        return f"{first} (and {len(self.more)} more)" if self.more else first

    def size(self) -> int:
        """Bytes of all its files.

        Raises
        ------
        OSError
        """
        return sum(one.bytes if isinstance(one, RemoteFile) else one.stat().st_size for one in self.files)

    def mtime_ns(self) -> int:
        """Modification time of its newest file, in ns.

        Raises
        ------
        OSError
        """
        return max(one.mtime_ns if isinstance(one, RemoteFile) else one.stat().st_mtime_ns for one in self.files)

    def etag(self) -> str | None:
        """The ETags of its objects, one a line; None unless all of its files are at addresses and have one."""
        tags = [one.etag if isinstance(one, RemoteFile) else None for one in self.files]
        return "\n".join(tag for tag in tags if tag) if all(tags) else None

    def check_count(self, examples: int, samples: int, images: int) -> None:
        """Refuse a bare TFRecord that may be cut between two records: unlike an archive, it has no overall checksum.

        Raises
        ------
        CountMismatch
            If it has fewer examples, samples and images than the number in its name.
        """
        if self.name_count is None or self.member is not None or max(examples, samples, images) >= self.name_count:
            return
        raise CountMismatch(
            "the file has fewer examples, samples and images than the number in its name: it may be cut",
            where=self.where,
            expected=f"{self.name_count:,} or more examples, samples or images",
            found=", ".join(
                f"{n:,} {what}{'' if n == 1 else 's'}"
                for n, what in ((examples, "example"), (samples, "sample"), (images, "image"))
            ),
            todo="extract it from its archive again; if it is whole, give --accept-count",
        )


@dataclass(frozen=True)
class Unusable:
    """A file that should be a source but cannot be used.

    ``unit`` is the unit that its name gives. If another source provides that unit, the unit has not failed: then
    ``unit`` is None and ``also_of`` is the unit.
    """

    path: AnyFile
    unit: UnitName | None
    error: S2ctError
    also_of: UnitName | None = None


@dataclass
class Found:
    """Sources, notes on skipped files, and unusable files."""

    sources: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)


def some(names: list[str], most: int = 3) -> str:
    """The first few names, and how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def no_source(paths: Iterable[GivenSource], found: Found) -> WrongUsage:
    """The error of paths without any source; the notes say what was skipped."""
    where = ", ".join(map(str, paths))
    return WrongUsage("no archive or TFRecord found", where=where, found="\n            ".join(found.notes))
