"""A store described for reuse: Croissant metadata, its index as CSV, checksums, how to cite it."""
