"""Describes a store for reuse: Croissant metadata, index as CSV, checksums, citation."""
