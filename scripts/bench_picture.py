"""Draw what bench.py measured: each ratio against its target, and how time grows with size and cores. Needs [plot].

usage: python scripts/bench_picture.py bench.json picture.png
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"  # told apart by the colour-blind too (Okabe and Ito)

Rows = Sequence[dict[str, Any]]


def _reached(row: dict[str, Any]) -> float:
    """How far beyond its target: 1 is just met, 2 twice as good, whichever way round the target is."""
    sign, bound = row["target"].split()
    return float(row["ratio"] / float(bound) if sign == ">=" else float(bound) / row["ratio"])


def draw_targets(axes: Any, rows: Rows) -> None:
    """A bar a target, from 1 to the right if it is met and to the left if it is missed."""
    told = [row for row in rows if row["target"] and row["ratio"] is not None]
    for y, row in enumerate(reversed(told)):
        reached = _reached(row)
        axes.barh(y, reached - 1, left=1, height=0.6, color=BLUE if row["met"] else ORANGE)
        sign = row["target"].split()[0].replace(">=", "≥").replace("<=", "≤")
        words = f" {row['ratio']:.2f} ({sign} {row['target'].split()[1]}) "
        axes.text(reached, y, words, va="center", ha="left" if reached >= 1 else "right", fontsize=8)
    axes.set_yticks(range(len(told)), [f"{row['name']}\nagainst {row['peer']}" for row in reversed(told)], fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    shown = [1.0, *(_reached(row) for row in told)]
    axes.set_xlim(min(shown) / 1.8, max(shown) * 2.2)
    ticks = [tick for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8, 16) if axes.get_xlim()[0] < tick < axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("times as good as its target (blue: met, orange: missed)")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw_growth(axes: Any, rows: Rows) -> None:
    """Seconds of a conversion by size, a line for each number of cores."""
    runs = next((row["medians"] for row in rows if "times the size" in row["name"]), {})
    cores = sorted({int(name.split()[2]) for name in runs})
    for n, (color, marker) in zip(cores, ((ORANGE, "o"), (BLUE, "s"), (GREY, "^")), strict=False):
        points = sorted((int(name.split("x")[0]), value) for name, value in runs.items() if name.split()[2] == str(n))
        axes.plot(*zip(*points, strict=True), color=color, marker=marker, label=f"{n} core{'s' if n > 1 else ''}")
    axes.set_xlabel("size of the TFRecord (1 = a quarter of the whole)")
    axes.set_ylabel("seconds to Zarr")
    axes.set_xticks([1, 2, 4])
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw(report: dict[str, Any], path: Path) -> None:
    """Write the picture in the format of its suffix."""
    from matplotlib.figure import Figure

    rows = report["rows"]
    grown = any("times the size" in row["name"] for row in rows)
    bars = sum(row["target"] is not None and row["ratio"] is not None for row in rows)
    height = 1.5 + 0.42 * bars + (3.2 if grown else 0)
    figure = Figure((9, height), layout="constrained")
    if grown:
        top, bottom = figure.subplots(2, 1, height_ratios=[max(1, 0.42 * bars), 2.8])
        draw_growth(bottom, rows)
    else:
        top = figure.subplots()
    draw_targets(top, rows)
    figure.suptitle(
        f"s2ct {report['s2ct']}, {report['source_bytes'] / 1e6:,.0f} MB, {report['cpu']}, {report['cores']} cores, "
        f"{report['date']}",
        fontsize=10,
    )
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, help="what bench.py --json wrote")
    parser.add_argument("picture", type=Path, help="PNG, PDF or SVG by its suffix")
    options = parser.parse_args()
    report = json.loads(options.report.read_text())
    if not any(row["target"] and row["ratio"] is not None and math.isfinite(row["ratio"]) for row in report["rows"]):
        raise SystemExit(f"{options.report}: nothing in it has a target")
    draw(report, options.picture)


if __name__ == "__main__":
    main()
