"""Exports a store back to TFRecords."""
