"""Print the lowest release of each package that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

NEWEST = {"mypy", "ruff", "types-protobuf"}  # check the source, not how it runs


def lowest(project: dict[str, object]) -> list[str]:
    """``name==version`` of every requirement with a lower bound."""
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    required = project["dependencies"]
    assert isinstance(required, list)
    found = [
        re.match(r"([\w.-]+)>=([\w.]+)", line)
        for line in (*required, *(one for name in extras.values() for one in name))
    ]
    return sorted({f"{one[1]}=={one[2]}" for one in found if one and one[1] not in NEWEST})


if __name__ == "__main__":
    text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    print(*lowest(tomllib.loads(text)["project"]), sep="\n")
