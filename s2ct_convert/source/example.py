"""Decodes tf.train.Example without TensorFlow.

Examples in the plain form that TensorFlow writes are read without a copy (:mod:`.wire`). Protobuf parses all others
(:mod:`.messages`). It takes time to import, so it is imported only for them. Defaults are those of the authors' parser:
a missing localid is -1, missing bytes are empty.

Nothing is lost: bytes that the typed values of an :class:`Example` do not reproduce exactly are kept beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from ..archives.bounds import BOUNDS, Bounds
from ..dataset import DATASET, Dataset, Features
from ..errors import ExampleError
from ..missing import NO_LOCALID
from .repeats import settle_repeats
from .tfrecord import RawRecord
from .wire import count_features, locate, pack_floats, unpack_floats

_NO_BYTES = b""


class Kind(StrEnum):
    """The form of the bytes of a kept value."""

    BYTES = "bytes"  # the one value of a bytes_list
    INT64 = "int64"  # the values of an int64_list, little-endian
    FLOAT = "float"  # the values of a float_list, float32, little-endian
    FEATURE = "feature"  # a serialized tf.train.Feature: several bytes values, or no kind at all
    RECORD = "record"  # the whole record: it is not a tf.train.Example, or holds more than features


@dataclass(frozen=True, slots=True)
class Kept:
    """A feature of one example that its typed values do not reproduce.

    ``data`` is None where the feature is missing. ``name`` is empty for a whole record.
    """

    name: str
    kind: Kind
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Example:
    """One example: the values that the authors' parser returns, and the rest of the record.

    Attributes
    ----------
    number, offset : int
        Number in the source, from 0, and byte offset of its record.
    localid : int
        Sample id; -1 where the source has none.
    image : ndarray of uint16, shape (n, bands, height, width)
        Values as published. A view of the record, which may be at an odd address.
    labels : ndarray of int8, shape (any,)
        All that are in the record: n, 36 n or any other number.
    dates : ndarray of int64, shape (any,)
    weights : ndarray of float32, shape (any,)
    kept : tuple of Kept
        Features that are missing, of another kind, truncated or unknown. Empty for an example that matches the
        description of the record.
    refusal : str
        Why the authors' parser refuses the record; empty if it accepts it.
    features : Features
        Names of the features in the data set.
    """

    number: int
    offset: int
    localid: int
    image: npt.NDArray[np.uint16]
    labels: npt.NDArray[np.int8]
    dates: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    kept: tuple[Kept, ...] = ()
    refusal: str = ""
    features: Features = DATASET.features

    @property
    def has_localid(self) -> bool:
        """Whether the record names its sample."""
        return not any(one.name == self.features.localid for one in self.kept)

    def check(self, where: str) -> None:
        """Refuse an example that the authors' parser refuses.

        Raises
        ------
        ExampleError
        """
        if self.refusal:
            raise ExampleError(self.refusal, where=f"{where}: example {self.number}, byte {self.offset:,}")


def decode_example(
    record: RawRecord, dataset: Dataset = DATASET, *, bounds: Bounds = BOUNDS, where: str = ""
) -> Example:
    """Decode one record of a data set. A record that is not an example is kept as bytes.

    Raises
    ------
    SourceTooLarge
        If protobuf has to parse the record, and ``bounds`` do not allow the memory for it.
    """
    features = dataset.features
    values: Mapping[str, Any] | None = locate(record.payload, features.bytes_names, features.localid)
    kept: list[Kept] = []
    refusal = ""
    if values is None:
        place = f"{where}: example {record.number}, byte {record.offset:,}"
        bounds.check_parsing(len(record.payload), count_features(record.payload), place)
        values, kept, refusal = _parse(record.payload, features)
    arrays = {}
    for name, dtype in features.dtypes.items():
        blob = values.get(name, _NO_BYTES)
        size = dataset.obs_bytes if name == features.image else np.dtype(dtype).itemsize
        if len(blob) % size:
            kept.append(Kept(name, Kind.BYTES, bytes(blob)))
            refusal = refusal or f"the {len(blob):,} bytes of {name!r} are not a multiple of {size:,}"
            blob = _NO_BYTES
        arrays[name] = _array(blob, dtype, copied=name != features.image)
    if len(values) < len(features.names):
        there = values.keys() | {one.name for one in kept}
        kept += [
            Kept(name, Kind.INT64 if name == features.localid else Kind.BYTES, None)
            for name in features.names
            if name not in there
        ]
    return Example(
        number=record.number,
        offset=record.offset,
        localid=values.get(features.localid, NO_LOCALID),
        image=arrays[features.image].reshape(-1, *dataset.obs_shape),
        labels=arrays[features.labels],
        dates=arrays[features.dates],
        weights=arrays[features.weights],
        kept=tuple(kept),
        refusal=refusal,
        features=features,
    )


def encode_example(features: Mapping[str, tuple[Kind, bytes]]) -> bytes:
    """A serialized tf.train.Example with these features: the inverse of :func:`decode_example`."""
    from .messages import ExampleMessage

    example = ExampleMessage()
    for name, (kind, data) in features.items():
        feature = example.features.feature[name]
        match kind:
            case Kind.BYTES:
                feature.bytes_list.value.append(data)
            case Kind.INT64:
                feature.int64_list.value.extend(np.frombuffer(data, "<i8").tolist())
                feature.int64_list.SetInParent()
            case Kind.FLOAT:
                feature.float_list.SetInParent()
                feature.float_list.ParseFromString(pack_floats(data))
            case Kind.FEATURE:
                feature.ParseFromString(data)
            case Kind.RECORD:
                raise ValueError("a record is not a feature")
    payload: bytes = example.SerializeToString(deterministic=True)
    return payload


def _parse(payload: bytes, known: Features) -> tuple[dict[str, Any], list[Kept], str]:
    """Known features in their usual form, everything else as bytes, and why the authors' parser refuses the record."""
    from .messages import DecodeError, ExampleMessage

    try:
        example, whole = ExampleMessage.FromString(payload), False
    except DecodeError:
        if (named := _with_utf8_names(payload)) is None:
            return {}, [Kept("", Kind.RECORD, payload)], "the record is not a tf.train.Example"
        example, whole = named, True
    values: dict[str, Any] = {}
    kept: list[Kept] = []
    refusal = ""
    if repeats := settle_repeats(payload):
        settled = _with_utf8_names(repeats.settled)
        example, refusal, whole = example if settled is None else settled, repeats.refusal, True
    for name, feature in sorted(example.features.feature.items()):
        kind, data = _value(feature)
        usual = Kind.INT64 if name == known.localid else Kind.BYTES
        if name in known.names and kind is usual and (kind is Kind.BYTES or len(data) == 8):
            values[name] = data if kind is Kind.BYTES else int.from_bytes(data, "little", signed=True)
            continue
        if "\0" in name:  # an HDF5 attribute cannot hold it
            whole = True
            continue
        kept.append(Kept(name, kind, data))
        # TensorFlow treats a feature without a kind as missing.
        if name in known.names and feature.WhichOneof("kind") is not None:
            refusal = refusal or f"feature {name!r} is not one value in a {usual}_list"
    if whole or _has_more(example):
        kept.append(Kept("", Kind.RECORD, payload))
    return values, kept, refusal


