"""OTLP/JSON: a request's text checked record by record and turned into the protobuf that the decoder reads.

The standard is OTLP §JSON Protobuf Encoding: lowerCamelCase names, ids in hex, enums as integers, unknown fields ignored.
What protobuf's own JSON mapping writes is understood too: ids in base64, 64-bit numbers as text, enums by name, the
original snake_case names.
"""

from collectors.otlp_json.requests import ParsedJson, parse

__all__ = ["ParsedJson", "parse"]
