"""Exports a store back to TFRecords, and selections of it to formats of other programs."""
