"""Asks witnesses for cosignatures of the logs of `_lake`, and keeps what they answer beside the checkpoints.

    LAKE/ledger/_lake/<shard>/witnessed/<key id>     the last checkpoint that this witness cosigned, with its cosignature
    LAKE/ledger/_lake/<shard>/witnessed/<key id>.<day>   the last one of an earlier day (UTC): should the signing key turn out to
                                                     be stolen, only cosignatures from before the theft count
    LAKE/ledger/_lake/<shard>/checkpoint.witnessed   the newest checkpoint that any witness cosigned, with all cosignatures

The newest files are copies of what witnesses know: one that is lost is made again from a witness's answer 409.
"""

import http.client
import re
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from warehouse.clock import NANOS_PER_SECOND, utc_date
from warehouse.durable import make_folder, replace_file
from warehouse.errors import MunimentError, Permanent, Transient
from warehouse.lake import Lake
from warehouse.ledger.add_checkpoint import MAX_REQUEST_BYTES, AddCheckpoint, parse_size
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.cosignature import Cosignature, WitnessVerifier, cosignatures
from warehouse.ledger.errors import NoteError
from warehouse.ledger.heads import LogHead
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import Note, Signature, add_signatures, parse_note, parse_signature
from warehouse.names import LAKE_TENANT

WITNESSED_FILE = "checkpoint.witnessed"
WITNESSED_FOLDER = "witnessed"

_TIMEOUT_SECONDS = 10.0
_SHOWN_BYTES = 200
_OWN_FILE = re.compile(r"[0-9a-f]{8}")
"""A witness's key id in hex."""


class WitnessError(MunimentError):
    """A witness gave no cosignature."""


class WitnessUnavailableError(WitnessError, Transient):
    """A witness does not answer, or cannot now."""


class WitnessRefusalError(WitnessError, Permanent):
    """A witness refuses a checkpoint, or answers what is no cosignature of it."""


@dataclass(frozen=True)
class WitnessEndpoint:
    """A witness: the URL before `/add-checkpoint`, and the key by which its answers are believed."""

    url: str
    verifier: WitnessVerifier

    @property
    def name(self) -> str:
        """The witness's name and key id: two keys may have one name."""
        return f"{self.verifier.name}+{self.verifier.key_id.hex()}"


def parse_endpoint(url: str, vkey: str) -> WitnessEndpoint:
    """A witness as settings name it.

    Raises:
        NoteError: the key is not one of a witness, or the URL has another form.
    """
    parts = urlsplit(url)
    try:
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.username or parts.password or parts.query or parts.fragment:
        raise NoteError(
            "witness url: expected http(s)://host[:port][/path] without user, query and fragment, got another"
        )
    return WitnessEndpoint(url.rstrip("/"), WitnessVerifier.from_vkey(vkey))


