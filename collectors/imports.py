"""File import: OTLP JSON, JSON lines and protobuf files, through the same pipeline as the receivers.

A file is cut into requests and these into chunks. A chunk's rows are committed together with the Delta transaction
`import/<file>/<table>` at the chunk's number, so an import that was interrupted goes on after its last whole chunk, and a
file that was imported before is recognised, even after its rows were purged. A file's identity is an HMAC of its bytes
under the tenant's lookup key: it tells the same file again, and tells nobody else what was in it.
"""

import gzip
import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from collectors.exports import Export, IntakeLimits, Outcome, Refusal, Sender, Signal
from collectors.otlp_json import parse
from collectors.pipeline import GroupPipeline
from collectors.protobuf_files import guess_signal, split_messages
from warehouse.clock import Clock
from warehouse.errors import DecodeError, InputError, LimitError

CHUNK_BYTES = 4 * 1024 * 1024
CHUNK_REQUESTS = 256
IDENTITY_BYTES = 16
_READ_BYTES = 1024 * 1024
_SHOWN_BYTES = 16
_EXPECTED = "expected OTLP as JSON, JSON lines, or protobuf with each message behind its length in 4 bytes"
_GZIP_MAGIC = b"\x1f\x8b"
_ROOTS = {
    "resourceSpans": Signal.TRACES,
    "resource_spans": Signal.TRACES,
    "resourceLogs": Signal.LOGS,
    "resource_logs": Signal.LOGS,
    "resourceMetrics": Signal.METRICS,
    "resource_metrics": Signal.METRICS,
}


class CommittedChunks(Protocol):
    """Where an import stands in the tables: the highest version of a transaction, -1 for none."""

    def __call__(self, app_id: str) -> int:
        """Version committed by `app_id` in the table `spans`, which is committed last."""
        ...


@dataclass
class ImportResult:
    """What one file brought. `already` is set when it had been imported whole before."""

    file: Path
    identity: str
    chunks: int = 0
    resumed_at: int = 0
    accepted: int = 0
    rejected: int = 0
    already: bool = False
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Request:
    """One request of a file; `refused` says why when it cannot even be parsed."""

    signal: Signal
    body: bytes
    refused: tuple[Refusal, ...] = ()
    undecodable: str | None = None
    line: int | None = None


def file_identity(file: Path, lookup_key: bytes) -> str:
    """Identity of a file's bytes for one tenant, in hex."""
    digest = hmac.new(lookup_key, b"file:", hashlib.sha256)
    with file.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.digest()[:IDENTITY_BYTES].hex()


def import_file(
    file: Path,
    *,
    tenant_id: str,
    recorded_by: str,
    identity: str,
    pipeline: GroupPipeline,
    committed: CommittedChunks,
    clock: Clock,
    signal: Signal | None = None,
    progress: Callable[[int], None] = lambda _bytes: None,
) -> ImportResult:
    """Import one file, going on after the last chunk that an earlier run committed.

    `progress` is called with the number of bytes taken so far. Returns once the last chunk is durable; the caller waits for
    its commit.

    Raises:
        InputError: the file's format cannot be told, or it is none of those understood.
        UnavailableError: the lake cannot take it now; running the same import again goes on.
    """
    result = ImportResult(file, identity)
    app_id = f"import/{identity}"
    done = committed(f"{app_id}/spans")
    sender = Sender(tenant_id, "-", recorded_by, f"file:{identity}")
    taken = 0
    pending = []
    for number, chunk in enumerate(_chunks(_read_requests(file, pipeline.limits, signal))):
        taken += sum(len(request.body) for request in chunk)
        result.chunks = number + 1
        if number <= done:
            result.resumed_at = number + 1
            continue
        exports = [_export(request, sender, identity, number, at, clock) for at, request in enumerate(chunk)]
        for export, request in zip(exports, chunk, strict=True):
            if request.undecodable is not None:
                _quarantine(pipeline, export, request, result)
        decodable = [e for e, r in zip(exports, chunk, strict=True) if r.undecodable is None]
        decoded, durable = pipeline.process(decodable, transactions=((app_id, number),))
        lines = [request.line for request in chunk if request.undecodable is None]
        for outcome, line in zip(decoded.outcomes, lines, strict=True):
            _count(result, outcome, line)
        pending.append(durable)
        if len(pending) > 1:
            pending.pop(0).result()
        progress(taken)
    for durable in pending:
        durable.result()
    result.already = result.chunks > 0 and result.resumed_at == result.chunks
    return result


def _count(result: ImportResult, outcome: Outcome | DecodeError, line: int | None) -> None:
    where = "" if line is None else f"line {line}: "
    if isinstance(outcome, DecodeError):
        result.rejected += 1
        result.messages.append(f"{where}{outcome}")
        return
    result.accepted += outcome.accepted
    result.rejected += outcome.rejected
    if outcome.message:
        result.messages.append(f"{where}{outcome.message}")


