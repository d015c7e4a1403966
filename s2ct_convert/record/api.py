"""The REST API of Zenodo: which record is meant, and what its answer says of the files.

Three shapes of the answer are in use: the record with ``files`` (key, size, ``md5:...``), the list of files with
``entries``, and the older one of deposits (filename, filesize, bare md5).
Source: zenodo-rdm site/zenodo_rdm/legacy/serializers/schemas/zenodojson.py; invenio-rdm-records resources.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlsplit

from ..errors import WrongUsage
from .manifest import BadManifest, Manifest, RecordFile

ZENODO = "https://zenodo.org"
_KEY_SAFE = "/!$&'()*+,;=:@"  # what Zenodo leaves as it is in links


def record_id(text: str) -> str:
    """The id in an id, a DOI or a URL of a record.

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
        "this names no Zenodo record",
        where=text,
        expected="an id (10613705), a DOI (10.5281/zenodo.10613705) or a URL (https://zenodo.org/records/10613705)",
    )


def record_url(base: str, record: str) -> str:
    """Where the description of a record is."""
    return f"{base}/api/records/{record}"


def file_urls(base: str, record: str, key: str) -> tuple[str, str]:
    """Both URLs of a file's content. Some servers answer ranges at one of them only (zenodo/zenodo issue 2593)."""
    quoted = quote(key, safe=_KEY_SAFE)
    return f"{base}/api/records/{record}/files/{quoted}/content", f"{base}/records/{record}/files/{quoted}?download=1"


def parse_record(record: str, document: Any) -> Manifest:
    """The manifest in an answer of the service, in any of its three shapes.

    Raises
    ------
    BadManifest
    """
    if not isinstance(document, dict):
        raise BadManifest("the answer of the service is not a description of a record", where=f"record {record}")
    said = str(document.get("recid") or document.get("id") or record)
    if said != record:
        raise BadManifest("the service describes another record", where=f"record {record}", found=f"record {said}")
    entries = document.get("entries", document.get("files"))
    if isinstance(entries, dict):  # of records in the InvenioRDM form
        entries = entries.get("entries")
    if isinstance(entries, dict):
        entries = list(entries.values())
    if not isinstance(entries, list) or not entries:
        raise BadManifest(
            "the service lists no files",
            where=f"record {record}",
            todo="files of a restricted record need a token, see s2ct download --help",
        )
    return Manifest.of(record, [_file(entry) for entry in entries], str(document.get("doi") or ""))


def _file(entry: Any) -> RecordFile:
    if not isinstance(entry, dict):
        raise BadManifest("an entry of the file list is none", found=repr(entry)[:80])
    key, size = entry.get("key", entry.get("filename")), entry.get("size", entry.get("filesize"))
    if not isinstance(key, str):
        raise BadManifest("a file without a name", found=repr(entry)[:80])
    if not isinstance(size, int) or isinstance(size, bool):
        raise BadManifest("a file without a size", where=key, found=repr(size))
    return RecordFile(key, _md5(key, entry.get("checksum")), size)


def _md5(key: str, checksum: Any) -> str:
    algorithm, _, value = str(checksum).rpartition(":")
    if algorithm not in ("", "md5") or not re.fullmatch(r"[0-9a-fA-F]{32}", value):
        raise BadManifest("the checksum is no md5", where=key, found=str(checksum)[:80])
    return value.lower()
