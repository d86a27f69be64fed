"""Witness cosignatures (C2SP tlog-cosignature, Ed25519, type 0x04). No I/O.

A cosignature says: at this time this was the largest consistent tree that the witness had seen of that log. The message
names no witness, so a key serves one witness and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.ledger.checkpoint import Checkpoint
from warehouse.ledger.note import Signature, check_signatures, parse_note
from warehouse.ledger.vkey import PublicKey, ed25519_fits

COSIGNATURE = 0x04
"""Type byte of an Ed25519 key that cosigns."""

_TIMESTAMP = Struct(">Q")
_SIGNATURE_BYTES = 64
_TIMESTAMP_LIMIT = 1 << 63


@dataclass(frozen=True)
class Cosignature:
    """A cosignature that fits: by which witness, and when it was made, in seconds since 1970."""

    witness: str
    time_seconds: int
    signature: Signature


class WitnessVerifier(PublicKey):
    """A witness's public key."""

    TYPE = COSIGNATURE

    def verify(self, text: str, value: bytes) -> bool:
        """Whether `value`, time and signature, is this witness's cosignature of a checkpoint's text."""
        if len(value) != _TIMESTAMP.size + _SIGNATURE_BYTES:
            return False
        time_seconds = _time_of(value)
        message = _message(text, time_seconds)
        return time_seconds < _TIMESTAMP_LIMIT and ed25519_fits(self.public_key, value[_TIMESTAMP.size :], message)


@dataclass(frozen=True)
class WitnessSigner:
    """A witness's private key under its name."""

    name: str
    private_key: Ed25519PrivateKey

    @property
    def verifier(self) -> WitnessVerifier:
        """The public half."""
        return WitnessVerifier(self.name, self.private_key.public_key().public_bytes_raw())

    def cosign(self, text: str, *, time_seconds: int) -> Signature:
        """Cosign a checkpoint's text at a time, in seconds since 1970.

        The caller has checked that the checkpoint is consistent with all that this witness cosigned of its log.

        Raises:
            NoteError: the text is not a checkpoint's.
        """
        Checkpoint.parse(text)
        value = self.private_key.sign(_message(text, time_seconds))
        return Signature(self.name, self.verifier.key_id, _TIMESTAMP.pack(time_seconds) + value)


def cosignatures(note: bytes, witnesses: Iterable[WitnessVerifier]) -> tuple[Cosignature, ...]:
    """Cosignatures of a checkpoint by the witnesses that the verifier knows: one a public key, the others ignored.

    A key given under several names counts once: a quorum is made of witnesses, not of names.

    Raises:
        NoteError: not a signed note, or a known witness signed twice.
        BadSignatureError: a known witness's cosignature does not fit.
    """
    known = {(witness.name, witness.key_id): witness for witness in witnesses}
    found: dict[bytes, Cosignature] = {}
    for signature in check_signatures(parse_note(note), known.values()):
        public_key = known[signature.name, signature.key_id].public_key
        found.setdefault(public_key, Cosignature(signature.name, _time_of(signature.value), signature))
    return tuple(found.values())


def _time_of(value: bytes) -> int:
    (time_seconds,) = _TIMESTAMP.unpack_from(value)
    return int(time_seconds)


def _message(text: str, time_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {time_seconds}\n{text}".encode()
