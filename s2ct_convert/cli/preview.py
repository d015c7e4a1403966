"""``s2ct preview``."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .cloud_options import StoreOrAddress, cloud
from .results import print_json


@click.command(short_help="Draw a sample, a store or a review as a picture.")
@click.argument("store", type=StoreOrAddress())
@click.option(
    "-o",
    "--output",
    type=options.ANY_PATH,
    metavar="FILE",
    help="A .png or .pdf file.  [default: a PNG in this folder, named after its content]",
)
@options.tiles
@options.splits
@click.option("--sample", type=int, metavar="LOCALID", help="This sample.  [default: the first with many classes]")
@click.option("--random", is_flag=True, help="A random sample, chosen by --seed.")
@click.option("--seed", type=click.IntRange(min=0), default=0, metavar="N", help="Seed of --random.  [default: 0]")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=48,
    metavar="N",
    help="Maximum number of observations on the sheet, spread evenly over the series.  [default: 48]",
)
@click.option("--summary", is_flag=True, help="Draw the whole store instead: labels, map, months, brightness.")
@click.option(
    "--review",
    type=options.DATA_PATH,
    metavar="FILE",
    help="Draw the dates of a review that s2ct view saved, each with its label and the suggestion.",
)
@options.overwrite
@cloud
@options.as_json
@options.quiet
@options.debugging
def preview(
    store: Path | str,
    output: Path | None,
    tiles: tuple[str, ...],
    splits: tuple[str, ...],
    sample: int | None,
    random: bool,
    seed: int,
    limit: int,
    summary: bool,
    review: Path | None,
    overwrite: bool,
    json_: bool,
    quiet: bool,
) -> None:
    """Draw the time series of one sample, a summary of STORE, or a review of it, as a PNG or PDF.

    A sheet shows every observation of a sample in true and false colour, with its date and label. The same
    command draws the same picture.

    Drawing needs matplotlib, which the extra [plot] installs.

    \b
    s2ct preview clouds.zarr
    s2ct preview clouds.zarr --tile 50SMG --split val --sample 7 -o sample.pdf
    s2ct preview clouds.zarr --random --seed 3
    s2ct preview clouds.zarr --summary -o clouds.png
    s2ct preview clouds.zarr --review review.csv
    """
    if random and sample is not None:
        raise click.UsageError("--random and --sample cannot be combined")
    if summary and (random or sample is not None or tiles or splits):
        raise click.UsageError(
            "--summary shows the whole store; it cannot be combined with --tile, --split, --sample or --random"
        )
    if review is not None and (summary or random or sample is not None or tiles or splits):
        raise click.UsageError(
            "--review shows the dates of a file; it cannot be combined with --summary, --tile, --split, --sample or "
            "--random"
        )
    from ..pictures.preview import preview as draw
    from ..show.tables import print_facts
    from ..words import size, span

    made = draw(
        store, output, tiles=tiles, splits=splits, sample=sample, random=random, seed=seed, limit=limit,
        summary=summary, review=review, overwrite=overwrite,
    )  # fmt: skip
    if json_:
        print_json(made.document())
    elif quiet:
        print(made.picture)
    else:
        facts = [("picture", f"{made.picture}, {size(made.bytes)}")]
        if made.kind == "sample":
            facts += [("sample", f"{made.localid} of {made.unit}: {made.why}")]
            facts += [("shows", f"{made.shown:,} of {made.observations:,} observations")]
        elif made.kind == "review":
            facts += [("shows", f"{made.shown:,} of {made.observations:,} reviewed observations")]
        else:
            facts += [("shows", f"{made.samples:,} samples, {made.observations:,} observations")]
            facts += [("histograms", f"of {made.shown:,} observations")]
        print_facts([*facts, ("dates", span(made.time_first, made.time_last))])