def _quarantine(pipeline: GroupPipeline, export: Export, request: _Request, result: ImportResult) -> None:
    reason = request.undecodable or ""
    pipeline.quarantine_body(
        export.signal,
        export.sender,
        content_type="file",
        size_bytes=len(request.body),
        reason=reason,
        digest=export.digest,
    )
    result.rejected += 1
    result.messages.append(reason)


def _export(request: _Request, sender: Sender, identity: str, chunk: int, at: int, clock: Clock) -> Export:
    # a digest of the place, so that a chunk taken again names the same quarantine entries
    place = f"{identity}/{chunk}/{at}".encode()
    return Export(
        signal=request.signal,
        body=request.body,
        sender=sender,
        received_unix_nano=clock(),
        digest=hashlib.sha256(place).digest()[:IDENTITY_BYTES],
        refused=request.refused,
    )


def _chunks(requests: Iterator[_Request]) -> Iterator[list[_Request]]:
    """Cut requests into chunks by the same rule each time: resuming depends on it."""
    chunk: list[_Request] = []
    size = 0
    for request in requests:
        chunk.append(request)
        size += len(request.body)
        if size >= CHUNK_BYTES or len(chunk) >= CHUNK_REQUESTS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _read_requests(file: Path, limits: IntakeLimits, signal: Signal | None) -> Iterator[_Request]:
    with file.open("rb") as raw:
        zipped = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        stream: BinaryIO = gzip.GzipFile(fileobj=raw) if zipped else raw  # type: ignore[assignment]  # a binary reader in all but name
        start = stream.read(_READ_BYTES)
        stream.seek(0)
        if not start:
            raise InputError(f"{file}: expected OTLP JSON, JSON lines or protobuf, got an empty file")
        if start.lstrip()[:1] in (b"{", b"["):
            yield from _json_requests(file, stream, limits)
        else:
            size = None if zipped else file.stat().st_size
            yield from _protobuf_requests(file, stream, limits, signal, begins=start[:_SHOWN_BYTES], size_bytes=size)


def _json_requests(file: Path, stream: BinaryIO, limits: IntakeLimits) -> Iterator[_Request]:
    """Yield each line as a request; a file whose first two lines are no JSON values is one request over many lines."""
    first = stream.readline(limits.decompressed_bytes + 1)
    second = stream.readline(limits.decompressed_bytes + 1)
    stream.seek(len(first))
    if not _is_json(first) and not _is_json(second):
        rest = stream.read(limits.decompressed_bytes + 1 - len(first))
        if len(first) + len(rest) > limits.decompressed_bytes:
            raise LimitError(f"{file}: one JSON value over the limit decompressed_bytes {limits.decompressed_bytes}")
        yield _json_request(first + rest, limits)
        return
    line, number = first, 1
    while line:
        if len(line) > limits.decompressed_bytes:
            raise LimitError(f"{file}: line {number} is over the limit decompressed_bytes {limits.decompressed_bytes}")
        if line.strip():
            yield _json_request(line, limits, number)
        line, number = stream.readline(limits.decompressed_bytes + 1), number + 1


def _json_request(line: bytes, limits: IntakeLimits, number: int | None = None) -> _Request:
    try:
        signal = _signal_of(line)
        parsed = parse(signal, line, limits)
    except DecodeError as exc:
        where = "" if number is None else f"line {number}: "
        return _Request(Signal.TRACES, line, undecodable=f"{where}{exc}")
    return _Request(signal, parsed.protobuf, parsed.refused, line=number)


def _signal_of(line: bytes) -> Signal:
    try:
        keys = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise DecodeError(f"expected an OTLP JSON request, got: {exc}") from exc
    found = {_ROOTS[key] for key in keys if key in _ROOTS}
    if len(found) != 1:
        raise DecodeError(f"expected one of resourceSpans, resourceLogs, resourceMetrics, got keys {sorted(keys)[:5]}")
    return found.pop()


def _is_json(line: bytes) -> bool:
    """Whether a line is a JSON object by itself."""
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _protobuf_requests(
    file: Path,
    stream: BinaryIO,
    limits: IntakeLimits,
    signal: Signal | None,
    *,
    begins: bytes,
    size_bytes: int | None,
) -> Iterator[_Request]:
    try:
        for message in split_messages(stream, limits.decompressed_bytes, size_bytes=size_bytes):
            found = signal or guess_signal(message)
            if found is None:
                raise InputError(
                    f"{file}: expected one OTLP signal, got a file that does not tell which; it begins with {begins!r}",
                    hint="if it is OTLP protobuf say which with --signal traces, logs or metrics",
                )
            yield _Request(found, message)
    except (DecodeError, LimitError) as exc:
        raise type(exc)(f"{file}: {exc}; it begins with {begins!r}", hint=_EXPECTED) from exc