class CosignatureStore:
    """The cosignatures in one lake by the witnesses given. Thread-safe; one process at a time writes."""

    def __init__(self, lake: Lake, witnesses: Sequence[WitnessVerifier]) -> None:
        self._folder = lake.path / "ledger" / LAKE_TENANT
        self._witnesses = tuple(witnesses)
        self._lock = threading.Lock()

    def newest(self, shard: str, witness: WitnessVerifier) -> tuple[Note, Cosignature] | None:
        """The last checkpoint of a log that this witness cosigned; None where there is none, or none that is sound."""
        try:
            content = self._file(shard, witness).read_bytes()
            found = cosignatures(content, [witness])
            return (parse_note(content), found[0]) if found else None
        except (FileNotFoundError, NoteError):
            return None

    def last_cosigned_seconds(self, witness: WitnessVerifier) -> int | None:
        """When this witness cosigned last, of whatever log, in seconds since 1970."""
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        found = [newest[1].time_seconds for folder in folders if (newest := self.newest(folder.name, witness))]
        return max(found, default=None)

    def add(self, shard: str, witness: WitnessVerifier, note: bytes, cosignature: Signature) -> None:
        """Keep a cosignature that was verified.

        Raises:
            OSError: the disk does not take it.
        """
        with self._lock:
            own_file, newest_file = self._file(shard, witness), self._folder / shard / WITNESSED_FILE
            make_folder(own_file.parent)
            if (newest := self._merged(newest_file, note, cosignature)) is not None:
                replace_file(newest_file, newest)
            cosigned = add_signatures(note, [cosignature])
            self._keep_last_of_day(shard, witness, cosigned)
            # last, because what stands here is not asked for again
            replace_file(own_file, cosigned)

    def _keep_last_of_day(self, shard: str, witness: WitnessVerifier, cosigned: bytes) -> None:
        """Before a day's first cosignature replaces the one before, put that beside it under its own day."""
        before, found = self.newest(shard, witness), cosignatures(cosigned, [witness])
        if before is None or not found:
            return
        day, today = (utc_date(each.time_seconds * NANOS_PER_SECOND) for each in (before[1], found[0]))
        if day != today:
            file = self._file(shard, witness)
            replace_file(file.with_name(f"{file.name}.{day.isoformat()}"), before[0].encode())

    def _merged(self, file: Path, note: bytes, cosignature: Signature) -> bytes | None:
        """The newest checkpoint with all its cosignatures; None where the file has a larger one already.

        What no witness cosigned counts for nothing, however large: a forged file must not keep the true one out.
        """
        try:
            present = file.read_bytes()
            if not cosignatures(present, self._witnesses):
                return add_signatures(note, [cosignature])
        except (FileNotFoundError, NoteError):
            return add_signatures(note, [cosignature])
        if parse_note(present).text == parse_note(note).text:
            return add_signatures(present, [cosignature])
        return (
            None if read_unverified(present).size > read_unverified(note).size else add_signatures(note, [cosignature])
        )

    def _file(self, shard: str, witness: WitnessVerifier) -> Path:
        return self._folder / shard / WITNESSED_FOLDER / witness.key_id.hex()


def keep_cosignatures(lake: Lake, unix_nano: int) -> None:
    """Keep what each witness cosigned last, however many rounds follow: beside it, under the time in seconds.

    Raises:
        OSError: the disk does not take it.
    """
    for file in sorted((lake.path / "ledger" / LAKE_TENANT).glob(f"*/{WITNESSED_FOLDER}/*")):
        if _OWN_FILE.fullmatch(file.name):
            replace_file(file.with_name(f"{file.name}.{unix_nano // NANOS_PER_SECOND}"), file.read_bytes())


