"""From bytes to samples: find sources, read TFRecords and tf.train.Examples, interpret dates, group. Knows no store."""
