"""Proofs that a record stands in a log, as files (C2SP tlog-proof, `.tlog-proof`). No I/O.

Muniment puts salt and text of the record into the `extra` line. That line is not authenticated by the format: here it is
believed because its commitment is the leaf whose inclusion is proved. Whom to believe comes from the caller alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from warehouse.ledger import fields
from warehouse.ledger.checkpoint import Checkpoint, open_checkpoint
from warehouse.ledger.cosignature import Cosignature, WitnessVerifier, cosignatures
from warehouse.ledger.errors import ProofError
from warehouse.ledger.note import MAX_NOTE_BYTES, NoteVerifier, Signature
from warehouse.ledger.proofs import verify_inclusion
from warehouse.ledger.record import SALT_BYTES, commitment
from warehouse.ledger.tree import leaf_hash

HEADER = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 63
"""A tree of fewer than 2^63 leaves has no longer path."""
MAX_PROOF_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class TlogProof:
    """The parts of a proof: index of the leaf, path from its sibling upward, the checkpoint's note, extra bytes."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @classmethod
    def of_record(cls, *, index: int, hashes: Iterable[bytes], checkpoint: bytes, salt: bytes, text: bytes) -> Self:
        """A self-contained proof of a record."""
        return cls(index, tuple(hashes), checkpoint, salt + text)

    def encode(self) -> bytes:
        """The proof's file."""
        extra = () if self.extra is None else (f"extra {fields.encode_base64(self.extra)}",)
        lines = (HEADER, *extra, f"index {self.index}", *map(fields.encode_base64, self.hashes), "", "")
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a proof's file; nothing in it is checked.

        Raises:
            ProofError: not a proof.
        """
        if len(content) > MAX_PROOF_BYTES:
            raise ProofError(f"proof: expected at most {MAX_PROOF_BYTES} bytes, got {len(content)}")
        head, separator, checkpoint = content.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as exc:
            raise ProofError(f"proof: expected ASCII before the checkpoint, got another byte at {exc.start}") from exc
        if lines[0] != HEADER:
            raise ProofError(f"proof: expected {HEADER!r} in the first line, got {lines[0][:60]!r}")
        if not separator or len(checkpoint) > MAX_NOTE_BYTES:
            raise ProofError("proof: expected an empty line and a checkpoint after the hashes, got none")
        try:
            extra, rest = _extra(lines[1:])
            index, hashes = _path(rest)
        except ValueError as exc:
            raise ProofError(f"proof: {exc}") from exc
        return cls(index, hashes, checkpoint, extra)


@dataclass(frozen=True)
class Proved:
    """What a proof has established: this entry stands at this index of the log whose head is `checkpoint`."""

    entry: bytes
    index: int
    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]
    cosignatures: tuple[Cosignature, ...]


def record_of(proof: TlogProof) -> tuple[bytes, bytes]:
    """Salt and text of the record that a proof carries.

    Raises:
        ProofError: it carries none.
    """
    if proof.extra is None or len(proof.extra) <= SALT_BYTES:
        raise ProofError("proof: expected salt and text of the record in its extra line, got none")
    return proof.extra[:SALT_BYTES], proof.extra[SALT_BYTES:]


def verify_record_proof(
    proof: TlogProof,
    *,
    origin: str,
    log_keys: Iterable[NoteVerifier],
    witnesses: Iterable[WitnessVerifier] = (),
    quorum: int = 0,
) -> Proved:
    """Check a proof that carries its record: `verify_entry_proof` over the record's commitment."""
    return verify_entry_proof(
        proof, commitment(*record_of(proof)), origin=origin, log_keys=log_keys, witnesses=witnesses, quorum=quorum
    )


def verify_entry_proof(
    proof: TlogProof,
    entry: bytes,
    *,
    origin: str,
    log_keys: Iterable[NoteVerifier],
    witnesses: Iterable[WitnessVerifier] = (),
    quorum: int = 0,
) -> Proved:
    """Check that `entry` stands in the log `origin`, under a head signed by a key of the log and `quorum` witnesses.

    Raises:
        ProofError: the entry's inclusion is not shown, or fewer witnesses cosigned than asked for.
        NoteError: the checkpoint is malformed, of another log, or not signed by a known key.
    """
    opened = open_checkpoint(proof.checkpoint, origin=origin, verifiers=log_keys)
    cosigned = cosignatures(proof.checkpoint, witnesses)
    if len(cosigned) < quorum:
        raise ProofError(f"cosignatures: expected {quorum} by known witnesses, got {len(cosigned)}")
    head = opened.checkpoint
    verify_inclusion(leaf_hash(entry), index=proof.index, size=head.size, proof=proof.hashes, root=head.root)
    return Proved(entry, proof.index, head, opened.verified, cosigned)


def _extra(lines: list[str]) -> tuple[bytes | None, list[str]]:
    if lines and lines[0].startswith("extra "):
        return fields.decode_base64(lines[0].removeprefix("extra ")), lines[1:]
    return None, lines


def _path(lines: list[str]) -> tuple[int, tuple[bytes, ...]]:
    if not lines or not lines[0].startswith("index "):
        raise ValueError(f"expected an index line, got {lines[:1]}")
    if len(lines) - 1 > MAX_HASHES:
        raise ValueError(f"expected at most {MAX_HASHES} hashes, got {len(lines) - 1}")
    index = fields.decode_number(lines[0].removeprefix("index "), "index")
    return index, tuple(fields.decode_hash(line, "hash") for line in lines[1:])
