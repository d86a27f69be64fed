"""A witness (C2SP tlog-witness): which checkpoints it cosigns, and what it remembers of each log.

    STATE/key.json                          its own key, mode 0600
    STATE/logs/<hex SHA-256 of origin>      the last checkpoint that it cosigned of a log
    STATE/lock                              held by the one process that serves this state

Invariant: for each origin, the checkpoints cosigned are those of one tree that only grows. What was cosigned last is compared
and replaced under one lock and is durable before the cosignature leaves, so no crash and no race lets two roots of one
size out. A state that cannot be read stops its log: starting anew would cosign a fork.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from warehouse.clock import NANOS_PER_SECOND, Clock
from warehouse.durable import make_folder, replace_file
from warehouse.errors import CorruptionError, SettingsError, UnavailableError
from warehouse.ledger.add_checkpoint import SIZE_MEDIA_TYPE, AddCheckpoint, encode_size
from warehouse.ledger.checkpoint import Checkpoint, read_unverified, split_origin
from warehouse.ledger.cosignature import WitnessSigner, WitnessVerifier, cosignatures
from warehouse.ledger.errors import BadSignatureError, NoteError, ProofError, UnknownKeyError
from warehouse.ledger.note import Ed25519Verifier, add_signatures, open_note, parse_note
from warehouse.ledger.proofs import verify_consistency
from warehouse.ledger.tree import EMPTY_ROOT
from warehouse.ledger.witness_key import make_witness_key
from warehouse.locks import FileLock
from warehouse.names import LAKE_TENANT

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """An answer of the witness: HTTP status, media type and body."""

    status: HTTPStatus
    media_type: str
    body: bytes


class TrustedLogs:
    """The log keys that a witness was given.

    A key named `<lake>` is that lake's key and holds for each of its logs of the tenant `_lake`, which all carry signatures
    by it under their own names. A key named otherwise holds for the one log whose origin is that name.
    """

    def __init__(self, keys: Sequence[Ed25519Verifier]) -> None:
        if not keys:
            raise SettingsError("witness: expected the key of at least one log, got none")
        self._keys: dict[str, list[Ed25519Verifier]] = {}
        for key in keys:
            known = self._keys.setdefault(key.name, [])
            if key not in known:
                known.append(key)

    def verifiers(self, origin: str) -> list[Ed25519Verifier]:
        """Keys of the log `origin`; none where it is unknown."""
        found = list(self._keys.get(origin, ()))
        try:
            lake, tenant, _ = split_origin(origin)
        except NoteError:
            return found
        if tenant == LAKE_TENANT:
            found += [key.named(origin) for key in self._keys.get(lake, ()) if key.named(origin) not in found]
        return found

    def check_apart(self, witness: WitnessVerifier) -> None:
        """Check that no log signs with the witness's key: whoever vouches for a log must not be the log.

        Raises:
            SettingsError: one does.
        """
        for name, keys in self._keys.items():
            if any(key.public_key == witness.public_key for key in keys):
                raise SettingsError(f"witness: expected a key of its own, got the one that signs {name}")


class _RefusedError(Exception):
    """A checkpoint that is not cosigned, with the answer."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(status, TEXT, f"{message}\n".encode())


