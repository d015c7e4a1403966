"""A browser for the page: Debian's Chromium, driven by Playwright; tests of the page are skipped without them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import s2ct_convert

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
Opened = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("there is no Chromium on the PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_url(browser: Any) -> Iterator[Opened]:
    """Open an address in a new profile and wait until the page is ready. Its lists: ``requests`` and ``complaints``."""
    contexts = []

    def open_(url: str, *, context: Any = None, **options: Any) -> Any:
        context = context or browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.requests, page.complaints = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(url)
        ready(page)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(open_url: Opened) -> Iterator[Opened]:
    """Serve a store and open its page; ``query`` is added to the address, ``predictions`` are a file."""
    views = []

    def open_(store: Path, query: str = "", predictions: Path | None = None, **options: Any) -> Any:
        view = s2ct_convert.view(store, predictions=predictions)
        views.append(view)
        page = open_url(view.url + query, **options)
        page.view = view
        return page

    yield open_
    for view in views:
        view.close()


def ready(page: Any) -> None:
    """Wait until the page says that it is done."""
    page.wait_for_selector('body[data-ready="true"]', state="attached", timeout=20_000)
