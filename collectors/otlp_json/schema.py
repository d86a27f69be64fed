"""Readers of OTLP's messages, made from the protobuf descriptors themselves: a field added there is understood here.

A reader takes a JSON object and returns keyword arguments for the message's constructor: fields under their protobuf
names, checked, unknown ones left out.
"""

from collections.abc import Callable, Iterable
from typing import cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from collectors.otlp_json.values import (
    INT32,
    INT64,
    UINT32,
    UINT64,
    FieldFault,
    Reader,
    enum_reader,
    id_reader,
    integer_reader,
    read_boolean,
    read_bytes,
    read_double,
    read_text,
    wrong_type,
)

Fields = dict[str, tuple[str, Reader]]
MessageReader = Callable[[object, int], dict[str, object]]

_ANY_VALUE = "opentelemetry.proto.common.v1.AnyValue"
_IDS = {
    "trace_id": id_reader("trace id", "bad-trace-id", 16),
    "span_id": id_reader("span id", "bad-span-id", 8),
    "parent_span_id": id_reader("parent span id", "bad-parent-span-id", 8),
}
_SCALARS: dict[int, Reader] = {
    FieldDescriptor.TYPE_STRING: read_text,
    FieldDescriptor.TYPE_BOOL: read_boolean,
    FieldDescriptor.TYPE_BYTES: read_bytes,
    FieldDescriptor.TYPE_DOUBLE: read_double,
    FieldDescriptor.TYPE_INT32: integer_reader("a 32-bit integer", INT32),
    FieldDescriptor.TYPE_SINT32: integer_reader("a 32-bit integer", INT32),
    FieldDescriptor.TYPE_UINT32: integer_reader("an unsigned 32-bit integer", UINT32),
    FieldDescriptor.TYPE_FIXED32: integer_reader("an unsigned 32-bit integer", UINT32),
    FieldDescriptor.TYPE_INT64: integer_reader("a 64-bit integer", INT64),
    FieldDescriptor.TYPE_SFIXED64: integer_reader("a 64-bit integer", INT64),
    FieldDescriptor.TYPE_UINT64: integer_reader("an unsigned 64-bit integer", UINT64),
    FieldDescriptor.TYPE_FIXED64: integer_reader("an unsigned 64-bit integer", UINT64),
}


class Schema:
    """The readers of all messages reached so far; recursive messages share one."""

    def __init__(self) -> None:
        self._readers: dict[str, MessageReader] = {}

    def reader(self, message: Descriptor) -> MessageReader:
        """Reader of this message and, through it, of every message it holds."""
        known = self._readers.get(message.full_name)
        if known is not None:
            return known
        fields: Fields = {}
        choices = frozenset(
            field.name for oneof in message.oneofs for field in oneof.fields if not oneof.name.startswith("_")
        )
        made = _any_value_reader(fields) if message.full_name == _ANY_VALUE else _message_reader(fields, choices)
        # Entered before its fields are: an AnyValue holds arrays of AnyValue.
        self._readers[message.full_name] = made
        for field in cast("Iterable[FieldDescriptor]", message.fields):
            entry = (field.name, self._field_reader(field))
            fields[field.name] = entry
            fields[field.json_name] = entry
        return made

    def _field_reader(self, field: FieldDescriptor) -> Reader:
        if field.message_type is not None:
            one: Reader = self.reader(field.message_type)
        elif field.enum_type is not None:
            one = _enum_field_reader(field.enum_type)
        elif field.type == FieldDescriptor.TYPE_BYTES and field.name in _IDS:
            one = _IDS[field.name]
        else:
            one = _SCALARS[field.type]
        return _repeated_reader(one) if field.is_repeated else one


def _enum_field_reader(enum: EnumDescriptor) -> Reader:
    numbers = {value.name: value.number for value in enum.values}
    # OTLP's names repeat a prefix (SPAN_KIND_SERVER, STATUS_CODE_OK); SERVER and OK are in use too.
    prefix = min(numbers, key=lambda name: numbers[name]).rsplit("_", 1)[0] + "_"
    short = {name.removeprefix(prefix): number for name, number in numbers.items() if name.startswith(prefix)}
    return enum_reader(enum.name, short | numbers)


def _message_reader(fields: Fields, choices: frozenset[str]) -> MessageReader:
    def read(value: object, depth: int) -> dict[str, object]:
        if type(value) is not dict:
            raise wrong_type("an object", value)
        result: dict[str, object] = {}
        for name, item in value.items():
            field = fields.get(name)
            if field is None or item is None:
                continue
            try:
                result[field[0]] = field[1](item, depth)
            except FieldFault as fault:
                fault.steps.append(f".{name}")
                raise
        if choices and len(choices & result.keys()) > 1:
            raise FieldFault("wrong-type", f"one of {', '.join(sorted(choices))}", "more than one")
        return result

    return read


def _any_value_reader(fields: Fields) -> MessageReader:
    read_any = _message_reader(fields, frozenset())

    def read(value: object, depth: int) -> dict[str, object]:
        if type(value) is dict and len(value) == 1 and type(text := value.get("stringValue")) is str:
            return {"string_value": text}
        if depth <= 0:
            raise FieldFault("too-deep", "values nested no deeper than limits.depth", "a deeper one")
        result = read_any(value, depth - 1)
        if len(result) > 1:
            raise FieldFault("wrong-type", "an object with one kind of value", f"one with {len(result)}")
        return result

    return read


def _repeated_reader(one: Reader) -> Reader:
    def read(value: object, depth: int) -> list[object]:
        if type(value) is not list:
            raise wrong_type("an array", value)
        result: list[object] = []
        try:
            for item in value:
                result.append(one(item, depth))  # noqa: PERF401 - the length reached names the entry at fault
        except FieldFault as fault:
            fault.steps.append(f"[{len(result)}]")
            raise
        return result

    return read
