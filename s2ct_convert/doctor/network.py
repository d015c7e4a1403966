"""The connection to Zenodo: proxies, TLS, and one small request."""

from __future__ import annotations

import os
import ssl
import threading
import time
from pathlib import Path
from urllib.request import getproxies

import urllib3

from ..errors import S2ctError
from ..record.answers import describe
from ..record.api import record_url
from ..record.service import USER_AGENT, Service, redact, service_url
from .findings import Findings

SECONDS = 10.0  # for the request, with the look-up of the name
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def examine_network(
    found: Findings, record: str | None, *, base_url: str | None = None, user_agent: str | None = None
) -> None:
    """Report proxies and TLS and ask the service for a record once; with None, ask nothing."""
    proxies = {scheme: redact(url) for scheme, url in getproxies().items() if scheme != "no"}
    words = ", ".join(f"{scheme}: {url}" for scheme, url in sorted(proxies.items())) or "none"
    except_for = getproxies().get("no", "")
    found.fact("proxies", words + (f"; not for {except_for}" if except_for else ""), proxies)
    _examine_tls(found)
    base = service_url(base_url)
    if record is None:
        found.fact("service", f"{base}, not asked (--offline)", None)
        return
    seconds, what = _ask(
        record_url(base, record), Service(base, user_agent or USER_AGENT, connect=SECONDS, read=SECONDS)
    )
    found.fact("service", f"{base} {what or f'answers, {seconds:.1f} s'}", what is None)
    if what:
        todo = "check the network; behind a proxy, set HTTPS_PROXY"
        found.problem(f"{base} {what}", todo)


def _examine_tls(found: Findings) -> None:
    given = {name: os.environ[name] for name in _CERTIFICATES if name in os.environ}
    words = ssl.OPENSSL_VERSION + "".join(f", {name}={path}" for name, path in given.items())
    found.fact("TLS", words, {"library": ssl.OPENSSL_VERSION, **given})
    for name, path in given.items():
        if not Path(path).exists():
            found.problem(f"{name} names {path}, which does not exist", f"unset {name}, or correct the path")


def _ask(url: str, service: Service) -> tuple[float, str | None]:
    """Seconds until the service answers, and what is wrong with the answer."""
    answers: list[str | None] = []

    def ask() -> None:
        try:
            with service:
                answer = service.get(url, accept="application/json")
                answer.close()
            answers.append(None if answer.status < 400 else f"answers {answer.status} {answer.reason or ''}".rstrip())
        except (urllib3.exceptions.HTTPError, OSError) as error:
            answers.append(f"cannot be reached: {describe(error)}")
        except S2ctError as error:
            answers.append(f"cannot be reached: {error.what}")

    began = time.monotonic()
    thread = threading.Thread(target=ask, daemon=True)  # the look-up of a name has no time limit of its own
    thread.start()
    thread.join(SECONDS)
    return time.monotonic() - began, answers[0] if answers else f"does not answer within {SECONDS:.0f} s"