class WitnessClient:
    """Asks one witness; one thread at a time."""

    def __init__(
        self, endpoint: WitnessEndpoint, store: CosignatureStore, *, timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        self.endpoint = endpoint
        self._store = store
        self._timeout_seconds = timeout_seconds

    def is_cosigned(self, head: LogHead) -> bool:
        """Whether the witness cosigned exactly this checkpoint."""
        newest = self._store.newest(head.folder.name, self.endpoint.verifier)
        return newest is not None and newest[0].text == head.checkpoint.text

    def cosign(self, head: LogHead) -> Cosignature:
        """Get a checkpoint cosigned and keep the cosignature.

        The witness is asked from the size in the store, and once more from the size that it names itself.

        Raises:
            WitnessUnavailableError: it does not answer, or cannot now.
            WitnessRefusalError: it refuses the checkpoint, or answers no cosignature of it.
            TileError: a tile that the consistency proof needs is not there.
            OSError: the disk does not take the cosignature.
        """
        newest = self._store.newest(head.folder.name, self.endpoint.verifier)
        known_size = read_unverified(newest[0].encode()).size if newest else 0
        old_size = min(known_size, head.checkpoint.size)
        status, body = self._ask(head, old_size)
        if status == HTTPStatus.CONFLICT:
            old_size = self._cosigned_size(head, old_size, body)
            status, body = self._ask(head, old_size)
        if status == HTTPStatus.CONFLICT:
            self._cosigned_size(head, old_size, body)
            raise WitnessUnavailableError(
                f"witness {self.endpoint.name}: expected one client at a time, got others between"
            )
        if status != HTTPStatus.OK:
            raise self._refusal(head, status, body)
        return self._accept(head, body)

    def _cosigned_size(self, head: LogHead, asked_size: int, body: bytes) -> int:
        """The size that a witness names in an answer 409, from which the next request starts."""
        checkpoint, witness = head.checkpoint, self.endpoint.name
        hint = "run `muniment verify`; what the witness cosigned last stands in LAKE/ledger/_lake/<shard>/witnessed"
        try:
            size = parse_size(body)
        except NoteError as exc:
            raise WitnessRefusalError(f"witness {witness}: answer 409: {exc}") from exc
        if size > checkpoint.size:
            raise WitnessRefusalError(
                f"witness {witness} cosigned {checkpoint.origin} at size {size}, and the log has only {checkpoint.size}: "
                "it was cut, or an old copy was put in its place",
                hint=hint,
            )
        if size == asked_size:  # some witnesses answer so where others answer 422
            raise WitnessRefusalError(
                f"witness {witness} cosigned another root of {checkpoint.origin} at size {size}", hint=hint
            )
        return size

    def _ask(self, head: LogHead, old_size: int) -> tuple[int, bytes]:
        size = head.checkpoint.size
        proof = LogTiles(head.folder).consistency_proof(old_size, size) if 0 < old_size < size else []
        request = AddCheckpoint(old_size, tuple(proof), head.signed.note).encode()
        parts = urlsplit(self.endpoint.url)
        connection = _connection(parts.scheme, str(parts.hostname), parts.port, self._timeout_seconds)
        try:
            headers = {"content-type": "text/plain; charset=utf-8", "user-agent": "muniment", "connection": "close"}
            connection.request("POST", f"{parts.path}/add-checkpoint", body=request, headers=headers)
            response = connection.getresponse()
            return response.status, response.read(MAX_REQUEST_BYTES)
        except (OSError, http.client.HTTPException) as exc:
            raise WitnessUnavailableError(
                f"witness {self.endpoint.name}: expected an answer from {self.endpoint.url}, got {type(exc).__name__}: {exc}"
            ) from exc
        finally:
            connection.close()

    def _refusal(self, head: LogHead, status: int, body: bytes) -> WitnessError:
        said = " ".join(body[:_SHOWN_BYTES].decode("utf8", "replace").split())
        message = (
            f"witness {self.endpoint.name}: {head.checkpoint.origin} size {head.checkpoint.size}: got {status}: {said}"
        )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return WitnessUnavailableError(message)
        return WitnessRefusalError(message)

    def _accept(self, head: LogHead, body: bytes) -> Cosignature:
        """Find the cosignature by the key that the settings name; lines of other keys are ignored."""
        witness = self.endpoint.verifier
        try:
            lines = [parse_signature(line) for line in body.decode("utf8").removesuffix("\n").split("\n")]
            signed = [line for line in lines if (line.name, line.key_id) == (witness.name, witness.key_id)]
            found = cosignatures(Note(head.checkpoint.text, tuple(signed)).encode(), [witness]) if signed else ()
        except (NoteError, UnicodeDecodeError) as exc:
            raise WitnessRefusalError(f"witness {self.endpoint.name}: expected a cosignature, got {exc}") from exc
        if not found:
            raise WitnessRefusalError(f"witness {self.endpoint.name}: expected a cosignature by its key, got none")
        self._store.add(head.folder.name, witness, head.signed.note, found[0].signature)
        return found[0]


def _connection(scheme: str, host: str, port: int | None, timeout_seconds: float) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_seconds)
