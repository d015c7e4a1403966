"""The protobuf messages of tf.train.Example, without TensorFlow and without a generated file.

The descriptor is built in a private pool, so TensorFlow, or any other package with its own ``tensorflow.Example``, can
be loaded in the same process.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as DecodeError  # of parsing


def _example_classes() -> tuple[Any, ...]:
    """Message classes of tf.train.Example, with names as text and with names as bytes.

    Source: tensorflow/core/example/{example,feature}.proto.
    """
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
    # The same message with names as bytes: TensorFlow's own parser accepts names that are not UTF-8.
    entry = file.message_type.add(name="AnyEntry")
    entry.field.add(name="key", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_BYTES)
    entry.field.add(
        name="value", number=2, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE, type_name=".s2ct.Feature"
    )
    features = file.message_type.add(name="AnyFeatures")
    features.field.add(
        name="feature", number=1, label=field.LABEL_REPEATED, type=field.TYPE_MESSAGE, type_name=".s2ct.AnyEntry"
    )
    example = file.message_type.add(name="AnyExample")
    example.field.add(
        name="features", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE, type_name=".s2ct.AnyFeatures"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    by_name = (pool.FindMessageTypeByName(f"s2ct.{name}") for name in ("Example", "AnyExample"))
    return tuple(map(message_factory.GetMessageClass, by_name))


ExampleMessage, AnyExampleMessage = _example_classes()
