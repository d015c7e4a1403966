"""The REST API of Zenodo: ids and URLs of records, and parsing of the file list.

The response has one of three shapes: the record with ``files`` (key, size, ``md5:...``), the list of files with
``entries``, and the older form of deposits (filename, filesize, bare md5).
Source: zenodo-rdm site/zenodo_rdm/legacy/serializers/schemas/zenodojson.py; invenio-rdm-records resources.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import WrongUsage
from .manifest import BadManifest, Manifest, RecordFile, check_key

ZENODO = "https://zenodo.org"
_OWN_NAME = re.compile(r"\.lock\.json$|^\.s2ct-|\.s2ct-tmp$", re.IGNORECASE)
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)  # also halves of a character, and marks that turn text around
_KEY_SAFE = "/!$&'()*+,;=:@"  # Zenodo does not quote these in links


def record_id(text: str) -> str:
    """Get the id of a record from an id, a DOI or a URL.

    Raises
    ------
    WrongUsage
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return text
    if match := re.fullmatch(
        r"(?:doi:|https?://(?:dx\.)?doi\.org/)?10\.5281/zenodo\.([0-9]{1,12})", text, re.IGNORECASE
    ):
        return match[1]
    if urlsplit(text).scheme in ("http", "https") and (
        match := re.search(r"/(?:api/)?records?/([0-9]{1,12})(?:[/?#]|$)", text)
    ):
        return match[1]
    raise WrongUsage(
        "this is not a Zenodo record",
        where=text,
        expected="an id (10613705), a DOI (10.5281/zenodo.10613705) or a URL (https://zenodo.org/records/10613705)",
    )


def record_url(base: str, record: str) -> str:
    """URL of the description of a record."""
    return f"{base}/api/records/{record}"


def file_urls(base: str, record: str, key: str) -> tuple[str, str]:
    """Both URLs of a file's content. Some servers support ranges at only one of them (zenodo/zenodo issue 2593)."""
    quoted = quote(key, safe=_KEY_SAFE)
    return f"{base}/api/records/{record}/files/{quoted}/content", f"{base}/records/{record}/files/{quoted}?download=1"


def parse_record(record: str, document: Any) -> Manifest:
    """Parse the file list of a record, in any of its three shapes.

    Raises
    ------
    BadManifest
    """
    if not isinstance(document, dict):
        raise BadManifest("the response is not the description of a record", where=f"record {record}")
    found = str(document.get("recid") or document.get("id") or record)
    if found != record:
        raise BadManifest("the service describes another record", where=f"record {record}", found=f"record {found}")
    entries = document.get("entries", document.get("files"))
    if isinstance(entries, dict):  # the InvenioRDM form
        entries = entries.get("entries")
    if isinstance(entries, dict):
        entries = list(entries.values())
    if not isinstance(entries, list) or not entries:
        raise BadManifest(
            "the service lists no files",
            where=f"record {record}",
            todo="if the record is restricted, set a token; see s2ct download --help",
        )
    return Manifest.of(record, [_file(entry) for entry in entries], str(document.get("doi") or ""))


def _file(entry: Any) -> RecordFile:
    if not isinstance(entry, dict):
        raise BadManifest("an entry of the file list is not an object", found=repr(entry)[:80])
    key, size = entry.get("key", entry.get("filename")), entry.get("size", entry.get("filesize"))
    if not isinstance(key, str):
        raise BadManifest("a file has no name", found=repr(entry)[:80])
    check_key(key)
    if _HIDDEN.search(key) or any(_OWN_NAME.search(part) for part in key.split("/")):
        raise BadManifest(
            "a file name of the record is one of s2ct's own, or has characters that are not shown",
            where=ascii(key)[:300],
        )
    if not isinstance(size, int) or isinstance(size, bool):
        raise BadManifest("a file has no size", where=key, found=repr(size))
    return RecordFile(key, _md5(key, entry.get("checksum")), size)


def _md5(key: str, checksum: Any) -> str:
    algorithm, _, value = str(checksum).rpartition(":")
    if algorithm not in ("", "md5") or not re.fullmatch(r"[0-9a-fA-F]{32}", value):
        raise BadManifest("the checksum is not an md5", where=key, found=str(checksum)[:80])
    return value.lower()
