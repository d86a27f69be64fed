"""One Delta table: how it is made, committed to, and repaired after a crash.

Delta Lake's protocol leaves three things to its users, and this module does them: no commit is lost to power failure
(delta-rs never calls fsync), no transaction is repeated (delta-rs refuses neither repeats nor lower versions), and no
dead file is removed twice (its conflict check covers only what came after the handle's version).

Invariant: under the commit lock every entry but the newest is durable. Whoever holds the lock makes the newest durable
before it adds another, so a committer killed between its commit and its fsync leaves nothing behind that could be lost.
"""

import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, PostCommitHookProperties, RemoveAction

from warehouse.delta_reading import open_existing, updated
from warehouse.durable import PRIVATE_FILE, PRIVATE_FOLDER, make_folder, replace_file, sync_file, sync_folder
from warehouse.errors import ConflictError, CorruptionError, UnavailableError
from warehouse.locks import locked
from warehouse.tables import PARTITION_COLUMNS, STATISTICS_COLUMNS, Table

_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_LOCK_TIMEOUT_SECONDS = 30.0
_ACTIONS_KEY = "muniment.actions"
_ENTRY_NAME = re.compile(r"(?P<version>\d{20})\.json")
_CHECKPOINT_NAME = re.compile(r"(?P<version>\d{20})\.checkpoint.*\.parquet")
GRACE_PROPERTY = "delta.deletedFileRetentionDuration"
REMOVED_GRACE_SECONDS = 900
_CONFIGURATION: dict[str, str | None] = {
    # delta-rs reads these names without the usual default of 32 indexed columns, so no payload value gets into the log
    "delta.dataSkippingStatsColumns": ",".join(STATISTICS_COLUMNS),
    "delta.logRetentionDuration": "interval 0 seconds",
    # how long a file that a rewrite replaced stays on disk, for the queries that are reading it
    GRACE_PROPERTY: f"interval {REMOVED_GRACE_SECONDS} seconds",
    "delta.enableExpiredLogCleanup": "false",
}


