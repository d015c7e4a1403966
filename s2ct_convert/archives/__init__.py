"""Bytes out of 7z archives: headers, what unpacks them, members as streams, extraction to files. Knows no TFRecord."""
