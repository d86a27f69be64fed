"""Proof of one record in a log of 5 million: time until the tlog-proof is written, from tiles on disk, nothing cached here.

The log is synthetic: hashes of a counter as entries, written with the product's own tiles. Each proof reads the log anew, as
a command of its own would.

    python -m benchmarks prove [--quick]
"""

import hashlib
import random
import statistics
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.results import Figure
from warehouse.ledger.checkpoint import Checkpoint, sign_checkpoint
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import Ed25519Signer
from warehouse.ledger.record import commitment
from warehouse.ledger.tlog_proof import verify_record_proof
from warehouse.questions.proof import FoundRecord, ProvableLog, prove_record

RECORDS = 5_000_000
QUICK_RECORDS = 200_000
BAR_MILLISECONDS = 50.0
_AT_ONCE = 256 * 1024
_PROOFS = 200
_SALT = bytes(16)
_ORIGIN = "bench/acme/main-0000000a"
_MILLI = 1e3


def run(*, quick: bool) -> list[Figure]:
    """Measure."""
    size = QUICK_RECORDS if quick else RECORDS
    with tempfile.TemporaryDirectory(prefix="muniment-prove-") as folder:
        signer = Ed25519Signer(_ORIGIN, Ed25519PrivateKey.generate())
        log = _write_log(Path(folder), size, signer)
        rng = random.Random(7)
        seconds = []
        for index in (rng.randrange(size) for _ in range(_PROOFS)):
            started = time.perf_counter()
            proof = prove_record(log, index, FoundRecord("spans", _SALT, _text(index)))
            proof.encode()
            seconds.append(time.perf_counter() - started)
            verify_record_proof(proof, origin=_ORIGIN, log_keys=[signer.verifier])
    ordered = sorted(seconds)
    note = f"{size:,} records, {_PROOFS} proofs"
    return [
        Figure("prove", "median", statistics.median(ordered) * _MILLI, "ms", note=note),
        Figure("prove", "99th percentile", ordered[int(_PROOFS * 0.99)] * _MILLI, "ms", BAR_MILLISECONDS, note=note),
    ]


def _text(index: int) -> bytes:
    return b"record %d" % index


def _write_log(folder: Path, size: int, signer: Ed25519Signer) -> ProvableLog:
    tiles = LogTiles(folder)
    for first in range(0, size, _AT_ONCE):
        last = min(size, first + _AT_ONCE)
        entries = b"".join(hashlib.sha256(_SALT + _text(index)).digest() for index in range(first, last))
        frontier = tiles.append(first, entries)
    head = Checkpoint(_ORIGIN, size, frontier.root())
    if commitment(_SALT, _text(0)) != tiles.entries(0, 1):
        raise RuntimeError("the synthetic log does not hold what its records commit to")
    return ProvableLog("acme", "main-0000000a", folder, head, sign_checkpoint(head, [signer]))
