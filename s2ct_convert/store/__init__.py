"""The store: its layout as code, its codecs, its writers and its file formats. Independent of TFRecord."""
