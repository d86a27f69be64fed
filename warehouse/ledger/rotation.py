"""Rotations of a lake's signing key, as its own log tells them, and what they mean for a checkpoint. No I/O.

A rotation is a `key.rotated` event in the log of `_lake`. It names the old and the new key and every log's size when the old
one ended. Up to that size the old key's signature stands; above it the old key alone signs nothing, since from the moment
before the event every honest checkpoint carried the new key's signature too. Whoever steals the old key later can therefore
neither lengthen a log nor open one.

A stolen key could have signed other histories *before* its end as well. So under compromise its signature establishes
nothing by itself at any size: what a witness cosigned before the theft stands, the rest is not established. The event says
since when the key may have been known to others; a cosignature made after that instant vouches for what the thief may have signed.
"""

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.ledger.checkpoint import Checkpoint, split_origin
from warehouse.ledger.errors import NoteError
from warehouse.ledger.note import Ed25519Verifier, Signature

EVENT_NAME = "key.rotated"
RESOURCE_TYPE = "ledger_key"
"""Of the event, so that rotations of API keys, which bear the same name, are told apart."""

_OLD_KEY = "muniment.key.old"
_NEW_KEY = "muniment.key.new"
_COMPROMISED = "muniment.key.compromised"
_COMPROMISED_SINCE = "muniment.key.compromised_since_unix_nano"
_OVERLAP_ENDS = "muniment.key.overlap_ends_unix_nano"
_SIZES = "muniment.log.sizes"


@dataclass(frozen=True)
class Rotation:
    """One rotation: `new_key` follows `old_key` (public keys of 32 bytes).

    `sizes` holds each log's size at the old key's end, by `<tenant>/<shard>`; a log that is not in it had none. Checkpoints
    carry the old signature too until `overlap_ends_unix_nano` (nanoseconds since 1970). A compromised key may have been known
    to others from `compromised_since_unix_nano` on.
    """

    old_key: bytes
    new_key: bytes
    sizes: Mapping[str, int]
    overlap_ends_unix_nano: int
    compromised: bool = False
    compromised_since_unix_nano: int = 0

    def to_attributes(self) -> dict[str, Any]:
        """Attributes of the event."""
        return {
            _OLD_KEY: _encode(self.old_key),
            _NEW_KEY: _encode(self.new_key),
            _COMPROMISED: self.compromised,
            _OVERLAP_ENDS: self.overlap_ends_unix_nano,
            _SIZES: dict(self.sizes),
            **({_COMPROMISED_SINCE: self.compromised_since_unix_nano} if self.compromised else {}),
        }


def read_rotations(attributes: Iterable[str]) -> list[Rotation]:
    """Rotations told by `key.rotated` events of `_lake`, from their `attributes` (JSON text), in the log's order.

    Give it only events that Muniment itself recorded in `_lake` and that the log holds. Those about other keys are passed over.

    Raises:
        NoteError: an event about a signing key that is not in its format.
    """
    return [_read(content) for text in attributes if _NEW_KEY in (content := json.loads(text))]


def is_acceptable(checkpoint: Checkpoint, signatures: Collection[Signature], rotations: Sequence[Rotation]) -> bool:
    """Whether the keys that signed a checkpoint were entitled to, after these rotations.

    `signatures` are those that were found to fit, as `open_checkpoint` gives them.
    """
    return objection(checkpoint, signatures, rotations) is None


def objection(checkpoint: Checkpoint, signatures: Collection[Signature], rotations: Sequence[Rotation]) -> str | None:
    """Why the keys that signed a checkpoint were not entitled to; None when they were."""
    rotation = _ending_rotation(checkpoint.origin, signatures, rotations)
    if rotation is None:
        return None
    ended_at = rotation.sizes.get(_log_name(checkpoint.origin), 0)
    if checkpoint.size <= ended_at:
        return None
    return (
        f"checkpoint of {checkpoint.origin}: expected the signature of the key in force above size {ended_at}, "
        f"where the old key ended, got the old key's alone at size {checkpoint.size}"
    )


def stolen_sizes(
    checkpoint: Checkpoint, signatures: Collection[Signature], rotations: Sequence[Rotation]
) -> list[tuple[int, int]]:
    """For each stolen key: when it may have been stolen (nanoseconds since 1970), and up to which size this log rests on it.

    A longer checkpoint by the new key says nothing of what the stolen one could have signed before.
    """
    name = _log_name(checkpoint.origin)
    ending = _ending_rotation(checkpoint.origin, signatures, rotations)
    return [
        (
            rotation.compromised_since_unix_nano,
            checkpoint.size if rotation is ending else min(checkpoint.size, rotation.sizes.get(name, 0)),
        )
        for rotation in rotations
        if rotation.compromised
    ]


def _ending_rotation(origin: str, signatures: Collection[Signature], rotations: Sequence[Rotation]) -> Rotation | None:
    """The rotation that ended every key that signed, told last; None when one of them was not ended, or none is known."""
    signed = {signature.key_id for signature in signatures}
    # An interrupted rotation is told again when it is finished: the last telling has the sizes at the end.
    endings = {_key_id(origin, rotation.old_key): place for place, rotation in enumerate(rotations)}
    if not signed or not signed <= endings.keys():
        return None
    return rotations[max(endings[key_id] for key_id in signed)]


def _read(content: Mapping[str, Any]) -> Rotation:
    try:
        sizes = {str(name): int(size) for name, size in content[_SIZES].items()}
        compromised = bool(content[_COMPROMISED])
        since = int(content.get(_COMPROMISED_SINCE, content[_OVERLAP_ENDS])) if compromised else 0
        return Rotation(
            _decode(content[_OLD_KEY]),
            _decode(content[_NEW_KEY]),
            sizes,
            int(content[_OVERLAP_ENDS]),
            compromised=compromised,
            compromised_since_unix_nano=since,
        )
    except (KeyError, ValueError, TypeError, AttributeError) as exc:
        raise NoteError(f"{EVENT_NAME} event: expected keys, sizes and overlap, got {exc!r}") from exc


def _key_id(origin: str, public_key: bytes) -> bytes:
    return Ed25519Verifier(origin, public_key).key_id


def _log_name(origin: str) -> str:
    _, tenant, shard = split_origin(origin)
    return f"{tenant}/{shard}"


def _encode(public_key: bytes) -> str:
    return base64.b64encode(public_key).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