class DeltaStore:
    """One table's Delta log, opened for writing.

    Thread-safe. The handle is kept open: with 18,000 live files a commit takes half as long as on a fresh one.
    """

    def __init__(self, table: Table, folder: Path) -> None:
        self.table = table
        self.folder = folder
        self.log = folder / "_delta_log"
        self._thread_lock = threading.Lock()
        self._durable_version = -1
        self._doubtful: set[int] = set()
        with self._guard("opening"):
            self._handle = self._open()

    def _open(self) -> DeltaTable:
        make_folder(self.folder)
        with self.commit_lock():
            set_torn_entry_aside(self.log)
            if not DeltaTable.is_deltatable(str(self.folder)):
                handle = DeltaTable.create(
                    str(self.folder),
                    Schema.from_arrow(self.table.schema),
                    partition_by=list(PARTITION_COLUMNS),
                    configuration=_CONFIGURATION,
                    name=self.table.name,
                )
                self.log.chmod(PRIVATE_FOLDER)
                self._make_durable(handle.version())
                sync_folder(self.folder)
            handle = self.fresh()
            self._make_durable(handle.version())
            return handle

    @contextmanager
    def commit_lock(self) -> Iterator[None]:
        """Hold the table's commit lock, against other threads and other processes.

        Every committer of the table holds it over commit, fsync of the log entry and fsync of the log's folder.
        """
        with (
            self._thread_lock,
            locked(self.folder / "_commit.lock", holder=f"pid {os.getpid()}", timeout_seconds=_LOCK_TIMEOUT_SECONDS),
        ):
            yield

    def committed(self, app_id: str) -> int:
        """Highest version committed by `app_id`, -1 when none; read afresh.

        Raises:
            UnavailableError: the log cannot be read.
        """
        with self._guard("reading"), self._thread_lock:
            self._refresh()
            return self._version_of(app_id)

    def make_durable(self) -> None:
        """Make every entry that is in the log now durable, whoever wrote it and whatever failed then.

        Raises:
            UnavailableError: the disk refuses still.
        """
        with self._guard("fsync"), self.commit_lock():
            self._refresh()
            self._make_durable(self._handle.version())

    def append(self, files: Sequence[AddAction], transactions: Sequence[tuple[str, int]]) -> bool:
        """Commit `files` with `transactions`, unless the first transaction is in the log already.

        The first transaction identifies the commit: (app id, version). Returns False when it was there: a replay.

        Raises:
            UnavailableError: the log cannot be read or written; nothing was committed, or the entry is not durable yet
                and the same call decides by the transaction.
        """
        app_id, version = transactions[0]
        with self._guard("commit"), self.commit_lock():
            self._refresh()
            self._make_durable(self._handle.version())
            if self._version_of(app_id) >= version:
                return False
            self._commit(list(files), transactions)
            return True

    def rewrite(
        self,
        handle: DeltaTable,
        remove: Sequence[RemoveAction],
        add: Sequence[AddAction],
        *,
        transactions: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Replace files in one commit on `handle`, the one that the caller's file list came from, with `transactions`.

        The caller MUST NOT have updated `handle` since it read from it: Delta's conflict check covers only what came
        after the handle's version.

        Raises:
            ConflictError: a file to be removed is not live any more; start again from reading.
        """
        with self._guard("rewrite"), self.commit_lock():
            self._refresh()
            live = set(self._handle.get_add_actions().column("path").to_pylist())
            dead = [action.path for action in remove if action.path not in live]
            if dead:
                raise ConflictError(
                    f"{self.table.name}: {len(dead)} of {len(remove)} files to replace are gone, e.g. {dead[0]}"
                )
            self._make_durable(self._handle.version())
            try:
                handle.create_write_transaction(
                    [*remove, *add],
                    "append",
                    handle.schema(),
                    partition_by=list(PARTITION_COLUMNS),
                    commit_properties=CommitProperties(
                        custom_metadata={_ACTIONS_KEY: str(len(remove) + len(add) + len(transactions))},
                        app_transactions=[Transaction(*item) for item in transactions],
                    ),
                    post_commithook_properties=_HOOKS,
                )
            except DeltaError as exc:
                raise ConflictError(f"{self.table.name}: rewrite refused by the Delta log: {_first_line(exc)}") from exc
            self._refresh()
            self._make_durable(self._handle.version())

    def fresh(self) -> DeltaTable:
        """Return a handle of the caller's own at the newest version.

        Raises:
            UnavailableError: the log cannot be read.
        """
        return open_existing(self.folder)

    def set_removed_grace(self, seconds: int) -> None:
        """Set for how many seconds a replaced file stays on disk; a commit only where it differs.

        Raises:
            UnavailableError: the log cannot be read or written.
        """
        wanted = f"interval {seconds} seconds"
        with self._guard("settings"), self.commit_lock():
            self._refresh()
            if self._handle.metadata().configuration.get(GRACE_PROPERTY) == wanted:
                return
            self._make_durable(self._handle.version())
            self.fresh().alter.set_table_properties({GRACE_PROPERTY: wanted}, post_commithook_properties=_HOOKS)
            self._refresh()
            self._make_durable(self._handle.version())

    def _commit(self, files: list[AddAction | RemoveAction], transactions: Sequence[tuple[str, int]]) -> None:
        self._handle.create_write_transaction(
            files,
            "append",
            self._handle.schema(),
            partition_by=list(PARTITION_COLUMNS),
            commit_properties=CommitProperties(
                custom_metadata={_ACTIONS_KEY: str(len(files) + len(transactions))},
                app_transactions=[Transaction(*item) for item in transactions],
            ),
            post_commithook_properties=_HOOKS,
        )
        # a commit does not advance the handle it was made on
        self._handle.update_incremental()
        self._make_durable(self._handle.version())

    def _refresh(self) -> None:
        self._handle = updated(self._handle, self.folder)

    def _version_of(self, app_id: str) -> int:
        version = self._handle.transaction_version(app_id)
        return -1 if version is None else version

    def _make_durable(self, newest: int) -> None:
        """Make the newest entry durable, and those that could not be made so when they were written."""
        for version in sorted(self._doubtful):
            # after a failed fsync the kernel holds the pages for clean: only writing them again makes another try
            entry = self._entry(version)
            if entry.exists():
                replace_file(entry, entry.read_bytes())
            self._doubtful.discard(version)
        if newest <= self._durable_version:
            return
        try:
            entry = self._entry(newest)
            if entry.exists():  # a checkpoint may have replaced it
                entry.chmod(PRIVATE_FILE)
                sync_file(entry)
            sync_folder(self.log)
        except OSError:
            self._doubtful.add(newest)
            raise
        self._durable_version = newest

    def _entry(self, version: int) -> Path:
        return self.log / f"{version:020d}.json"

    @contextmanager
    def _guard(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, DeltaError) as exc:
            raise UnavailableError(f"table {self.table.name}: {what} failed: {_first_line(exc)}") from exc


def _first_line(exc: Exception) -> str:
    """What an error says, without the stack trace that delta-rs appends."""
    return str(exc).partition("\n")[0]


def set_torn_entry_aside(log: Path) -> Path | None:
    """Move an empty or torn newest log entry aside and return its new path; None when the newest is whole.

    delta-rs takes an empty entry for a version without actions. A torn one can only come from a crash before its fsync,
    so nothing of it was ever reported as committed, and the journal or the intent replays it. Entries that a checkpoint
    covers are not looked at.

    Raises:
        CorruptionError: an entry that is not the newest is torn or missing; no crash explains that.
    """
    checkpoint = max(_versions(log, _CHECKPOINT_NAME), default=-1)
    versions = sorted(version for version in _versions(log, _ENTRY_NAME) if version > checkpoint)
    for place, version in enumerate(versions):
        entry = log / f"{version:020d}.json"
        if version != checkpoint + 1 + place:
            raise CorruptionError(
                f"{log}: entry {checkpoint + 1 + place:020d}.json is missing, though {entry.name} was written after it",
                hint="restore this log entry from a backup",
            )
        if _is_whole(entry.read_bytes()):
            continue
        if version != versions[-1]:
            raise CorruptionError(
                f"{entry} is torn, though {versions[-1]:020d}.json was written after it",
                hint="restore this log entry from a backup; do not delete it",
            )
        aside = entry.with_suffix(f".torn-{entry.stat().st_mtime_ns}")
        entry.rename(aside)
        sync_folder(log)
        return aside
    return None


def _versions(log: Path, name: re.Pattern[str]) -> list[int]:
    if not log.is_dir():
        return []
    return [int(match["version"]) for file in log.iterdir() if (match := name.fullmatch(file.name))]


def _is_whole(content: bytes) -> bool:
    """Whether an entry ends where its writer ended it, and has no block that never reached the disk (zeros)."""
    if b"\0" in content:
        return False
    lines = content.rstrip(b"\n").split(b"\n")
    try:
        first, last = json.loads(lines[0]), json.loads(lines[-1])
    except ValueError:
        return False
    if not isinstance(first, dict) or not isinstance(last, dict):
        return False
    expected = first.get("commitInfo", {}).get(_ACTIONS_KEY)
    return expected is None or len(lines) == int(expected) + 1