class Witness:
    """One witness over its state folder; thread-safe. Made by `open_witness`."""

    def __init__(
        self, state: Path, signer: WitnessSigner, logs: TrustedLogs, *, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self.signer = signer
        self._folder = state / "logs"
        self._logs = logs
        self._clock = clock
        self._say = say
        self._locks: dict[str, threading.Lock] = {}
        self._adding_lock = threading.Lock()

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one add-checkpoint request, in the order of checks of tlog-witness.

        Raises:
            CorruptionError: what was cosigned last cannot be read.
            OSError: it cannot be stored; nothing was cosigned then.
        """
        try:
            request, checkpoint = self._check(body)
            with self._lock(checkpoint.origin):
                answer = self._cosign(request, checkpoint)
                # under the lock: what is told stands in the order in which it was stored
                self._say(f"{answer.status.value} {checkpoint.origin} size {checkpoint.size}")
        except _RefusedError as exc:
            return exc.answer
        return answer

    def last_checkpoint(self, origin_hash: str) -> bytes | None:
        """The checkpoint cosigned last of the log whose origin has this SHA-256 in lower-case hex, with all signatures."""
        if len(origin_hash) != 2 * sha256().digest_size or not set(origin_hash) <= set("0123456789abcdef"):
            return None
        try:
            return (self._folder / origin_hash).read_bytes()
        except FileNotFoundError:
            return None

    def _check(self, body: bytes) -> tuple[AddCheckpoint, Checkpoint]:
        """All that needs no state: format, origin, signature, sizes."""
        try:
            request = AddCheckpoint.parse(body)
            origin = read_unverified(request.note).origin
        except NoteError as exc:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(exc)) from exc
        verifiers = self._logs.verifiers(origin)
        if not verifiers:
            raise _RefusedError(HTTPStatus.NOT_FOUND, f"origin: expected a log that this witness knows, got {origin!r}")
        try:
            checkpoint = Checkpoint.parse(open_note(request.note, verifiers).text)
        except (UnknownKeyError, BadSignatureError) as exc:
            raise _RefusedError(HTTPStatus.FORBIDDEN, str(exc)) from exc
        except NoteError as exc:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(exc)) from exc
        if request.old_size > checkpoint.size:
            message = f"old size: expected at most the checkpoint's {checkpoint.size}, got {request.old_size}"
            raise _RefusedError(HTTPStatus.BAD_REQUEST, message)
        return request, checkpoint

    def _cosign(self, request: AddCheckpoint, checkpoint: Checkpoint) -> Answer:
        """Compare with what was cosigned last, and replace it; the origin's lock is held."""
        last = self._last(checkpoint.origin)
        if request.old_size != last.size:
            return Answer(HTTPStatus.CONFLICT, SIZE_MEDIA_TYPE, encode_size(last.size))
        try:
            _check_growth(last, checkpoint, request.proof)
        except ProofError as exc:
            self._say(f"422 {checkpoint.origin} size {checkpoint.size} after {last.size}: {exc}")
            raise _RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)) from exc
        text = parse_note(request.note).text
        cosignature = self.signer.cosign(text, time_seconds=self._clock() // NANOS_PER_SECOND)
        replace_file(self._file(checkpoint.origin), add_signatures(request.note, [cosignature]))
        return Answer(HTTPStatus.OK, TEXT, cosignature.line.encode())

    def _last(self, origin: str) -> Checkpoint:
        file = self._file(origin)
        try:
            content = file.read_bytes()
            last = read_unverified(content)
            mine = cosignatures(content, [self.signer.verifier])
        except FileNotFoundError:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        except NoteError as exc:
            raise CorruptionError(
                f"{file}: {exc}", hint="restore the witness's state; without it a fork would pass"
            ) from exc
        if last.origin != origin or not mine:
            raise CorruptionError(
                f"{file}: expected a checkpoint of {origin} with this witness's cosignature, got another"
            )
        return last

    def _file(self, origin: str) -> Path:
        return self._folder / origin_hash(origin)

    def _lock(self, origin: str) -> threading.Lock:
        # only origins that a trusted key signed come here: nobody else can make this grow
        with self._adding_lock:
            return self._locks.setdefault(origin, threading.Lock())


def origin_hash(origin: str) -> str:
    """SHA-256 of an origin in hex, by which a witness serves what it cosigned last."""
    return sha256(origin.encode()).hexdigest()


def open_witness(
    state: Path, logs: TrustedLogs, *, clock: Clock, name: str | None = None, say: Callable[[str], None]
) -> tuple[Witness, FileLock]:
    """Open a witness on its state folder, making it with a key of its own at first; the lock is held until released.

    Raises:
        UnavailableError: another process serves this state.
        SettingsError: the key has another name, or the folder lies in a lake.
        CorruptionError: the key cannot be read.
    """
    signer = make_witness_key(state, name=name)
    logs.check_apart(signer.verifier)
    make_folder(state / "logs")
    lock = FileLock(state / "lock")
    if not lock.acquire(holder="a witness"):
        raise UnavailableError(
            f"{state}: expected no other witness on this state, got one that runs",
            hint="two processes on one state could cosign two trees; stop the other one",
        )
    return Witness(state, signer, logs, clock=clock, say=say), lock


def _check_growth(last: Checkpoint, checkpoint: Checkpoint, proof: Sequence[bytes]) -> None:
    """Check that the tree grew from what was cosigned last, at whose size the proof begins."""
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise ProofError(f"root of size 0: expected {EMPTY_ROOT.hex()}, got {checkpoint.root.hex()}")
    if last.size:
        verify_consistency(
            old_size=last.size, new_size=checkpoint.size, old_root=last.root, new_root=checkpoint.root, proof=proof
        )
    elif proof:
        raise ProofError(f"consistency proof: expected no hashes from size 0, got {len(proof)}")
