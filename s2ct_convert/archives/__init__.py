"""Read 7z archives: headers, unpackers, members as streams, extraction to files. Knows nothing about TFRecords."""
