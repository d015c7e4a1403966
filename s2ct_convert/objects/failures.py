"""Turns the errors of obstore into ours: one sentence, the place, what to do. Never a key, a token or a signature."""

from __future__ import annotations

import re

from ..errors import Incomplete, NetworkError, S2ctError, StoreDamaged, WrongUsage
from .address import ObjectPath

_CREDENTIALS = "check the credentials in the environment; docs/cloud.md lists them"
_CODES = {  # of S3: what happened, what to do
    "ExpiredToken": ("the credentials have expired", "get new ones and run the same command again"),
    "RequestExpired": ("the credentials have expired", "get new ones and run the same command again"),
    "TokenRefreshRequired": ("the credentials have expired", "get new ones and run the same command again"),
    "InvalidToken": ("the service does not accept the session token", _CREDENTIALS),
    "InvalidAccessKeyId": ("the service does not know the access key", _CREDENTIALS),
    "InvalidClientTokenId": ("the service does not know the access key", _CREDENTIALS),
    "SignatureDoesNotMatch": ("the secret key does not belong to the access key", _CREDENTIALS),
    "AuthFailure": ("the service does not accept the credentials", _CREDENTIALS),
    "AuthenticationFailed": ("the service does not accept the credentials", _CREDENTIALS),  # this and the next: Azure
    "AuthorizationFailure": ("the service does not accept the credentials", _CREDENTIALS),
    "RequestTimeTooSkewed": ("the clock of this machine is wrong", "set the clock"),
    "PermanentRedirect": ("the bucket is in another region", "set AWS_REGION to the region of the bucket"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", "set AWS_REGION to the region of the bucket"),
    "IllegalLocationConstraintException": ("the bucket is in another region", "set AWS_REGION to its region"),
    "IncorrectEndpoint": ("the bucket is in another region", "set AWS_REGION to the region of the bucket"),
    "SlowDown": ("the service asks for fewer requests", "wait, then run the same command again with fewer jobs (-j)"),
    "QuotaExceeded": ("the quota of the bucket is used up", "raise the quota and run the same command again"),
}
_BUSY = ("SlowDown",)  # the same request may succeed later
_TRUNCATED = ("InvalidRange", "InvalidGetRange", "416 Range Not Satisfiable", "OutOfRange", "StartTooLarge")
_NO_NAME = ("Could not parse path", "Encountered object with invalid path")
_NO_RANGES = ("Range request not supported", "non-partial response", "does not support suffix range")


class Refused(NetworkError):
    """A service refuses a request, and will refuse it again."""


class RequestLimit(Refused):
    """The limit on the number of requests is reached."""


class NotSupported(Refused):
    """A service does not implement what is asked of it."""


class Overtaken(Incomplete):
    """An object that is replaced under a condition is not as it was: another process has replaced it."""


class NoRanges(NetworkError):
    """A server sends the whole object instead of a part."""


class ObjectMissing(StoreDamaged):
    """An object that the store names is not there."""


class MissingOrDenied(ObjectMissing):
    """An object is not there, or may not be read. A bucket that may not be listed answers the same for both."""


class ObjectTruncated(StoreDamaged):
    """An object ends before the bytes that were asked for."""


class ObjectChanged(StoreDamaged):
    """An object has other content than the one that was asked for (``If-Match``)."""


def service_errors() -> tuple[type[Exception], ...]:
    """The classes of errors that obstore raises for what a service does."""
    from obstore.exceptions import BaseError

    return BaseError, OSError, ValueError


def failure_of(error: BaseException, place: ObjectPath, *, writing: bool = False) -> S2ctError:
    """The error of ours for an error of obstore at a place."""
    text = str(error).partition("\n\nDebug source")[0]
    code = next(iter(re.findall(r"<Code>(\w+)</Code>", text)), "")
    if code in ("NoSuchBucket", "ContainerNotFound"):
        return WrongUsage("there is no such bucket", where=place.root, todo="check the address")
    if code in _CODES:
        what, todo = _CODES[code]
        kind = NetworkError if code in _BUSY else Refused
        return kind(what, where=place.root, todo=todo)
    if code == "NotImplemented" or "501 Not Implemented" in text:
        return NotSupported("the service cannot do this", where=str(place), found=_short(text))
    if any(one in text for one in _NO_NAME):
        return WrongUsage(
            "an object has a name that s2ct cannot ask for: with an empty part, '.' or '..' between slashes",
            where=str(place),
            found=_short(text),
            todo="rename the object, or choose an address that it is not below",
        )
    if isinstance(error, FileNotFoundError):
        return ObjectMissing("this object is missing", where=str(place))
    if type(error).__name__ == "PreconditionError":
        return ObjectChanged("this object has changed", where=str(place))
    if any(one in text for one in _NO_RANGES):
        return NoRanges(
            "this server cannot send parts of a file (no support for Range)",
            where=str(place),
            todo="use a server that supports Range, or copy what is there to this machine",
        )
    if any(one in text for one in _TRUNCATED):
        return ObjectTruncated("this object is truncated", where=str(place))
    if is_denied(error):
        return _may_not_write(place) if writing else _denied(place)
    if "performing token request" in text:
        return NetworkError("there are no credentials for this place", where=place.root, todo=_CREDENTIALS)
    if "MissingAccount" in str(error) or "MissingAccessKeyId" in str(error) or "MissingSecretAccessKey" in str(error):
        return NetworkError("the credentials are not complete", where=place.root, todo=_CREDENTIALS)
    if "error sending request" in text:
        return NetworkError(
            "cannot reach the service",
            where=str(place),
            todo="check the address, --endpoint-url or AWS_ENDPOINT_URL, and the network",
        )
    if "edirect" in text:
        return NetworkError(*_CODES["PermanentRedirect"][:1], where=place.root, todo=_CODES["PermanentRedirect"][1])
    return NetworkError(
        "the service failed", where=str(place), found=_short(text), todo="run the same command again later"
    )


def is_denied(error: BaseException) -> bool:
    """Whether a service refuses what these credentials ask for. obstore has no class for a list that is refused."""
    kinds = ("PermissionDeniedError", "UnauthenticatedError")
    return type(error).__name__ in kinds or "status code: 403 Forbidden" in str(error)


def _denied(place: ObjectPath) -> S2ctError:
    """Access is denied. A bucket that may not be listed answers the same for a missing object."""
    if place.key and place.key != "zarr.json":
        return MissingOrDenied("this object is missing, or may not be read (the service says the same of both)",
                               where=str(place))  # fmt: skip
    return NetworkError(
        "access is denied, or there is no store at this address",
        where=place.root,
        todo="check the address and the credentials; for a public bucket give --no-sign-request",
    )


def _may_not_write(place: ObjectPath) -> Refused:
    return Refused(
        "access is denied: these credentials may not write or delete here",
        where=str(place),
        todo="check the credentials; s2ct needs the permissions to get, put and delete objects",
    )


def _short(text: str) -> str:
    """The first line of a message, without queries, which may hold a signature."""
    line = " ".join(text.split())
    line = re.sub(r"\?[^\s)]*", "?...", line)
    return line if len(line) <= 200 else f"{line[:197]}..."
