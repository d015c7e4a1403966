"""Source files that are objects: at an address of a bucket or of a web server. What is known of each is fixed here.

A bucket is asked for one object, or for a list of those below an address. A web server is asked for one file. What is
found names the content: its size, its ETag and its time. Whoever reads it later reads these bytes or none (ranged.py).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from ..errors import NetworkError, SourceError, WrongUsage
from ..paths import check_path
from ..threads import result_of
from .address import READ_ONLY, ObjectPath, is_address, parse_address
from .failures import (
    MissingOrDenied,
    ObjectChanged,
    ObjectMissing,
    ObjectTruncated,
    Refused,
    failure_of,
    is_denied,
    service_errors,
)
from .reads import asked
from .service import client
from .usage import count

T = TypeVar("T")


@dataclass(frozen=True)
class RemoteFile(ObjectPath):
    """An object, and what the service said of it when it was found.

    Attributes
    ----------
    bytes : int
    mtime_ns : int
        When it was last modified, in ns since 1970-01-01; 0 if the service does not say it.
    etag : str or None
        Changes with the content; None if the service has none.
    """

    bytes: int = 0
    mtime_ns: int = 0
    etag: str | None = None

    @property
    def suffix(self) -> str:
        """The suffix of its name."""
        return Path(self.name).suffix


AnyFile = Path | RemoteFile
GivenSource = Path | ObjectPath  # a file or a folder, or the address of an object or of several


def given_sources(
    given: str | os.PathLike[str] | ObjectPath | Iterable[str | os.PathLike[str] | ObjectPath],
) -> list[GivenSource]:
    """One source or several, as a list: paths on this machine and addresses.

    Raises
    ------
    WrongUsage
        If an address names no bucket or server, or holds what it must not.
    """
    several = [given] if isinstance(given, str | os.PathLike | ObjectPath) else given
    return [one if isinstance(one, ObjectPath) else _given(one) for one in several]


def _given(one: str | os.PathLike[str]) -> GivenSource:
    if not (isinstance(one, str) and is_address(one)):
        return check_path(one)
    parse_address(one)
    parts = urlsplit(one)
    path = parts.path if parts.scheme.lower() not in READ_ONLY else unquote(parts.path)
    return ObjectPath(f"{parts.scheme.lower()}://{parts.netloc}", path.removeprefix("/"))


def begun(request: Callable[[], T]) -> Future[T]:
    """Begin a request in a thread of its own. Whoever waits for it may be interrupted, although obstore may not be.

    Not in a pool, whose threads are waited for at the end of the process, as long as a service hangs.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(request())
        except BaseException as error:  # whoever waits raises it
            answer.set_exception(error)

    threading.Thread(target=run, name="s2ct-request", daemon=True).start()
    return answer


def absolute(file: AnyFile) -> str:
    """The path from the root of the file system, or the address. Links are not followed."""
    return str(file) if isinstance(file, ObjectPath) else os.path.abspath(file)  # noqa: PTH100


def is_there(file: AnyFile) -> bool:
    """Whether a file exists. A service is asked."""
    return find_object(file) is not None if isinstance(file, ObjectPath) else file.exists()


def find_object(place: ObjectPath) -> RemoteFile | None:
    """The object at an address; None if there is none.

    Raises
    ------
    NetworkError, WrongUsage
        If the service refuses or fails, or there is no such bucket.
    """
    if not place.key or place.key.endswith("/"):
        return None
    store = client(place.root)
    import obstore

    def look() -> Any:
        # Not HEAD: its answers have no body, which names the reason of a refusal. Shows whether there are ranges, too.
        try:
            return obstore.get(store, place.key, options={"range": (0, 1)}).meta
        except service_errors() as error:
            if isinstance(failure_of(error, place), ObjectTruncated):
                return obstore.head(store, place.key)  # it is empty
            raise

    try:
        return _known(place.root, result_of(begun(lambda: asked(look, place))))
    except MissingOrDenied:
        raise NetworkError(
            "access is denied, or there is no such object",
            where=str(place),
            todo="check the address and the credentials; for a public bucket give --no-sign-request",
        ) from None
    except ObjectMissing:
        return None


