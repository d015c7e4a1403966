"""What tests read from the page."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

# The pixels of every picture of the page: rows in the unit, and RGBA of 42 x 42 for each, in base64.
_PIXELS = """() => {
  const all = [...document.querySelectorAll("[data-obs] canvas")];
  const part = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const text = (bytes) => btoa(String.fromCharCode(...bytes));
  return all.map((canvas) => [Number(canvas.closest("[data-obs]").dataset.obs), text(part(canvas))]);
}"""


def pictures(page: Any) -> dict[int, np.ndarray]:
    """RGB (42, 42, 3) of each picture, by row in the unit; every pixel is opaque."""
    found = {}
    for row, text in page.evaluate(_PIXELS):
        rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(42, 42, 4)
        assert (rgba[..., 3] == 255).all()
        found[row] = rgba[..., :3]
    return found


def body(page: Any) -> dict[str, str]:
    """The data attributes of <body>."""
    return dict(page.evaluate("() => ({...document.body.dataset})"))


def rows(page: Any, selector: str = "[data-obs]") -> list[int]:
    """Rows of the dates in the document, in order."""
    found = page.eval_on_selector_all(selector, "(all) => all.map((one) => Number(one.dataset.obs))")
    return list(map(int, found))


def alerts(page: Any) -> list[str]:
    return list(page.locator("[role=alert]").all_inner_texts())
