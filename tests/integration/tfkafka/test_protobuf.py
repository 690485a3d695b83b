"""Messages of Protocol Buffers whose schema is in a real registry, on a real broker.

They are framed here: ProtobufSerializer needs googleapis-common-protos, which is not installed.
"""

from __future__ import annotations

import numpy as np
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tests.unit.decoding.protobuf_samples import classes, field, message
from tfkafka import Field, ProtobufDecoder, read, write
from tfkafka.errors import BadRecordError

RECORDS = 200
PROTO = """syntax = "proto3";
package events;
message Other {}
message Event { float x = 1; optional double w = 2; int32 kind = 3; }
"""
OLD, NEW = field("x", 1, "float"), field("w", 2, "double", proto3_optional=True)
Other, Event = classes(message("Other"), message("Event", OLD, NEW, field("kind", 3, "int32")))


def rows(number):
    """Messages of which each second one is of an older writer, without the field `w`."""
    for each in range(RECORDS):
        row = Event(x=each / 2, kind=each % 2, w=each if each % 2 else None)
        # 1 place, in zig-zag: the second message of the file.
        yield b"\0" + number.to_bytes(4, "big") + b"\2\2" + row.SerializeToString()


def test_messages_of_a_registered_schema(servers, make_topic, kafka_schema_registry):
    topic = make_topic(2)
    client = SchemaRegistryClient({"url": kafka_schema_registry.url})
    number = client.register_schema(f"{topic}-value", Schema(PROTO, "PROTOBUF"))
    values = list(rows(number))
    for partition in range(2):
        some = values[partition * (RECORDS // 2) : (partition + 1) * (RECORDS // 2)]
        write(servers, topic, some, partition=partition)
    decode = ProtobufDecoder(
        ["x", "w"], label=Field("kind"), message=Event, framing="confluent", missing={"w": -1}
    )
    parts = list(read(topic, servers=servers, decode=decode, batch_size=32))
    found = np.concatenate([np.column_stack(part) for part in parts]).tolist()
    expected = [[each / 2, each if each % 2 else -1, each % 2] for each in range(RECORDS)]
    assert sorted(found) == sorted(expected)

    # Another message of the same schema.
    write(servers, topic, [values[0][:5] + b"\0" + Other().SerializeToString()])
    reason = r"Event: its message indexes are not \[1\]: b'\\x00'"
    with pytest.raises(BadRecordError, match=reason):
        list(read(topic, servers=servers, decode=decode, batch_size=32))
