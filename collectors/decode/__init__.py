"""Decode and normalise: groups of OTLP requests to record batches of the tables, in columns throughout."""

from collectors.decode.group import Counts, DecodedGroup, decode_group

__all__ = ["Counts", "DecodedGroup", "decode_group"]
