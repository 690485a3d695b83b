"""tensorflow-io's `tfio.experimental.serialization`, as far as it is about records of Kafka."""

from tfkafka.tfio.avro_functions import decode_avro, encode_avro
from tfkafka.tfio.json_functions import decode_json

__all__ = ["decode_avro", "decode_json", "encode_avro"]
