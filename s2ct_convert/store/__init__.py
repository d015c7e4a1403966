"""The store: its layout as code, its codecs, and what writes and reads it. Knows no TFRecord."""
