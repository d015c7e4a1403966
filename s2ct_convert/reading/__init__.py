"""Reading of stores, with one interface for Zarr and HDF5: units, samples, selections, epochs."""
