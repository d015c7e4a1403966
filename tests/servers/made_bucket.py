"""What tests of a store in a bucket ask of the server in objects.py."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from .objects import Bucket

ADDRESS = "s3://b/made.zarr"


def environment(bucket: Bucket) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": bucket.url, "AWS_ACCESS_KEY_ID": "AKIASECRET", "AWS_SECRET_ACCESS_KEY": "SECRETSECRET"}


def objects(store: Path) -> dict[str, bytes]:
    """All files of a store but the root, whose date differs."""
    found = {path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()}
    root = json.loads(found.pop("zarr.json"))
    attributes = root["attributes"]
    for name in ("date_created", "history", "tables_digest"):
        attributes.pop(name, None)
    return {**found, "root": json.dumps(root).encode()}


def sent_twice(bucket: Bucket) -> list[str]:
    """Keys that were put more than once, without those that a run may write again: root, index, plan."""
    again = Counter(key for key in bucket.puts() if "probe-" not in key)
    often = ("made.zarr/zarr.json", "made.zarr/index/", "sending/index.json", "store.json")
    return [key for key, n in again.items() if n > 1 and not any(one in key for one in often)]


def same_as_on_disk(bucket: Bucket, made: Path) -> bool:
    return objects(bucket.folder / "b" / "made.zarr") == objects(made)
