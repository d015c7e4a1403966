"""A plan and its estimated cost, for people and for programs."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..conversion.estimate import Estimate
from ..conversion.plan_file import plan_document
from ..store.layout import CHUNK_OBS, SHARD_OBS
from ..units.plan import Plan
from ..words import plural, seconds, size
from .tables import Column, print_facts, print_lines, print_table


def print_plan(plan: Plan, found: Estimate, *, verbose: bool = False) -> None:
    """Print one line per unit in the order of the run, then the totals."""
    print_table(
        [
            Column("number", left=True),
            Column("unit", left=True),
            Column("source", left=True, name=True),
            Column("size"),
            Column("observations"),
            Column("chunks", detail=True),
            Column("shards", detail=True),
            Column("expected"),
            Column("time"),
        ],
        (
            [
                str(unit.number),
                str(unit.file.source.unit),
                unit.file.source.where,
                size(unit.file.bytes),
                f"{unit.observations:,}",
                f"{unit.chunks:,}",
                f"{unit.shards:,}" if unit.shards else "-",
                size(unit.bytes),
                seconds(unit.seconds) if found.speed else "-",
            ]
            for unit in found.units
        ),
        keys=2,
        verbose=verbose,
    )
    print()
    grid = " x ".join(map(str, (CHUNK_OBS, *plan.options.dataset.obs_shape)))
    shards = f", shards of {SHARD_OBS:,} observations" if plan.options.format == "zarr" else ""
    free = f", {found.free_inodes:,} free" if found.free_inodes is not None else ""
    memory = f", {size(found.free_memory)} free" if found.free_memory is not None else ""
    facts = [
        ("store", f"{plan.store} ({plan.options.format}, {plan.options.codec}): chunks of {grid}{shards}"),
        ("read", f"{size(sum(file.bytes for file in plan.files))} in {plural(len(plan.files), 'source')}"),
        (
            "disk",
            f"{size(found.space)} needed, {size(found.free_space)} free; the store takes about {size(found.bytes)}",
        ),
        ("files", f"{found.inodes:,}, folders included{free}"),
        ("memory", f"at most {size(found.peak_memory)} per running unit{memory}"),
        ("jobs", f"-j {found.cores}: {plural(found.jobs, 'unit')} at a time, {plural(found.threads, 'thread')} each"),
    ]
    if found.speed and found.seconds is not None:
        rate = plan.options.dataset.obs_bytes / (found.speed.read + found.speed.make)
        facts.append(("time", f"about {seconds(found.seconds)}, if the disk keeps up"))
        basis = f"{found.speed.observations:,} observations of {found.speed.source}: {size(rate)}/s of pixels per core"
        facts.append(("", f"measured on {basis}, packed to {found.speed.ratio:.3f}"))
    facts.append(("plan", plan.hash))
    print_facts(facts)
    print_lines([*(f"note: {note}" for note in plan.notes), *(f"problem: {problem}" for problem in found.problems)])


def plan_report(plan: Plan, found: Estimate) -> dict[str, Any]:
    """The content of the plan file and the estimate, as plain values."""
    document = plan_document(plan)
    for one, unit in zip(document["units"], found.units, strict=True):
        wanted = ("observations", "chunks", "shards", "files", "seconds")
        one |= {name: getattr(unit, name) for name in wanted} | {"bytes_out": unit.bytes}
    rest = {
        name: getattr(found, name)
        for name in (
            *("cores", "jobs", "threads", "peak_memory", "free_memory", "space", "free_space", "inodes", "free_inodes"),
            *("seconds", "problems"),
        )
    }
    speed = dataclasses.asdict(found.speed) if found.speed else None
    return {**document, "bytes_out": found.bytes, **rest, "speed": speed, "notes": list(plan.notes)}
