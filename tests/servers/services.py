"""Services of other people that keep objects, started on loopback sockets: Ceph's gateway, moto and Azurite."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from . import ceph

START_SECONDS = 60


@dataclass(frozen=True)
class Service:
    """A service with an empty bucket."""

    name: str
    url: str
    bucket: str  # its address
    environment: dict[str, str]

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port


def _s3(name: str, url: str) -> Service:
    """A service with the protocol of S3, in which this makes a bucket."""
    keys = {"AWS_ACCESS_KEY_ID": ceph.KEY, "AWS_SECRET_ACCESS_KEY": ceph.SECRET, "AWS_REGION": "us-east-1"}
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        "bucket",
        endpoint=url,
        access_key_id=ceph.KEY,
        secret_access_key=ceph.SECRET,
        client_options={"allow_http": True},
    )
    asked = urllib.request.Request(obstore.sign(store, "PUT", "", timedelta(minutes=5)), method="PUT")
    urllib.request.urlopen(asked, timeout=START_SECONDS).close()
    return Service(name, url, "s3://bucket", {"AWS_ENDPOINT_URL": url, **keys})


@contextmanager
def ceph_gateway(folder: Path) -> Iterator[Service]:
    """Ceph, which Debian has. Skips where it is not here."""
    if missing := ceph.missing_programs():
        pytest.skip(f"not here: {', '.join(missing)} (apt-get install ceph-mon ceph-osd radosgw)")
    with ceph.gateway(folder) as url:
        yield _s3("ceph", url)


@contextmanager
def moto(folder: Path) -> Iterator[Service]:
    """moto, a stand-in for S3. S2CT_MOTO_SERVER names the program where it is not on the PATH. Skips without it."""
    program = os.environ.get("S2CT_MOTO_SERVER") or shutil.which("moto_server")
    if program is None:
        pytest.skip("moto_server is not here: pip install 'moto[server]' in an environment of its own")
    with _started([program, "-H", "127.0.0.1", "-p", "0"], r"http://127\.0\.0\.1:\d+") as url:
        yield _s3("moto", url)


@contextmanager
def azurite(folder: Path) -> Iterator[Service]:
    """Azurite, the stand-in for Azure by its makers. S2CT_AZURITE names the program where it is not on the PATH."""
    program = os.environ.get("S2CT_AZURITE") or shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite-blob is not here: npm install azurite")
    secret = base64.b64encode(ceph.SECRET.encode()).decode()
    command = [program, "--blobPort", "0", "--location", str(folder), "--skipApiVersionCheck"]
    accounts = {"AZURITE_ACCOUNTS": f"test:{secret}"}
    with _started(command, r"http://127\.0\.0\.1:[1-9]\d*", accounts) as url:
        _make_container(url, secret)
        names = {"ENDPOINT": f"{url}/test", "ACCOUNT_NAME": "test", "ACCOUNT_KEY": secret}
        yield Service("azurite", url, "az://bucket", {f"AZURE_STORAGE_{name}": names[name] for name in names})


def _make_container(url: str, secret: str) -> None:
    about = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    signed = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in about.items())]
    text = "\n".join([*signed, "/test/test/bucket", "restype:container"])
    code = hmac.new(base64.b64decode(secret), text.encode(), hashlib.sha256).digest()
    headers = {**about, "Authorization": f"SharedKey test:{base64.b64encode(code).decode()}", "Content-Length": "0"}
    asked = urllib.request.Request(f"{url}/test/bucket?restype=container", method="PUT", headers=headers)
    urllib.request.urlopen(asked, timeout=START_SECONDS).close()


@contextmanager
def _started(command: list[str], says: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """What a program says once it listens."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    guard = threading.Timer(START_SECONDS, process.kill)
    guard.start()
    try:
        assert process.stdout is not None
        said = next((found[0] for line in process.stdout if (found := re.search(says, line))), None)
        guard.cancel()
        if said is None:
            pytest.skip(f"{command[0]} does not start")
        threading.Thread(target=process.stdout.read, daemon=True).start()  # or it stops when the pipe is full
        yield said
    finally:
        guard.cancel()
        process.kill()
        process.wait()


SERVICES = {"ceph": ceph_gateway, "moto": moto, "azurite": azurite}
