"""HTTP requests to the service: redirects, proxies and the token. Retries are decided elsewhere.

The token is sent in a header, to the service's own host only. It never appears in a URL, a message or a log.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.response import BaseHTTPResponse

from ..dataset import DATASET
from ..errors import NetworkError, WrongUsage
from ..version import __version__
from .api import ZENODO

URL_VARIABLE = "S2CT_ZENODO_URL"
TOKEN_VARIABLES = ("S2CT_ZENODO_TOKEN", "ZENODO_TOKEN")
# The form that Zenodo asks for. It refuses the names of libraries and false names of browsers.
USER_AGENT = f"s2ct-convert/{__version__} (+{DATASET.doi})"
_REDIRECTS = 5


def service_url(option: str | None) -> str:
    """Root URL of the service: the option, else the environment, else Zenodo."""
    url = (option or os.environ.get(URL_VARIABLE) or ZENODO).rstrip("/")
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, an incomplete IPv6 address
        raise _no_root("") from None
    if not right or parts.username is not None or parts.query or parts.fragment:
        raise _no_root(redact(url))
    return url


def _no_root(where: str) -> WrongUsage:
    return WrongUsage(
        "this is not the root URL of a service",
        where=where or f"--base-url or {URL_VARIABLE}",
        expected="https://zenodo.org or http://host:port, without a login and without a query",
    )


def token_from_environment() -> str | None:
    """The access token, if one is set, without surrounding blanks and line ends."""
    return next((token for name in TOKEN_VARIABLES if (token := os.environ.get(name, "").strip())), None)


@dataclass
class Service:
    """Sends requests to a root URL. All lanes share it.

    Parameters
    ----------
    base : str
        Root of the service.
    user_agent : str
    token : str, optional
        Access token for a restricted record.
    connect, read : float
        Timeouts in seconds, for a connection and for each read.

    Raises
    ------
    WrongUsage
        If the user agent or the token is not valid in a header. The message does not show the token.
    """

    base: str
    user_agent: str = USER_AGENT
    token: str | None = field(default=None, repr=False)
    connect: float = 20.0
    read: float = 90.0

    def __post_init__(self) -> None:
        if not _fits_header(self.user_agent):
            raise WrongUsage("this is not a valid user agent", where=ascii(self.user_agent), expected="printable ASCII")
        if self.token and not (_fits_header(self.token) and " " not in self.token):
            raise WrongUsage(
                "the access token has invalid characters",
                where=" or ".join(TOKEN_VARIABLES),
                todo="set it again; a token has only letters, digits and -._~+/=",
            )
        self._direct = urllib3.PoolManager(maxsize=16, retries=False)
        self._proxies: dict[str, urllib3.ProxyManager] = {}

    def get(
        self,
        url: str,
        *,
        start: int = 0,
        end: int | None = None,
        accept: str = "*/*",
        turn: Callable[[], None] = lambda: None,
    ) -> BaseHTTPResponse:
        """Send a request and follow redirects. The body of the response is not read yet.

        Parameters
        ----------
        start : int
            First byte to request, sent as a range.
        end : int, optional
            Byte after the last one to request. By default the file is requested to its end.
        turn : callable
            Waits until a request is allowed. Called before each request, also after a redirect.

        Raises
        ------
        urllib3.exceptions.HTTPError
            If there is no response.
        NetworkError
            If there are too many redirects, or one leads to something that is not a web address.
        """
        for _ in range(_REDIRECTS):
            turn()
            headers = {"User-Agent": self.user_agent, "Accept": accept, "Accept-Encoding": "identity"}
            if self.token and _host(url) == _host(self.base):
                headers["Authorization"] = f"Bearer {self.token}"
            if start or end is not None:
                headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            answer = self._manager(url).request(
                "GET",
                url,
                headers=headers,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=self.connect, read=self.read),
            )
            answer.url = url  # urllib3 gives the path only
            location = answer.get_redirect_location()
            if not location:
                return answer
            answer.drain_conn()
            answer.release_conn()
            url = _target(url, location)
        raise NetworkError("the service redirects too often", where=redact(url))

    def _manager(self, url: str) -> urllib3.PoolManager:
        """The pool for a URL: direct, or through the proxy in the environment."""
        parts = urlsplit(url)
        proxies = getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all")
        if not proxy or proxy_bypass(parts.netloc):
            return self._direct
        if proxy not in self._proxies:
            self._proxies[proxy] = _proxy_manager(proxy)
        return self._proxies[proxy]

    def close(self) -> None:
        """Close all idle connections."""
        for manager in (self._direct, *self._proxies.values()):
            manager.clear()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _proxy_manager(proxy: str) -> urllib3.ProxyManager:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme not in ("http", "https"):
        raise WrongUsage(
            "this kind of proxy is not supported",
            where=redact(proxy),
            expected="http://host:port",
            todo="unset ALL_PROXY",
        )
    login = unquote(f"{parts.username}:{parts.password or ''}") if parts.username else None
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
    return urllib3.ProxyManager(bare, proxy_headers=headers, maxsize=16, retries=False)


def _is_web(url: str) -> bool:
    """Whether this is a valid http or https URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # unmatched brackets, a port that is not a number
        return False


def _target(url: str, location: str) -> str:
    """Target URL of a redirect."""
    try:
        target = urljoin(url, location)
    except ValueError:
        target = ""
    if not _is_web(target):
        raise NetworkError("the service redirects to something that is not a web address", where=redact(url))
    return target


def _host(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _fits_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


def redact(url: str) -> str:
    """A URL without its parts that may be secret: login and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
