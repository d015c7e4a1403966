"""A Zarr store in a bucket. A unit is made on this machine, then sent: its metadata last, and its record after that.

The rest of the store is mirrored here: everything but the shards, which are deleted once they are sent. So the index
and the root are made here as for any store, and then sent, the root last.

``<store>.s2ct/sending/<unit>.json`` names the objects of a unit before the first is sent. A run that finds it there
looks at each object before it sends it. So no object is sent twice, and all have a name when they must be deleted.

An object is created, never changed. So a unit is replaced in these steps: ``<store>.s2ct/replacing/<unit>.json`` names
its objects; its record is deleted, and now the unit is missing; the objects are deleted, then both lists; the new unit
is sent as any other. A run that is killed in between leaves the old unit, no unit, or the new one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ..dataset import DATASET, Dataset
from ..durable import has_files, remove, write_atomic
from ..errors import DestinationExists, StoreDamaged
from ..names import INDEX as _INDEX
from ..names import UnitName
from ..objects.address import ObjectPath
from ..objects.failures import ObjectMissing, Overtaken
from ..objects.reads import Version, read_version
from ..objects.writes import delete, put_if, put_missing, put_new, put_over, read_if_there
from ..threads import for_each
from .codec import ZarrCodec
from .container import UnitFile
from .groups import Content
from .layout import IMAGE
from .local import Scratch, crc32_of, files_of
from .zarr_container import ZarrContainer
from .zarr_files import METADATA

_SENDERS = 4  # objects sent at a time by one process; a shard has up to 37 MB
_SHARDS = f"{IMAGE.name}/c/"


class BucketContainer(ZarrContainer):
    """A Zarr store in a bucket, and its mirror at a path."""

    def __init__(
        self, place: ObjectPath, path: Path, codec: ZarrCodec, scratch: Scratch, *, dataset: Dataset = DATASET
    ) -> None:
        super().__init__(path, codec, scratch, dataset=dataset)
        self.bucket, self.ledger = place, ObjectPath(f"{place.root}.s2ct")
        self._held: Version | None = None  # of the root, since hold
        self._seen = set[UnitName]()  # units that are in the bucket

    @property
    def where(self) -> str:
        return str(self.bucket)

    def place(self, unit: UnitName) -> str:
        return str(self.bucket / str(unit))

    def begin(self, units: Sequence[UnitName], attributes: Mapping[str, Any]) -> None:
        super().begin(units, attributes)
        self._put_root()
        for split in sorted({unit.split for unit in units}):
            put_missing(self.bucket / split / METADATA, (self.path / split / METADATA).read_bytes())

    def withdraw(self, unit: UnitName) -> None:
        """Name the objects of a unit that is replaced, so that they can be deleted once it has no record."""
        if (listing := read_if_there(self._sending(unit.key))) is not None:
            put_over(self._replacing(unit), listing)

    def _replacing(self, unit: UnitName) -> ObjectPath:
        return self.ledger / "replacing" / f"{unit.key}.json"

    def _clear(self, unit: UnitName) -> None:
        """Delete the objects of a unit that is replaced, as :meth:`withdraw` named them."""
        if (listing := read_if_there(self._replacing(unit))) is None:
            return
        home = self.bucket / str(unit)
        delete(home / METADATA)
        for_each(delete, [home / file.name for file in _files(listing)], waiting=True)
        delete(self._sending(unit.key))
        delete(self._replacing(unit))

    def publish(self, unit: UnitName, key: str) -> None:
        self._clear(unit)
        self._send(unit, self.scratch.path(key))
        remove(self.scratch.path(key) / IMAGE.name / "c")
        super().publish(unit, key)

    def _send(self, unit: UnitName, work: Path) -> None:
        """Send the files of a unit, its own metadata last. ``on_sent`` gets the bytes that are there, and all bytes."""
        files = files_of(work)
        sent, total, lock = 0, sum(file.bytes for file in files), threading.Lock()
        self.on_sent(0, total)
        first_time = self._begin_sending(unit, files)
        home = self.bucket / str(unit)

        def send(name: str) -> None:
            nonlocal sent
            data, there = (work / name).read_bytes(), home / name
            (put_new if first_time else put_missing)(there, data)
            with lock:
                sent += len(data)
                self.on_sent(sent, total)

        with ThreadPoolExecutor(_SENDERS, thread_name_prefix="s2ct-send") as pool:
            for _ in pool.map(send, [file.name for file in files if file.name != METADATA]):
                pass
        send(METADATA)
        self._note(unit, files)

    def _begin_sending(self, unit: UnitName, files: Sequence[UnitFile]) -> bool:
        """Name the objects of a unit in the bucket. Returns whether this is the first run that does it."""
        try:
            return put_missing(self._sending(unit.key), _listing(files))
        except DestinationExists:
            raise DestinationExists(
                "a run has sent a part of this unit with other content, and has not finished it",
                where=self.place(unit),
                todo=f"if no other run makes this unit now: s2ct convert with --overwrite-unit {unit}",
            ) from None

    def _sending(self, part: str) -> ObjectPath:
        return self.ledger / "sending" / f"{part}.json"

    def _note(self, unit: UnitName, files: Sequence[UnitFile]) -> None:
        _write(self._sent(unit.key), _listing(files))

    def _sent(self, key: str) -> Path:
        return self.scratch.work.parent / "sent" / f"{key}.json"

    def mirror(self, unit: UnitName, files: Sequence[UnitFile]) -> None:
        """Copy the small files of a finished unit from the bucket to this machine, unless they are here.

        If they are, look whether its metadata, which is sent last, is still there: the objects of a store may have been
        deleted without its ledger.

        Raises
        ------
        StoreDamaged
            If an object is missing or differs from the record.
        """
        small = [file for file in files if not file.name.startswith(_SHARDS)]
        if not has_files(self.home(unit), {file.name: file.bytes for file in small}):
            for_each(partial(self._copy, unit), small, waiting=True)
        elif unit not in self._seen:
            self._copy(unit, next(file for file in small if file.name == METADATA))
        self._seen.add(unit)
        self._note(unit, files)

    def _copy(self, unit: UnitName, file: UnitFile) -> None:
        place = self.bucket / str(unit) / file.name
        data = read_if_there(place)
        if data is None or (len(data), crc32_of(data)) != (file.bytes, file.crc32):
            raise StoreDamaged(
                f"this object {'is missing' if data is None else 'differs'}, according to the record of its unit",
                where=str(place),
                todo="convert again to another destination, or with --overwrite",
            )
        _write(self.home(unit) / file.name, data)

    def has(self, unit: UnitName, files: Mapping[str, int] | None = None) -> bool:
        small = {name: size for name, size in (files or {}).items() if not name.startswith(_SHARDS)}
        return super().has(unit, small)

    def files(self, unit: UnitName) -> tuple[UnitFile, ...]:
        """The files of a unit that was sent: what the service has accepted, with its checksums."""
        return _files(self._sent(unit.key).read_bytes())

    def stands_alone(self, unit: UnitName) -> bool:
        return False

    def has_unmerged(self, units: Sequence[UnitName]) -> bool:
        """Whether the root in the bucket is not the one here."""
        here = self.path / METADATA
        return not here.exists() or read_if_there(self.bucket / METADATA) != here.read_bytes()

    def finalise(self, units: Sequence[UnitName], index: Content, attributes: Mapping[str, Any]) -> None:
        super().finalise(units, index, attributes)
        files = files_of(self.path / _INDEX)
        if self._held and read_version(self.bucket / METADATA)[1] != self._held:
            raise Overtaken("another run has finished this store meanwhile", where=self.where)
        put_over(self._sending(_INDEX), _listing(files))
        for file in files:
            put_over(self.bucket / _INDEX / file.name, (self.path / _INDEX / file.name).read_bytes())
        self._put_root()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Write the root only if nobody else has written it since the start. Otherwise, writing it raises Overtaken."""
        with suppress(ObjectMissing):  # nobody has begun
            self._held = read_version(self.bucket / METADATA)[1]
        try:
            yield
        finally:
            self._held = None

    def _put_root(self) -> None:
        root, data = self.bucket / METADATA, (self.path / METADATA).read_bytes()
        if self._held:
            self._held = put_if(root, data, self._held)
        else:
            put_over(root, data)

    def mirror_root(self, units: Sequence[UnitName], unfinished: Mapping[str, Any]) -> None:
        """Copy the root and the index of a finished store from the bucket. Without them, it is finalised again.

        ``units`` and ``unfinished`` are the planned units and the attributes of an unfinished store, for its root here.
        """
        if not (self.path / METADATA).exists():
            super().begin(units, unfinished)
        root, listing = read_if_there(self.bucket / METADATA), read_if_there(self._sending(_INDEX))
        if root is None or listing is None or b"consolidated_metadata" not in root:
            return
        for file in _files(listing):
            data = read_if_there(self.bucket / _INDEX / file.name)
            if data is None or crc32_of(data) != file.crc32:
                return
            _write(self.path / _INDEX / file.name, data)
        _write(self.path / METADATA, root)

    def destroy(self) -> None:
        """Delete what the ledger in the bucket names, the root first. Other objects stay."""
        delete(self.bucket / METADATA)
        content = json.loads(read_if_there(self.ledger / "store.json") or b"{}")
        units = [UnitName.from_path(unit) for unit in content.get("units", [])]
        gone = [self.bucket / split / METADATA for split in sorted({unit.split for unit in units})]
        for part, folder in [(unit.key, str(unit)) for unit in units] + [(_INDEX, _INDEX)]:
            listing = read_if_there(self._sending(part))
            gone += [self.bucket / folder / file.name for file in _files(listing or b"[]")]
        for unit in units:
            listing = read_if_there(self._replacing(unit))
            gone += [self.bucket / str(unit) / file.name for file in _files(listing or b"[]")]
        for_each(delete, gone, waiting=True)
        for_each(delete, [self._replacing(unit) for unit in units], waiting=True)
        for_each(delete, [self._sending(part) for part in (_INDEX, *(unit.key for unit in units))], waiting=True)
        super().destroy()
        remove(self._sent("").parent)


def _listing(files: Sequence[UnitFile]) -> bytes:
    return json.dumps([asdict(file) for file in files]).encode()


def _files(listing: bytes) -> tuple[UnitFile, ...]:
    return tuple(UnitFile(**file) for file in json.loads(listing))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
