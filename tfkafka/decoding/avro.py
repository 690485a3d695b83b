"""Decoding of Avro records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, Literal

from numpy.typing import NDArray

from tfkafka.chunk import Column
from tfkafka.config import Settings
from tfkafka.decoding.avro_chunks import AvroChunks, Writer
from tfkafka.decoding.avro_schemas import AvroSchema, check_fields, schema_text
from tfkafka.decoding.avro_writers import RegistryWriters
from tfkafka.decoding.base import Fault
from tfkafka.decoding.nested import WithNestedFields
from tfkafka.decoding.plan import DecoderPlan
from tfkafka.decoding.schema_registry import checked_registry, shared_registry
from tfkafka.decoding.sources import Field, Header, Key


@dataclass(frozen=True)
class AvroDecoder(WithNestedFields):
    """A decoder for values that are Avro records.

    With `schema` alone, a value is the bytes of a record of this schema, and nothing else. With
    `registry`, it is in Confluent's wire format: each record names the schema that it was written
    with, which is fetched from the registry once. `schema` is then the reader's schema: fields of
    other names, types or versions are read as it says, by Avro's rules.

    It needs `pip install 'tfkafka[avro]'`.

    Args:
        fields: the features, in their order: the names of fields, or `Field` for an array, for
            classes (of an enum or of text) or for another type. "a.b" is the field b of the
            record a.
        label: "key" takes the label from the record's key, a number as text; `Key`, `Header` and
            `Field` have its type and its classes; None: no label.
        finite: True: a record with a number that is not finite as its type cannot be decoded;
            False: it is decoded; None: `tfkafka.online` and `tfkafka.exactly_once` take it as True,
            datasets as False.
        sample_weight: where the weight of the record is, as for `label`; None: no weight.
        schema: the schema in JSON, or as a dict; None: fields are those of the schema that each
            record was written with.
        registry: the address of a schema registry, for example "http://localhost:8081".
        registry_config: its further settings, those of confluent-kafka's `SchemaRegistryClient`:
            "basic.auth.user.info", "bearer.auth.token", "ssl.ca.location",
            "ssl.certificate.location" and others. `repr` and manifests do not have them.
        features: "matrix": one array, float32 [values], with the values of all fields, also those
            of arrays; "dict": an array for each field, by its name, with its own shape and type.
        missing: what becomes of a field that is null, or that the schema does not have: "bad": the
            record cannot be decoded; "nan": the feature is nan, also with `finite=True`; a dict
            from fields to numbers: the feature is that number, and fields that the dict does not
            have are as with "bad". A label or a weight is never missing.

    Raises:
        ValueError: the schema is none, or does not have a field.
        ConfigurationError: a package is not installed, or a setting of the registry is wrong.

    A registry that is away, or refuses, makes reading fail with `ReadError` within 3 s.

    Example:
        schema = {
            "type": "record",
            "name": "Event",
            "fields": [{"name": "x", "type": "float"}, {"name": "label", "type": "int"}],
        }
        encoder = tfkafka.AvroEncoder(schema)
        columns = {"x": np.float32([0.5]), "label": np.int32([1])}
        tfkafka.write("localhost:9092", "events", columns, encoder=encoder)
        decode = tfkafka.AvroDecoder(["x"], label=tfkafka.Field("label"), schema=schema)
        for features, label in tfkafka.KafkaDataset(
            "events", servers="localhost:9092", decode=decode
        ):
            print(features, label)  # float32 [1], float32 []
    """

    fields: Sequence[str | Field]
    label: Literal["key"] | Key | Header | Field | None = None
    finite: bool | None = None
    sample_weight: Literal["key"] | Key | Header | Field | None = None
    _: KW_ONLY
    schema: str | Mapping[str, Any] | None = None
    registry: str | None = None
    registry_config: Mapping[str, object] | None = field(default=None, repr=False)
    features: Literal["matrix", "dict"] = "matrix"
    missing: Literal["bad", "nan"] | Mapping[str, float] = "bad"

    def __post_init__(self) -> None:
        self._check_fields()
        self._check_names()
        if self.schema is None and self.registry is None:
            raise ValueError("AvroDecoder: schema is None, and registry is too: give one of them")
        if self.schema is not None:
            object.__setattr__(self, "schema", schema_text("AvroDecoder: schema", self.schema))
            paths = [each.path for each in self._nested]
            check_fields("AvroDecoder: schema", self._schema, paths)
        if self.registry is None:
            if self.registry_config is not None:
                raise ValueError("AvroDecoder: registry_config is given, and registry is not")
            return
        config = checked_registry("AvroDecoder", self.registry, self.registry_config)
        object.__setattr__(self, "registry_config", config)
        shared_registry(self.registry, config)

    def plan(self) -> DecoderPlan:
        """Return what the decoder does, as data for another parser."""
        return self._plan("avro")

    def _read(
        self, values: Column, sinks: Sequence[NDArray[Any]]
    ) -> tuple[dict[int, Fault], frozenset[str]]:
        return self._chunks.read(values, sinks, self._writers)

    @cached_property
    def _writers(self) -> Writer | RegistryWriters:
        if self.registry is None:
            return self._chunks.writer(self._schema, "the schema")
        return RegistryWriters(self.registry, self.registry_config or Settings(), self._chunks)

    @cached_property
    def _schema(self) -> AvroSchema:
        return AvroSchema.of(str(self.schema))

    @cached_property
    def _chunks(self) -> AvroChunks:
        """How the values are read."""
        has_reader = self.registry is not None and self.schema is not None
        return AvroChunks(self._nested, self.finite, self._schema if has_reader else None)
