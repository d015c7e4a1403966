"""``s2ct demo``."""

from __future__ import annotations

from pathlib import Path

import click

from . import options


@click.command(short_help="See it work on a small bundled sample.")
@click.argument("destination", type=options.ANY_PATH, default="s2ct-demo", metavar="[DEST]")
@options.jobs
@options.progress
def demo(destination: Path, jobs: int | None, quiet: bool, verbose: bool) -> None:
    """Convert a small bundled sample to Zarr and to HDF5, check both, show what came out.

    The stores are written to DEST (default: s2ct-demo in this folder), and made anew each time. The sample is
    synthetic: made the way the dataset was, not taken from it.
    """
    from ..conversion.run import convert
    from ..errors import Difference
    from ..sample import sample_sources
    from ..show.describe import describe
    from ..show.info import print_units
    from ..show.progress import show_progress
    from ..show.words import plural, size
    from ..store.reader import open_store
    from ..verify.against import verify_against

    sources = sample_sources()
    print(f"{plural(len(sources), 'archive')} of the bundled sample, {size(sum(s.stat().st_size for s in sources))}")
    stores = (destination / "sample.zarr", destination / "sample.h5")
    for path in stores:
        with show_progress(quiet=quiet, verbose=verbose) as on_event:
            summary = convert(sources, path, jobs=jobs or options.available_cores(), overwrite=True, on_event=on_event)
        with open_store(path) as store:
            compared = verify_against(store, sources)
        if differences := [line for unit in compared for line in unit.differences]:
            raise Difference("\n".join(differences), where=str(path))
        examples = sum(unit.examples for unit in compared)
        observations = sum(unit.observations for unit in compared)
        print(
            f"{path}: {size(summary.bytes_out)}; all {observations:,} observations of {examples} examples "
            f"found back bit for bit"
        )
    document = describe(stores[0])
    print(f"\nboth have the content digest {document['digest']}\n")
    print_units(document["units"])
    unit = document["units"][0]
    print(f"""
Open them:
  python -c "import s2ct_convert; print(s2ct_convert.open_store('{stores[0]}'))"
  python -c "import xarray; print(xarray.open_zarr('{stores[0]}', group='{unit["split"]}/{unit["tile"]}'))"
  s2ct info {stores[1]}""")
