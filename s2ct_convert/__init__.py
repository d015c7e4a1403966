"""Labelled Sentinel-2 cloud time series, from 7z-packed TFRecords to Zarr and HDF5.

Everything the command line does can be done from the names here.
"""

import lazy_loader

from .version import __version__ as __version__

# Loaded when first used: `s2ct --help` needs none of numpy, zarr and h5py. The names are in __init__.pyi (SPEC 1).
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
