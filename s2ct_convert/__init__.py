"""Labelled Sentinel-2 cloud time series, from 7z-packed TFRecords to Zarr and HDF5.

The names here do everything that the command line does.
``help(s2ct_convert.convert)`` explains one of them.

Convert:
    convert             Convert archives or TFRecords to a store, or resume.
    build               Download, convert and delete archives, or resume.
    Summary             The result of both: units made and failed, digest.
    UnitsFailed         The error if some units failed; the others are done.
    sample_sources      Paths of the bundled synthetic archives.

Read:
    open_store          Open a Zarr or HDF5 store.
    Store               An open store: its units, its index, selections.
    Unit                One split of one tile, such as store["train/50SMG"].
    Sample              One time series: image, label, time, weight.
    Samples             The index of a store as a table, with filters.
    Selection           Observations that match conditions, read lazily.
    Fold                One part of a cross-validation: train and test.
    Statistics          Statistics of bands and classes.
    BandStatistics      Mean, deviation and percentiles of the bands.
    StatisticsProgress  A progress event of statistics.
    locate_tile         Where a tile is on Earth: its corners and centre.
    TileArea            The place of a tile; also unit.area.
    read_epoch          Yield every sample once, in shuffled order.
    EpochShare          The part of an epoch that one reader gets.
    read_examples       Read archives like the authors' parser.
    s2ct_convert.torch  Datasets for PyTorch, a module of its own.

Reviews of labels, predictions of a model:
    read_review         Read a review that the page of view saved.
    Review              A review; for select(review=...) and preview.
    ReviewedDate        One row of it.
    review_summary      Compare a review with labels, or with another.
    ReviewSummary       What it found: confusion matrix, agreement.
    Comparison          Two reviewers: agreement, Cohen's kappa.
    Disagreement        An observation where they differ.
    read_predictions    Read predictions of a model for a store.
    Predictions         Predictions by observation; for view.

Before the download:
    peek                Look at archives of the record, by HTTP ranges.
    peek_url            Look at one archive by its URL.
    PeekReport          What a look found: files, totals, requests.
    PeekedFile          One file: method, members, examples, findings.
    PeekedMember        A file in an archive, by its header.
    PeekedExample       One of its first examples.
    PeekFinding         Whether an assumption about the record holds.
    StoreEstimate       About how large a store of the files is.
    draw_peeked         Draw the first sample that was looked at.

The record and its archives:
    download            Download files of the record, or resume.
    Report              What a download did.
    FilesFailed         The error if some files could not be downloaded.
    list_files          List the files of the record and their state.
    list_urls           List their URLs, for other downloaders.
    Local               A file of the record with its state in a folder.
    State               ok, unchecked, wrong size, partial or missing.
    check_files         Check the md5 of files.
    Checksum            The result for one file.
    Check               ok, wrong, short, missing or unknown.
    extract_archive     Unpack an archive and check its checksums.
    Extracted           An unpacked file.
    salvage_tfrecord    Write the whole records of a damaged archive.
    SalvagedFile        A TFRecord with such records.

Verify:
    verify_store        Verify a store against itself.
    verify_against      Compare a store with its sources, bit for bit.
    verify_sources      Check every checksum in archives and TFRecords.
    salvage_report      What can be salvaged from a damaged archive.
    SalvageReport       The examples that are whole, and the gaps.
    Gap                 A stretch of a damaged source that is lost.

Pictures, other formats, metadata:
    preview             Draw a sample, or a whole store, as PNG or PDF.
    view                Show a store in the browser.
    View                A store that is served, with its address.
    export_view         Write the page and the store as static files.
    ExportedPage        What was written.
    find_suspicious     Find labels that deserve a second look.
    SuspiciousLabel     Such a label, with the rules that it meets.
    export_tfrecord     Write a store back as TFRecords.
    Exported            A unit exported as a TFRecord.
    export_parquet      Write a selection, or the index, as Parquet.
    export_webdataset   Write a selection as tar files for webdataset.
    export_netcdf       Write a selection as netCDF files.
    ExportedFolder      The files of such an export.
    ExportedFile        One of them.
    write_croissant     Describe a store for reuse (Croissant 1.1).

Another data set:
    DATASET             The data set of the record, the default everywhere.
    Dataset             A data set: features, bands, patch, classes, days.
    Features            The names of the features of an example.
    Band                One band of a patch.

Errors:
    S2ctError           Base class of all errors, with an exit code.
    StoreDamaged        A file of a store is missing or damaged.
    PartialStoreWarning The warning if a store lacks units or sources.
    __version__         The version of this package.
"""

import lazy_loader

from .version import __version__ as __version__

# Names load on first use, so that `s2ct --help` does not import numpy, zarr and h5py. __init__.pyi lists them (SPEC 1).
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
