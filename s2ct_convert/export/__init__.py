"""Ways out of a store: back to TFRecords."""
