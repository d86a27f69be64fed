"""Quarantine: what was refused, with the reason, so that it can be looked at and sent again.

One JSON object a line in `LAKE/quarantine/<tenant>/<day>/<writer>.jsonl`, mode 0600, durable before the request that it
came with is answered. A record's text passes the redactor's rules before it gets here; of a body that could not be
decoded nothing is kept but reason, size, type, key id and a keyed digest.
"""

import contextlib
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from warehouse.clock import utc_date
from warehouse.durable import PRIVATE_FILE, make_folder, replace_file, sync_folder
from warehouse.errors import NotFoundError, UnavailableError
from warehouse.lake import Lake


@dataclass(frozen=True)
class QuarantineEntry:
    """One refused record or body. `record` is OTLP/JSON text of a one-record request, or None for a body."""

    tenant_id: str
    unix_nano: int
    signal: str
    reason: str
    message: str
    recorded_by: str
    peer: str
    event_name: str | None = None
    record: str | None = None
    content_type: str | None = None
    size_bytes: int | None = None
    digest: str | None = None
    id: str = ""
    replayed: bool = False


class Quarantine:
    """Appends entries for one process. Thread-safe."""

    def __init__(self, lake: Lake, writer_name: str) -> None:
        self._root = lake.quarantine
        self._name = writer_name
        self._lock = threading.Lock()

    def add(self, entries: Sequence[QuarantineEntry]) -> None:
        """Write entries durably.

        Raises:
            UnavailableError: the disk refused; the request must not be acknowledged.
        """
        by_file: dict[Path, list[str]] = {}
        for entry in entries:
            day = utc_date(entry.unix_nano).isoformat()
            value = {key: value for key, value in asdict(entry).items() if value is not None}
            value["id"] = entry.id or secrets.token_hex(8)
            file = self._root / entry.tenant_id / day / f"{self._name}.jsonl"
            by_file.setdefault(file, []).append(json.dumps(value, separators=(",", ":")))
        with self._lock:
            for file, lines in by_file.items():
                _append_durably(file, lines)


def read_quarantine(lake: Lake, tenants: Iterable[str]) -> Iterator[QuarantineEntry]:
    """Entries of `tenants`, oldest day first; `replayed` is set where a replay was recorded."""
    for tenant in sorted(tenants):
        for folder in sorted((lake.quarantine / tenant).glob("*")):
            values, replayed = [], set()
            for file in sorted(folder.glob("*.jsonl")):
                for line in file.read_text(encoding="utf8", errors="replace").splitlines():
                    value = _parse(line)
                    if value is None:
                        continue  # a torn last line: its request was not acknowledged
                    if "replayed_id" in value:
                        replayed.add(value["replayed_id"])
                    else:
                        values.append(value)
            for value in values:
                yield QuarantineEntry(**{**value, "replayed": value["id"] in replayed})  # type: ignore[arg-type]  # lines are written by `add`


def find_entry(lake: Lake, tenants: Iterable[str], entry_id: str) -> QuarantineEntry:
    """Return the entry with this id.

    Raises:
        NotFoundError: there is none among `tenants`.
    """
    for entry in read_quarantine(lake, tenants):
        if entry.id == entry_id:
            return entry
    raise NotFoundError(f"no quarantine entry {entry_id!r}", hint="see `muniment quarantine list`")


def mark_replayed(lake: Lake, entry: QuarantineEntry) -> None:
    """Record durably that an entry was accepted by a replay.

    Raises:
        UnavailableError: the disk refused; a further replay would find the entry unmarked.
    """
    folder = lake.quarantine / entry.tenant_id / utc_date(entry.unix_nano).isoformat()
    _append_durably(folder / "replayed.jsonl", [json.dumps({"replayed_id": entry.id})])


def entries_with(lake: Lake, tenant_id: str, words: Collection[str]) -> list[str]:
    """Ids of a tenant's entries in which any of these words stands, whatever its case."""
    needles = [word.casefold() for word in words]
    return [
        entry.id
        for entry in read_quarantine(lake, [tenant_id])
        if any(needle in text for text in _texts(entry) for needle in needles)
    ]


def _texts(entry: QuarantineEntry) -> Iterator[str]:
    for text in (entry.record, entry.message, entry.event_name):
        if text is not None:
            yield text.casefold()


def drop_entries(lake: Lake, tenant_id: str, entry_ids: Collection[str]) -> int:
    """Take entries out of a tenant's quarantine for good; returns how many there were. Safe beside collectors that add some.

    Raises:
        UnavailableError: the disk refused; what was taken out stays so, and the same call goes on.
    """
    gone = set(entry_ids)
    count = 0
    try:
        for file in sorted((lake.quarantine / tenant_id).glob("*/*.jsonl")):
            with _locked(file) as descriptor:
                lines = os.pread(descriptor, os.fstat(descriptor).st_size, 0).splitlines(keepends=True)
                stays = [line for line in lines if not gone & _ids(line)]
                if len(stays) == len(lines):
                    continue
                count += sum(
                    "reason" in (_parse(line.decode(errors="replace")) or ()) for line in lines if gone & _ids(line)
                )
                if stays:
                    replace_file(file, b"".join(stays))
                else:
                    file.unlink()
                    sync_folder(file.parent)
    except OSError as exc:
        raise UnavailableError(f"quarantine cannot be written: {exc.strerror or exc}") from exc
    return count


def _ids(line: bytes) -> set[object]:
    value = _parse(line.decode(errors="replace")) or {}
    return {value.get("id"), value.get("replayed_id")} - {None}


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[int]:
    """The file open for appending and locked, under its name: whoever takes entries out puts another file in its place."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == file.stat().st_ino:
                    yield descriptor
                    return
        finally:
            os.close(descriptor)


def _append_durably(file: Path, lines: list[str]) -> None:
    try:
        make_folder(file.parent)
        with _locked(file) as descriptor:
            _write_lines(descriptor, lines)
        sync_folder(file.parent)
    except OSError as exc:
        raise UnavailableError(f"quarantine cannot be written: {exc.strerror or exc}") from exc


def _write_lines(descriptor: int, lines: list[str]) -> None:
    size = os.fstat(descriptor).st_size
    torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    content = memoryview(("\n" * torn + "\n".join(lines) + "\n").encode())
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        os.fsync(descriptor)
    except OSError:
        # the request is not acknowledged and comes again: what there is of it must not be counted twice
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _parse(line: str) -> dict[str, object] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
