"""Options of commands that take a store at an address. They set the environment, so that workers have them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import click

from .options import ANY_PATH, Command, LocalPath, is_address


def _sets(*names: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_variable(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        from ..objects.flags import set_flag

        if value:
            set_flag(param.opts[0], value if isinstance(value, str) else None, names)

    return set_variable


class _Endpoint(click.ParamType[str]):
    """The address of a service. The store keeps the command line in its history, and advice repeats the option."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        parts = urlsplit(value)
        if "@" in parts.netloc or parts.query or parts.fragment:
            self.fail("it must not hold a user, a password, a query or a fragment; docs/cloud.md lists the variables.")
        return value


def cloud(command: Command) -> Command:
    """Add --endpoint-url, --no-sign-request and --request-payer."""
    for option in (
        click.option(
            "--request-payer",
            is_flag=True,
            expose_value=False,
            callback=_sets("AWS_REQUESTER_PAYS"),
            help="s3://: you pay for the requests to the bucket.",
        ),
        click.option(
            "--no-sign-request",
            is_flag=True,
            expose_value=False,
            callback=_sets("AWS_SKIP_SIGNATURE"),
            help="s3://, gs://, az://: read a public bucket without credentials.",
        ),
        click.option(
            "--endpoint-url",
            metavar="URL",
            expose_value=False,
            type=_Endpoint(),
            callback=_sets("AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT"),
            help="s3://, az://: the service, if it is not AWS or Azure.  [default: AWS_ENDPOINT_URL]",
        ),
    ):
        command = option(command)
    return command


max_requests = click.option(
    "--max-requests",
    type=click.IntRange(min=1),
    metavar="N",
    help="At an address: stop before request N + 1; run again to continue.  [default: no limit]",
)

scratch = click.option(
    "--scratch",
    type=ANY_PATH,
    metavar="DIR",
    help="For a STORE in a bucket: folder for units in progress.  [default: NAME.zarr.scratch in this folder]",
)


def is_store(address: str) -> bool:
    """Whether an address is that of a store and not of an archive."""
    return not address.lower().startswith("http") or address.rstrip("/").lower().endswith(".zarr")


class StoreOrAddress(LocalPath):
    """A store on this machine, or the address of one."""

    def __init__(self) -> None:
        super().__init__(data=True, store=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if is_address(value) else super().convert(value, param, ctx)
