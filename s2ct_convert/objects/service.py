"""Clients of object stores: one for each store and process, with the credentials of the environment.

obstore does not survive a fork: after one request in the parent, a request in the child never ends. So the first use in
a forked child raises an error at once.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import MissingPackage, NetworkError, S2ctError, WrongUsage
from ..version import __version__, install_advice
from .address import ObjectPath
from .failures import failure_of, service_errors

CONNECT_SECONDS, REQUEST_SECONDS = 5, 300
RETRIES, RETRY_SECONDS = 8, 60  # of one request, with growing pauses and jitter
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 10
_METADATA = ("169.254.169.254", 80)  # credentials of a machine in the cloud
_METADATA_SECONDS = 1

_used_by: int | None = None  # the process that made the first request


def client(root: str) -> Any:
    """The client of the store at an address.

    Raises
    ------
    MissingPackage
        If obstore is not installed.
    WrongUsage
        In a process that was forked from one that has made requests.
    NetworkError
        If there are no credentials.
    """
    global _used_by
    here = os.getpid()
    if _used_by not in (None, here):
        raise WrongUsage(
            "this process was forked from one that has read from a bucket or a server; it cannot read there itself",
            where=root,
            todo='start processes with "spawn" or "forkserver", such as '
            'DataLoader(..., multiprocessing_context="spawn")',
        )
    _used_by = here
    try:
        return _client(root)
    except S2ctError:
        raise
    except service_errors() as error:  # such as a secret key without an access key
        raise failure_of(error, ObjectPath(root)) from None


@lru_cache(maxsize=64)
def _client(root: str) -> Any:
    try:
        from obstore import store
    except ImportError as error:
        raise MissingPackage("this needs obstore", where=root, todo=install_advice("cloud")) from error
    parts = urlsplit(root)
    if parts.scheme in ("http", "https"):
        return store.HTTPStore.from_url(root, **_limits(plain=parts.scheme == "http"))
    prefix = parts.path.strip("/") or None
    if parts.scheme == "gs":
        return store.GCSStore(parts.netloc, prefix=prefix, skip_signature=_is_set("AWS_SKIP_SIGNATURE"), **_limits())
    if parts.scheme == "az":
        return _azure(store.AzureStore, parts.netloc, prefix)
    return _s3(store.S3Store, parts.netloc, prefix)


def _limits(*, plain: bool = False) -> dict[str, Any]:
    return {
        "client_options": {
            "allow_http": plain,
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "user_agent": f"s2ct/{__version__}",
        },
        "retry_config": {
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {
                "base": 2,
                "init_backoff": timedelta(seconds=PAUSE_SECONDS),
                "max_backoff": timedelta(seconds=LONGEST_PAUSE_SECONDS),
            },
        },
    }


def _azure(make: Any, container: str, prefix: str | None) -> Any:
    """obstore reads the account and its key from the environment."""
    endpoint = os.environ.get("AZURE_STORAGE_ENDPOINT")
    options = _limits(plain=bool(endpoint and endpoint.lower().startswith("http://")))
    if endpoint:
        options["endpoint"] = endpoint
    return make(container, prefix=prefix, skip_signature=_is_set("AWS_SKIP_SIGNATURE"), **options)


def _s3(make: Any, bucket: str, prefix: str | None) -> Any:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options = _limits(plain=bool(endpoint and endpoint.lower().startswith("http://")))
    if endpoint:
        options["endpoint"] = endpoint
    if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        options["region"] = region
    if _is_set("AWS_SKIP_SIGNATURE"):
        options["skip_signature"] = True
    elif provider := _profile(bucket):
        options["credential_provider"] = provider
    options["checksum_algorithm"] = "SHA256"  # of what is sent; the service checks it
    return make(bucket, prefix=prefix, request_payer=_is_set("AWS_REQUESTER_PAYS"), **options)


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes")


def _profile(bucket: str) -> Any:
    """Credentials of a profile, through boto3; None where obstore finds them itself."""
    if any(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")):
        return None
    if any(name.startswith("AWS_CONTAINER_CREDENTIALS_") for name in os.environ):
        return None
    home = Path("~/.aws").expanduser()
    files = [os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials")]
    files += [os.environ.get("AWS_CONFIG_FILE", home / "config")]
    if not (os.environ.get("AWS_PROFILE") or any(Path(file).exists() for file in files)):
        if not _answers(_METADATA):
            raise _no_credentials(bucket)
        return None
    if find_spec("boto3") is None:
        raise MissingPackage(
            "profiles of AWS need boto3",
            where=f"s3://{bucket}",
            todo="install boto3, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    return _from_boto3(bucket)


def _from_boto3(bucket: str) -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        session = boto3.session.Session()
        found = session.get_credentials()
    except BotoCoreError as error:  # its messages name profiles and files, never a key
        raise NetworkError("boto3 finds no credentials", where=f"s3://{bucket}", found=str(error)) from None
    if found is None:
        raise _no_credentials(bucket)
    return Boto3CredentialProvider(session)


def _no_credentials(bucket: str) -> NetworkError:
    return NetworkError(
        "there are no credentials for this bucket",
        where=f"s3://{bucket}",
        todo="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; for a public bucket give "
        "--no-sign-request (Python: AWS_SKIP_SIGNATURE=true)",
    )


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=_METADATA_SECONDS):
            return True
    except OSError:
        return False