def _with_utf8_names(payload: bytes) -> Any | None:
    """The features with a UTF-8 name, of a record that has others too; None if it is not a tf.train.Example."""
    from .messages import AnyExampleMessage, DecodeError, ExampleMessage

    try:
        any_example = AnyExampleMessage.FromString(payload)
    except DecodeError:
        return None
    example = ExampleMessage()
    for entry in any_example.features.feature:
        with suppress(UnicodeDecodeError):
            feature = example.features.feature[entry.key.decode()]
            feature.ParseFromString(entry.value.SerializeToString())
    return example


def _value(feature: Any) -> tuple[Kind, bytes]:
    match feature.WhichOneof("kind"):
        case "bytes_list" if len(feature.bytes_list.value) == 1:
            return Kind.BYTES, feature.bytes_list.value[0]
        case "int64_list":
            return Kind.INT64, np.fromiter(feature.int64_list.value, "<i8", len(feature.int64_list.value)).tobytes()
        case "float_list":
            return Kind.FLOAT, unpack_floats(feature.float_list.SerializeToString(), len(feature.float_list.value))
        case _:
            return Kind.FEATURE, feature.SerializeToString()


def _has_more(example: Any) -> bool:
    """Whether a record has fields that tf.train.Example does not have. Removes them from ``example``."""
    size = example.ByteSize()
    example.DiscardUnknownFields()
    return bool(example.ByteSize() != size)


def _array(blob: memoryview | bytes, dtype: str, *, copied: bool) -> npt.NDArray[Any]:
    array = np.frombuffer(blob, dtype)
    if copied:  # a view of a few dates would keep the whole record in memory
        array = array.copy()
        array.flags.writeable = False
    return array
