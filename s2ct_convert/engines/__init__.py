"""Who runs units: this machine, or the workers of a Dask scheduler."""
