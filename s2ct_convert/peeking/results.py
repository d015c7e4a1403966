"""What a look at archives found, as frozen values. Nothing of it is verified: no md5 was checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..dataset import DATASET
from ..errors import NotAnArchive, S2ctError
from .layout import OBS_BYTES
from .parts import Document, PeekedExample, PeekedMember, PeekFinding


@dataclass(frozen=True)
class PeekedFile:
    """What a look at one file found.

    Attributes
    ----------
    file : str
        Its name in the record, or in its URL.
    url : str
        Where it was looked at, without login and query.
    size : int or None
        Bytes; None if the service did not say.
    md5 : str or None
        By the list of files, or else by the service. It was not checked.
    methods : tuple of str
    blocks : int
        Number of solid blocks (7z folders).
    members : tuple of PeekedMember
    examples : tuple of PeekedExample
    date_encoding : str or None
        Form of the dates of these examples; None without examples.
    label_side : int or None
        k: they have k x k labels for each image.
    notes : tuple of str
        What in these examples differs from the description of the record.
    findings : tuple of PeekFinding
    remark : str
        Why there are fewer examples than asked for; empty if there are not.
    error : S2ctError or None
        Why the file could not be looked at, or not completely.
    requests, bytes : int
        Sent and received for this file.
    """

    file: str
    url: str
    size: int | None = None
    md5: str | None = None
    methods: tuple[str, ...] = ()
    blocks: int = 0
    members: tuple[PeekedMember, ...] = ()
    examples: tuple[PeekedExample, ...] = ()
    date_encoding: str | None = None
    label_side: int | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[PeekFinding, ...] = ()
    remark: str = ""
    error: S2ctError | None = None
    requests: int = 0
    bytes: int = 0

    @property
    def source(self) -> PeekedMember | None:
        """The first TFRecord in the archive; None if there is none."""
        return next((one for one in self.members if one.is_source), None)

    @property
    def unpacked(self) -> int | None:
        """Bytes of its TFRecords; None if its header could not be read."""
        return sum(one.size for one in self.members if one.is_source) if self.members else None

    @property
    def observations(self) -> int | None:
        """Exact number of observations; None if it is not known."""
        counts = [one.observations for one in self.members if one.is_source]
        return None if not counts or None in counts else sum(n for n in counts if n is not None)

    def document(self) -> Document:
        """A JSON object, without pixels."""
        error = self.error and {**_texts(self.error), "exit_code": self.error.exit_code}
        first = self.source
        return {
            "file": self.file,
            "url": self.url,
            "size": self.size,
            "md5": self.md5,
            "methods": list(self.methods),
            "dictionary": first and first.dictionary,
            "blocks": self.blocks,
            "lzma2_blocks": None,  # the header does not say
            "unit": first and first.unit,
            "number": first and first.number,
            "counts": first and first.counts,
            "observations": self.observations,
            "unpacked": self.unpacked,
            "members": [one.document() for one in self.members],
            "examples": [one.document() for one in self.examples],
            "date_encoding": self.date_encoding,
            "label_side": self.label_side,
            "notes": list(self.notes),
            "findings": [asdict(one) for one in self.findings],
            "remark": self.remark,
            "error": error,
            "requests": self.requests,
            "bytes": self.bytes,
        }


@dataclass(frozen=True)
class StoreEstimate:
    """About how many bytes a store of the files takes: ``ratio`` is the size of its codec in docs/codecs.md.

    ``space`` is the peak on the disk.
    """

    format: str
    codec: str
    ratio: float
    bytes: int
    space: int


@dataclass(frozen=True)
class PeekReport:
    """What a look at files of a record found.

    Attributes
    ----------
    record : str or None
        Id of the record; None for a file by its URL.
    files : tuple of PeekedFile
        In the order of their names.
    of : int
        Number of files of the record.
    requests, bytes : int
        Sent and received. ``requests`` includes the list of files, ``bytes`` does not.
    seconds : float
    stores : tuple of StoreEstimate
        Stores of these files, as far as their unpacked sizes are known.
    """

    record: str | None
    files: tuple[PeekedFile, ...]
    of: int
    requests: int
    bytes: int
    seconds: float
    stores: tuple[StoreEstimate, ...] = ()

    @property
    def unpacked(self) -> int:
        """Bytes of all TFRecords whose size is known."""
        return sum(one.unpacked or 0 for one in self.files)

    @property
    def observations(self) -> int | None:
        """Exact number of observations of all files; None if that of one is not known."""
        counts = [one.observations for one in self.files]
        return None if None in counts else sum(n for n in counts if n is not None)

    @property
    def failed(self) -> tuple[PeekedFile, ...]:
        """The files with an error. Among several files, one that does not claim to be an archive may be none."""
        failed = [one for one in self.files if one.error is not None]
        if len(self.files) == 1:
            return tuple(failed)
        return tuple(
            one for one in failed if not isinstance(one.error, NotAnArchive) or one.file.lower().endswith(".7z")
        )

    def document(self) -> Document:
        """A JSON object."""
        return {
            "record": self.record,
            "verified": False,
            "files": [one.document() for one in self.files],
            "of": self.of,
            "observations": self.observations,
            "unpacked": self.unpacked,
            "stores": [asdict(one) for one in self.stores],
            "requests": self.requests,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
        }


def pixel_bytes(unpacked: int) -> int:
    """About how many bytes of pixels a TFRecord of ``unpacked`` bytes holds."""
    return unpacked * DATASET.obs_bytes // OBS_BYTES


def with_examples(files: Sequence[PeekedFile]) -> PeekedFile | None:
    """The first file with an example that has an image."""
    return next((one for one in files if any(len(example.image) for example in one.examples)), None)


def _texts(error: S2ctError) -> dict[str, str]:
    return {name: getattr(error, name) for name in ("what", "where", "expected", "found", "todo")}