def list_objects(place: ObjectPath) -> list[RemoteFile]:
    """The objects below an address of a bucket, in the order of their keys.

    Raises
    ------
    WrongUsage
        If this is a web server, which cannot be listed, or there is no such bucket.
    NetworkError
        If the bucket may not be listed, or the service fails.
    """
    if place.scheme in READ_ONLY:
        raise WrongUsage(
            "there is no such file, and a web server cannot be listed",
            where=str(place),
            todo="give the address of each file",
        )
    store = client(place.root)
    import obstore

    prefix = place.key.rstrip("/")

    def listed() -> list[Any]:
        try:
            return [one for some in obstore.list(store, prefix or None) for one in some]
        except service_errors() as error:
            if is_denied(error) and not isinstance(refused := failure_of(error, place), Refused):
                raise _may_not_list(place) from refused
            raise

    found = result_of(begun(lambda: asked(listed, place)))
    return sorted((_known(place.root, one) for one in found), key=lambda one: one.key)


def _may_not_list(place: ObjectPath) -> Refused:
    folder = str(place).rstrip("/")
    return Refused(
        "these credentials may not list this bucket",
        where=str(place),
        todo=f"name the archives one by one: s2ct convert {folder}/train_50SMG_462.7z ... STORE; "
        "or get the permission to list (s3:ListBucket)",
    )


def _known(root: str, meta: Any) -> RemoteFile:
    """An object from what obstore tells of it. Exact to the microsecond; services tell seconds or milliseconds."""
    modified = meta["last_modified"]
    seconds = int(modified.timestamp())
    mtime_ns = max(0, seconds * 10**9 + modified.microsecond * 1000)
    return RemoteFile(root, str(meta["path"]), int(meta["size"]), mtime_ns, meta.get("e_tag"))


def get_part(file: RemoteFile, start: int, stop: int) -> bytes:
    """The bytes of an object from ``start`` to ``stop``, of the content that was found.

    Raises
    ------
    SourceError
        If the object has changed or is gone.
    NetworkError
        If the service refuses or fails.
    """
    store = client(file.root)
    import obstore

    options: dict[str, Any] = {"range": (start, stop)}
    if file.etag and not file.etag.startswith("W/"):  # If-Match never holds for a weak one
        options["if_match"] = file.etag

    def get() -> tuple[bytes, RemoteFile]:
        found = obstore.get(store, file.key, options=options)
        return bytes(found.bytes()), _known(file.root, found.meta)

    data, now = _as_source(lambda: asked(get, file), file)
    count(received=len(data))
    if (now.bytes, now.etag) != (file.bytes, file.etag) or (file.etag is None and now.mtime_ns != file.mtime_ns):
        raise _changed(file)
    if len(data) != stop - start:
        raise NetworkError(
            "the service sent other bytes than it was asked for",
            where=str(file),
            expected=f"{stop - start:,} bytes",
            found=f"{len(data):,} bytes",
            todo="run the same command again",
        )
    return data


def _as_source(request: Callable[[], T], file: RemoteFile) -> T:
    """The answer to a request. What is damage of a store is a fault of a source here."""
    try:
        return request()
    except (ObjectChanged, ObjectTruncated):  # the second where a service has no ETags
        raise _changed(file) from None
    except ObjectMissing:
        raise SourceError(
            "the object is gone, or may not be read",
            where=str(file),
            todo="check it and the credentials, then run the same command again",
        ) from None


def _changed(file: RemoteFile) -> SourceError:
    return SourceError(
        "the object has changed since it was found",
        where=str(file),
        expected=f"{file.bytes:,} bytes, ETag {file.etag}",
        todo="run the same command again; if it uses a plan (--plan, batch run), make the plan again first",
    )
