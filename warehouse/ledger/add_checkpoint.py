"""The request by which a log asks a witness for its cosignature (C2SP tlog-witness, add-checkpoint). No I/O.

old <size>            the size that the witness cosigned last, 0 for none
<base64 hash>         consistency proof from that size, at most 63 lines
                      an empty line
<checkpoint>          the signed note, verbatim
"""

from dataclasses import dataclass
from typing import Self

from warehouse.ledger import fields
from warehouse.ledger.errors import NoteError

MAX_PROOF_HASHES = 63
MAX_REQUEST_BYTES = 64 * 1024
"""A checkpoint with a hundred signatures and 63 hashes take a third of it."""
SIZE_MEDIA_TYPE = "text/x.tlog.size"
"""Media type of an answer 409: the size cosigned last, in decimal, with a newline."""

_OLD = b"old "


@dataclass(frozen=True)
class AddCheckpoint:
    """A checkpoint, and the proof that its tree begins with the one of `old_size` leaves."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """The request's body."""
        lines = [f"old {self.old_size}", *map(fields.encode_base64, self.proof), "", ""]
        return "\n".join(lines).encode() + self.note

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a request's body; the checkpoint in it is not looked at.

        Raises:
            NoteError: not such a request.
        """
        head, separator, note = body.partition(b"\n\n")
        old, *hashes = head.split(b"\n")
        if not separator or not old.startswith(_OLD):
            raise NoteError(
                "request: expected a line 'old <size>', hashes, an empty line and a checkpoint, got another"
            )
        if len(hashes) > MAX_PROOF_HASHES:
            raise NoteError(f"request: expected at most {MAX_PROOF_HASHES} hashes, got {len(hashes)}")
        try:
            old_size = fields.decode_number(old.removeprefix(_OLD).decode("ascii"), "old size")
            proof = tuple(fields.decode_hash(line.decode("ascii"), "consistency proof") for line in hashes)
        except ValueError as exc:  # another byte than ASCII is one, too
            raise NoteError(f"request: {exc}") from exc
        return cls(old_size, proof, note)


def encode_size(size: int) -> bytes:
    """Body of an answer 409."""
    return b"%d\n" % size


def parse_size(body: bytes) -> int:
    """The size in the body of an answer 409.

    Raises:
        NoteError: it holds none.
    """
    try:
        return fields.decode_number(body.removesuffix(b"\n").decode("ascii"), "cosigned size")
    except ValueError as exc:
        raise NoteError(f"answer: {exc}") from exc
