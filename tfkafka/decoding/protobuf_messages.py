"""Generated messages. The only module that knows protobuf, which is optional.

Descriptors are read here and in `protobuf_layout`, and look alike in protobuf 4.25 to 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfkafka._util import arguments
from tfkafka.decoding.nested_fields import NestedField, Tree
from tfkafka.decoding.nested_values import WrongRecord
from tfkafka.decoding.sources import Field, quoted
from tfkafka.errors import ConfigurationError


def check_message(name: str, given: object) -> None:
    """Raise TypeError where this is no class that protoc generated.

    Args:
        name: the argument's name, for errors.
    """
    base = _protobuf().Message
    is_message = isinstance(given, type) and issubclass(given, base)
    if not is_message or getattr(given, "DESCRIPTOR", None) is None:
        raise TypeError(
            f"{name} is {arguments.shown(given)}, must be the class of a message that protoc "
            f"generated, for example Event of event_pb2.py"
        )


def check_field(who: str, message: Any, wanted: Field) -> None:
    """Raise ValueError where a message does not have a field, or one that cannot be decoded.

    Args:
        who: the name of the decoder.
        message: the class.
    """
    within, found = message.DESCRIPTOR, None
    for name in wanted.name.split("."):
        if found is not None and (found.message_type is None or is_repeated(found)):
            what = "is repeated" if is_repeated(found) else "is no message"
            raise ValueError(
                f"{who}: fields has {quoted(wanted.name)}, and {quoted(found.name)} {what}, of "
                f"which no field can be decoded"
            )
        within = within if found is None else found.message_type
        found = within.fields_by_name.get(name)
        if found is None:
            raise ValueError(
                f"{who}: message {within.full_name} does not have the field {quoted(name)}"
            )
    if (reason := _misfit(found, wanted)) is not None:
        raise ValueError(f"{who}: field {quoted(wanted.name)} of {within.full_name} {reason}")


def _misfit(field: Any, wanted: Field) -> str | None:
    """Return why a field cannot be what is wanted, or None."""
    name = wanted.name
    if field.message_type is not None:
        if field.message_type.GetOptions().map_entry:
            return "is a map, which cannot be decoded"
        what = "is repeated, and each is" if is_repeated(field) else "is"
        return f"{what} a message, {field.message_type.full_name}, which is no number"
    if is_repeated(field) and not wanted.shape:
        return f"is repeated: give its shape, Field({name!r}, shape=(4,)) for 4 values"
    if wanted.shape and not is_repeated(field):
        return f"is not repeated: give it without shape={tuple(wanted.shape)}"
    if field.type == field.TYPE_BYTES:
        return "is bytes, which cannot be decoded"
    if field.type == field.TYPE_STRING and wanted.classes is None:
        return f"is text: give its classes, Field({name!r}, classes=[...])"
    if wanted.classes is not None and field.type not in (field.TYPE_STRING, field.TYPE_ENUM):
        return "is a number, which has no classes"
    return None


@dataclass(frozen=True)
class Unwanted:
    """The fields of a message that are not wanted.

    Attributes:
        names: their names.
        inner: those of messages in it that have wanted fields, by their names.
    """

    names: Sequence[str]
    inner: Mapping[str, Unwanted]

    @classmethod
    def of(cls, descriptor: Any, tree: Tree) -> Unwanted:
        """Return the fields that a tree does not have."""
        inner = {
            name: cls.of(descriptor.fields_by_name[name].message_type, below)
            for name, below in tree.items()
            if not isinstance(below, int)
        }
        return cls([each.name for each in descriptor.fields if each.name not in tree], inner)

    def clear(self, message: Any) -> None:
        """Clear them in a message."""
        for name in self.names:
            message.ClearField(name)
        for name, inner in self.inner.items():
            if message.HasField(name):
                inner.clear(getattr(message, name))


def read_one(body: bytes, kind: Any, unwanted: Unwanted) -> Any:
    """Return one message, with the wanted fields alone.

    Raises WrongRecord where it is no message of the class `kind`.
    """
    try:
        message = kind.FromString(body)
    except _protobuf().DecodeError:
        raise WrongRecord(f"is no message {kind.DESCRIPTOR.full_name}", body) from None
    message.DiscardUnknownFields()
    unwanted.clear(message)
    return message


def values_by_name(message: Any, tree: Tree, fields: Sequence[NestedField]) -> dict[str, Any]:
    """Return the fields of a message by their names, without those that are missing.

    Args:
        tree: the names of the fields.
        fields: the fields.
    """
    found: dict[str, Any] = {}
    for name, below in tree.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        try:
            value = getattr(message, name)
        except UnicodeDecodeError:
            # Text of proto2, in protobuf 4.25.
            raise WrongRecord(f"field {quoted(name)} is not UTF-8") from None
        if may_be_missing(field):
            is_there = len(value) > 0 if is_repeated(field) else message.HasField(name)
            if not is_there:
                continue
        if not isinstance(below, int):
            found[name] = values_by_name(value, below, fields)
            continue
        value = list(value) if is_repeated(field) else value
        index_of = fields[below].index_of
        if field.enum_type is not None and index_of is not None:
            many = [symbol(field.enum_type, each, index_of) for each in _listed(value)]
            value = many if is_repeated(field) else many[0]
        found[name] = value
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def symbol(enum: Any, number: int, index_of: Mapping[str, int]) -> str | int:
    """Return the name of a number, by preference one that is a class; the number if it has none."""
    names = [each.name for each in enum.values if each.number == number]
    return next((name for name in names if name in index_of), names[0] if names else number)


def is_repeated(field: Any) -> bool:
    """Return whether a field is repeated."""
    # protobuf 7 does not have `label`, and 4.25 and 5 do not have `is_repeated`.
    found = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if found is None else found)


def may_be_missing(field: Any) -> bool:
    """Return whether a message without a field has no value for it."""
    return is_repeated(field) or (field.has_presence and not field.has_default_value)


def path_of(descriptor: Any) -> list[int]:
    """Return the place of a message in its file: its number there, or those of messages around."""
    outer = descriptor.containing_type
    if outer is None:
        return [list(descriptor.file.message_types_by_name).index(descriptor.name)]
    names = [each.name for each in outer.nested_types]
    return [*path_of(outer), names.index(descriptor.name)]


def _protobuf() -> Any:
    try:
        from google.protobuf import message
    except ImportError as error:
        raise ConfigurationError(
            "Protocol Buffers need protobuf, which is not installed: "
            "pip install 'tfkafka[protobuf]'"
        ) from error
    return message
