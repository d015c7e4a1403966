"""One label for an observation that has several."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def one_labels(label: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """The label of each observation, shape (n,), of labels (n,) or (n, k, k).

    Of k x k labels the most common, and the lowest of those.
    """
    if label.ndim == 1:
        return label
    values = np.unique(label)
    if not len(label):
        return np.zeros(0, np.int8)
    counts = np.stack([(label == value).sum(axis=(1, 2)) for value in values])
    return np.asarray(values[np.argmax(counts, axis=0)])
