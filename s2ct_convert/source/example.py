"""tf.train.Example through protobuf, without TensorFlow and without a generated file.

Examples in the plain form that TensorFlow writes are looked into without a copy (:mod:`.wire`); all others, and
whatever is wrong with one, are protobuf's. The descriptor is built in a private pool, so TensorFlow or any other
package that brings its own ``tensorflow.Example`` can live in the same process. Defaults are those of the authors'
parser: a missing localid is -1, missing bytes are empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from ..errors import ExampleError
from .tfrecord import Record
from .wire import locate

BANDS, HEIGHT, WIDTH = 4, 42, 42
OBS_BYTES = BANDS * HEIGHT * WIDTH * 2  # 14,112 bytes of uint16 a timestamp

_LOCALID, _IMAGE = "localid", "image_raw_ldseries"
_BYTES_FIELDS = {_IMAGE: "<u2", "labels": "i1", "dates": "<i8", "weights": "<f4"}
_BYTES_NAMES = frozenset(_BYTES_FIELDS)


def _example_class() -> Any:
    """Message class of tf.train.Example (tensorflow/core/example/{example,feature}.proto)."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="s2ct/example.proto", package="s2ct", syntax="proto3")

    def add_list(name: str, kind: int, packed: bool) -> None:
        value = file.message_type.add(name=name).field.add(name="value", number=1, label=field.LABEL_REPEATED)
        value.type = kind  # type: ignore[assignment]
        value.options.packed = packed

    add_list("BytesList", field.TYPE_BYTES, False)
    add_list("FloatList", field.TYPE_FLOAT, True)
    add_list("Int64List", field.TYPE_INT64, True)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, kind in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        type_name = ".s2ct." + kind.title().replace("_", "")
        feature.field.add(
            name=kind, number=number, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE,
            type_name=type_name, oneof_index=0,
        )  # fmt: skip
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_STRING)
    entry.field.add(
        name="value", number=2, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE, type_name=".s2ct.Feature"
    )
    features.field.add(
        name="feature", number=1, label=field.LABEL_REPEATED, type=field.TYPE_MESSAGE,
        type_name=".s2ct.Features.FeatureEntry",
    )  # fmt: skip
    example = file.message_type.add(name="Example")
    example.field.add(
        name="features", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE, type_name=".s2ct.Features"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("s2ct.Example"))


_Example = _example_class()


@dataclass(frozen=True, slots=True)
class Example:
    """One example as the authors' parser decodes it.

    Attributes
    ----------
    number, offset : int
        Number in the source from 0, and byte offset of its record.
    known : int
        How many of the five features are there.
    localid : int
        Sample id; -1 where the source has none.
    image : ndarray of uint16, shape (n, 4, 42, 42)
        Bands B2, B3, B4, B8 at 10 m, values as published. A view of the record, which may stand at an odd address.
    labels : ndarray of int8, shape (n,) or (36 n,)
    dates : ndarray of int64, shape (n,)
    weights : ndarray of float32, shape (n,) or (0,)
    """

    number: int
    offset: int
    known: int
    localid: int
    image: npt.NDArray[np.uint16]
    labels: npt.NDArray[np.int8]
    dates: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


def decode_example(record: Record, *, where: str) -> Example:
    """Decode one record.

    Raises
    ------
    ExampleError
        If the payload is no tf.train.Example, a feature has another kind or another number of values than the
        authors' parser asks for, or the length of a field is no multiple of what it holds.
    """
    place = f"{where}: example {record.number}, byte {record.offset:,}"
    values: dict[str, Any] | None = locate(record.payload, _BYTES_NAMES, _LOCALID)
    if values is None:
        values = _parse(record.payload, place)
    arrays = {name: _array(name, values.get(name, b""), dtype, place) for name, dtype in _BYTES_FIELDS.items()}
    return Example(
        number=record.number,
        offset=record.offset,
        known=len(values),
        localid=values.get(_LOCALID, -1),
        image=arrays[_IMAGE].reshape(-1, BANDS, HEIGHT, WIDTH),
        labels=arrays["labels"],
        dates=arrays["dates"],
        weights=arrays["weights"],
    )


def _parse(payload: bytes, place: str) -> dict[str, Any]:
    """Values of the features that are there, by protobuf."""
    try:
        features = _Example.FromString(payload).features.feature
    except DecodeError as error:
        raise ExampleError(f"the record is not a tf.train.Example ({error})", where=place) from None
    kinds = {_LOCALID: "int64_list", **dict.fromkeys(_BYTES_FIELDS, "bytes_list")}
    values = {name: _single(features, name, kind, place) for name, kind in kinds.items()}
    return {name: value for name, value in values.items() if value is not None}


def _single(features: Any, name: str, kind: str, place: str) -> Any:
    """The one value of a feature; None where it is missing or has no kind, as TensorFlow counts it."""
    if name not in features:  # features[name] would create it
        return None
    feature = features[name]
    found = feature.WhichOneof("kind")
    if found is None:
        return None
    values = getattr(feature, found).value
    if found != kind or len(values) != 1:
        raise ExampleError(
            f"feature {name!r} is not what the dataset has", where=place,
            expected=f"one value in a {kind}", found=f"{len(values)} values in a {found}",
        )  # fmt: skip
    return values[0]


def _array(name: str, blob: memoryview | bytes, dtype: str, place: str) -> npt.NDArray[Any]:
    size = OBS_BYTES if name == _IMAGE else np.dtype(dtype).itemsize
    if len(blob) % size:
        raise ExampleError(
            f"the length of {name!r} is not a multiple of {size:,} bytes",
            where=place,
            found=f"{len(blob):,} bytes",
        )
    array = np.frombuffer(blob, dtype)
    if name != _IMAGE:  # a view of a few dates would keep all pixels of the record in memory
        array = array.copy()
        array.flags.writeable = False
    return array
