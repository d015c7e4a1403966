"""From bytes to samples: 7z archives, TFRecord framing, tf.train.Example, dates, grouping. Knows no store."""
