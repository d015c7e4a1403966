"""Draws the results of bench.py: each ratio against its target, and time by size and cores. Needs [plot].

usage: python scripts/bench_picture.py bench.json picture.png
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"  # distinct for colour-blind readers (Okabe and Ito)

Rows = Sequence[dict[str, Any]]


def _reached(row: dict[str, Any]) -> float:
    """The ratio relative to its target: 1 meets it, 2 is twice as good, for both directions of targets."""
    sign, bound = row["target"].split()
    return float(row["ratio"] / float(bound) if sign == ">=" else float(bound) / row["ratio"])


def draw_targets(axes: Any, rows: Rows) -> None:
    """Draw one bar per target, from 1 to the right if it is met, to the left if it is missed."""
    shown = [row for row in rows if row["target"] and row["ratio"] is not None]
    for y, row in enumerate(reversed(shown)):
        reached = _reached(row)
        axes.barh(y, reached - 1, left=1, height=0.6, color=BLUE if row["met"] else ORANGE)
        sign = row["target"].split()[0].replace(">=", "≥").replace("<=", "≤")
        words = f" {row['ratio']:.2f} ({sign} {row['target'].split()[1]}) "
        axes.text(reached, y, words, va="center", ha="left" if reached >= 1 else "right", fontsize=8)
    axes.set_yticks(range(len(shown)), [f"{row['name']}\nagainst {row['peer']}" for row in reversed(shown)], fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    values = [1.0, *(_reached(row) for row in shown)]
    axes.set_xlim(min(values) / 1.8, max(values) * 2.2)
    ticks = [tick for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8, 16) if axes.get_xlim()[0] < tick < axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("times as good as its target (blue: met, orange: missed)")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw_growth(axes: Any, rows: Rows) -> None:
    """Draw the seconds of a conversion by size, one line per number of cores."""
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
    parser.add_argument("report", type=Path, help="the file that bench.py --json wrote")
    parser.add_argument("picture", type=Path, help="PNG, PDF or SVG by its suffix")
    options = parser.parse_args()
    report = json.loads(options.report.read_text())
    if not any(row["target"] and row["ratio"] is not None and math.isfinite(row["ratio"]) for row in report["rows"]):
        raise SystemExit(f"{options.report}: no row has a target and a ratio")
    draw(report, options.picture)


if __name__ == "__main__":
    main()
