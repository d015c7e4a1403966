"""The documents of the repository, and their blocks of code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *PAGES[1:]]


class Block(NamedTuple):
    """A block of code, with its page, its number there among those of one language, and the text of the page."""

    page: Path
    number: int
    code: str

    @property
    def name(self) -> str:
        return f"{self.page.stem}-{self.number}"


def blocks(page: Path, *languages: str) -> list[Block]:
    """The blocks of some languages on a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^```(?:{'|'.join(languages)})\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [Block(page, number, code) for number, code in enumerate(found, start=1)]


def without_blocks(page: Path) -> str:
    """The running text of a page."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def console_commands(page: Path) -> list[str]:
    """The commands after a prompt on a page, in order; those over several lines in one."""
    text = "\n".join(re.sub(r"\\\n\s*", "", block.code) for block in blocks(page, "console"))
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
