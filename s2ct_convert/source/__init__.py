"""From bytes to samples: finding sources, TFRecord framing, tf.train.Example, dates, grouping. Knows no store."""
