"""Checks that need a folder, a server or a store: JSON of every kind, answers of a service, damaged stores."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from checks import Wrong, framed

import s2ct_convert
from s2ct_convert.conversion.file_notes import read_note
from s2ct_convert.conversion.plan_file import read_plan
from s2ct_convert.durable import parse_json
from s2ct_convert.errors import S2ctError
from s2ct_convert.export.folder import check_folder
from s2ct_convert.lease import Lease, Owner
from s2ct_convert.names import UnitName
from s2ct_convert.record import policy
from s2ct_convert.record.api import parse_record
from s2ct_convert.record.budget import Budget
from s2ct_convert.record.download import fetch_file
from s2ct_convert.record.manifest import Manifest, RecordFile, read_manifest
from s2ct_convert.record.policy import RetryPolicy
from s2ct_convert.record.receipts import has_receipt, write_receipt
from s2ct_convert.record.run import open_run
from s2ct_convert.source.example import Kind, encode_example
from s2ct_convert.units.ledger import Ledger

UNIT = UnitName("train", "50SMG")
FILE = RecordFile("train_50SMG_2.7z", "0" * 32, 7)


class Documents:
    """Reads one document as each reader of the package does. Needs a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ledger = Ledger(folder / "x.zarr")
        for name in ("units", "failed", "leases", "files"):
            (self._ledger.path / name).mkdir(parents=True)
        (folder / "a").write_bytes(b"x")
        write_receipt(folder, "a", "0" * 32)
        self._receipt = next((folder / ".s2ct-receipts").iterdir())
        self._right = self._receipt.read_bytes()
        self._readers: tuple[Callable[[bytes], object], ...] = (
            self._answer, self._manifest, self._store, self._entry, self._failure, self._refused, self._plan,
            self._lease, self._receipts, self._note, self._export, self._headers,
        )  # fmt: skip

    def __call__(self, data: bytes) -> bool:
        """The first byte chooses the reader."""
        reader = self._readers[data[0] % len(self._readers)] if data else self._answer
        try:
            return reader(data[1:]) is not None
        except S2ctError as error:
            if not str(error).isprintable() and "\n" not in str(error):
                raise Wrong("an error message with control characters") from error
            return False

    def _put(self, name: str, data: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(data)
        return path

    def _answer(self, data: bytes) -> object:
        try:
            document = parse_json(data)
        except ValueError:
            return None
        return _safe(parse_record("1", document))

    def _manifest(self, data: bytes) -> object:
        return _safe(read_manifest(self._put("m.lock.json", data)))

    def _store(self, data: bytes) -> object:
        self._put("x.zarr.s2ct/store.json", data)
        options = self._ledger.options()
        self._ledger.planned()
        return options and (options.flags(), options == dataclasses.replace(options), options.values())

    def _entry(self, data: bytes) -> object:
        self._put(f"x.zarr.s2ct/units/{UNIT.key}.json", data)
        entry = self._ledger.entry(UNIT)
        return entry and (entry.bytes + entry.samples + entry.observations + entry.seconds, *map(str, entry.notes))

    def _failure(self, data: bytes) -> object:
        self._put(f"x.zarr.s2ct/failed/{UNIT.key}.json", data)
        failure = self._ledger.failure(UNIT)
        return failure and (failure.message.splitlines(), failure.exit_code + 1, failure.host + failure.source)

    def _refused(self, data: bytes) -> object:
        self._put("x.zarr.s2ct/refused.json", data)
        return self._ledger.refused.names(())

    def _plan(self, data: bytes) -> object:
        return read_plan(self._put("plan.json", data)).units

    def _lease(self, data: bytes) -> object:
        self._put("x.zarr.s2ct/leases/run.lease", data)
        lease = Lease(self._ledger.path / "leases" / "run.lease", self._folder, "busy", beats=True)
        owner = lease.owner()
        return lease.refusal(owner) if isinstance(owner, Owner) else owner

    def _receipts(self, data: bytes) -> object:
        self._receipt.write_bytes(data)
        found = has_receipt(self._folder, "a", "0" * 32)
        if found and json.loads(data) != json.loads(self._right):
            raise Wrong("a receipt that is another one counts")
        return found

    def _note(self, data: bytes) -> object:
        from s2ct_convert.conversion.file_notes import _path

        _path(self._ledger, FILE).write_bytes(data)
        note = read_note(self._ledger, FILE)
        return note and [(one.unit.partition("/"), one.member, one.content and one.content.bytes) for one in note]

    def _export(self, data: bytes) -> object:
        (self._folder / "out").mkdir(exist_ok=True)
        self._put("out/export.json", data)
        self._put("out/mine", b"")
        return check_folder(self._folder / "out", overwrite=True)

    def _headers(self, data: bytes) -> object:
        text = data.decode("latin-1")
        for status in (200, 429, 503):
            for name in ("Retry-After", "X-RateLimit-Reset"):
                wait = policy.asked_wait(status, {name: text}, 1e9)
                if wait is not None and not wait >= 0:
                    raise Wrong(f"a wait of {wait} s")
                if wait is not None:
                    policy.until(1e9, wait)
        policy.page_says(text)
        return policy.content_range(text), policy.whole_number(text), policy.etag_md5(text)


def _safe(manifest: Manifest) -> Manifest:
    """The manifest, if no name in it leads out of its folder."""
    for file in manifest.files:
        if Path("/x", file.key).resolve().parts[:2] != ("/", "x") or "\0" in file.key:
            raise Wrong(f"the name {file.key!r} leads out")
    return manifest


class Answers:
    """Downloads one file from a server that answers each request with a part of the input, byte for byte."""

    QUICK = RetryPolicy(
        attempts=3, backoff=0.001, longest=0.002, connect=5, stall=0.2, answer=0.3, patience=0.01,
        slow_window=0.2, slow_bytes=1000,
    )  # fmt: skip
    DATA = bytes(range(256))

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @classmethod
    def seeds(cls) -> list[bytes]:
        """Good answers, ranges, errors, redirects and limits. A byte 255 255 divides two answers."""
        n, half = len(cls.DATA), len(cls.DATA) // 2
        whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n + cls.DATA
        cut = whole[: half - n]
        rest = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n"
        rest = rest % (half, n - 1, n, n - half) + cls.DATA[half:]
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % n + cls.DATA + b"\r\n0\r\n\r\n"
        late = b"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
        moved = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
        page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
        gone = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        runs = [[whole], [cut, rest], [chunked], [late, whole], [moved, whole], [page], [gone, whole], [b""]]
        return [b"\xff\xff".join(run) for run in runs]

    def __call__(self, data: bytes) -> bool:
        """True if the file came; its md5 must be right then."""
        self._parts = data.split(b"\xff\xff") if b"HTTP/1.1" in data else [data]
        target = self._folder / "in"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        file = RecordFile("a", hashlib.md5(self.DATA, usedforsecurity=False).hexdigest(), len(self.DATA))
        url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        with open_run("1", base_url=url, policy=self.QUICK, budget=Budget(10_000)) as run:
            fetch_file(target, run, file)
        if not (target / "a").exists():
            return False
        if (target / "a").read_bytes() != self.DATA:
            raise Wrong("a file with the final name has other bytes")
        return True

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with client, suppress(OSError):
                client.settimeout(5)
                client.recv(65536)
                if self._parts:
                    client.sendall(self._parts.pop(0))


class Stores:
    """Changes bytes of a store, then reads all of it: each answer is the one of the good store, or an error."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix = folder, suffix
        source = folder / "train_50SMG_2"
        source.write_bytes(b"".join(framed(self._example(n)) for n in range(2)))
        self._store = folder / f"good.{suffix}"
        s2ct_convert.convert([source], self._store)
        self._files = sorted(one for one in self._store.rglob("*") if one.is_file()) or [self._store]
        self._truth = self._read(self._store)

    @staticmethod
    def _example(localid: int) -> bytes:
        rng = np.random.default_rng(localid)
        image = rng.integers(0, 4000, (2, 4, 42, 42), dtype="<u2").tobytes()
        values = {"localid": (Kind.INT64, localid.to_bytes(8, "little")), "image_raw_ldseries": (Kind.BYTES, image)}
        values["labels"] = (Kind.BYTES, b"\1\2")
        values["dates"] = (Kind.BYTES, np.array([737000, 737005], "<i8").tobytes())
        return encode_example(values)

    def seeds(self) -> list[bytes]:
        """Changes: the number of a file, then offset, new byte, offset, new byte, ..."""
        return [bytes([n, 0, 5, 7, 1, 9, 200]) for n in range(len(self._files))]

    def __call__(self, data: bytes) -> bool:
        """True if everything was read, and right."""
        work = self._folder / f"bad.{self._suffix}"
        if self._store.is_dir():
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(self._store, work)
        else:
            shutil.copyfile(self._store, work)
        if data:
            file = self._files[data[0] % len(self._files)]
            path = work / file.relative_to(self._store) if self._store.is_dir() else work
            path.write_bytes(_changed(path.read_bytes(), data[1:]))
        try:
            found = self._read(work)
        except S2ctError:
            return False
        if found != self._truth:
            raise Wrong(f"silently wrong: {[name for name in found if found[name] != self._truth.get(name)]}")
        return True

    @staticmethod
    def _read(path: Path) -> Mapping[str, Any]:
        out: dict[str, Any] = {}
        with s2ct_convert.open_store(path) as store:
            out["samples"] = store.samples.rows.tobytes()
            for name, unit in store.units.items():
                for array in ("image", "label", "date", "time", "weight", "localid", "row_size", "example", "position"):
                    values = np.asarray(unit[array][...])
                    out[f"{name} {array}"] = (str(values.dtype), values.shape, values.tobytes())
                out[f"{name} sample"] = unit.sample(1).image.tobytes()
        return out


def _changed(content: bytes, edits: bytes) -> bytes:
    """The content with bytes replaced; a replacement past the end cuts the file there."""
    out = bytearray(content)
    for at in range(0, len(edits) - 2, 3):
        offset = int.from_bytes(edits[at : at + 2], "big")
        if offset == 0xFFFF:
            del out[edits[at + 2] * len(out) // 256 :]
        elif out:
            out[offset % len(out)] = edits[at + 2]
    return bytes(out)
