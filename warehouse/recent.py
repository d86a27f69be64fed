"""Requests acknowledged lately, by keyed digest: a request sent again after a lost ack is recognised, not stored twice.

The digests of a segment are written beside the journal before the segment goes, so the memory outlives a restart.
"""

import json
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from warehouse.clock import NANOS_PER_SECOND, Clock
from warehouse.durable import PRIVATE_FOLDER, replace_file
from warehouse.errors import CorruptionError
from warehouse.treated import RequestMark

RequestRow = tuple[str, int, int, str]
"""[digest hex, accepted, rejected, message], as frames and the files here hold it."""


class RecentRequests:
    """Digests of the last `window_seconds`. Thread-safe."""

    def __init__(self, folder: Path, *, window_seconds: float, clock: Clock) -> None:
        self._folder = folder
        self._window = int(window_seconds * NANOS_PER_SECOND)
        self._clock = clock
        self._lock = threading.Lock()
        self._marks: dict[bytes, tuple[int, RequestMark]] = {}
        self._files: deque[tuple[int, Path]] = deque()
        self._generations: deque[tuple[int, list[bytes]]] = deque()
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)

    def load(self) -> None:
        """Read the files that an earlier process left and that are still inside the window.

        Raises:
            CorruptionError: a file is not whole; a rename cannot leave that.
        """
        for file in sorted(self._folder.glob("[0-9]*.json"), key=lambda f: int(f.stem)):
            try:
                content = json.loads(file.read_bytes())
                self._remember(content["unix_nano"], content["requests"])
            except (ValueError, KeyError, TypeError) as exc:
                raise CorruptionError(
                    f"{file}: expected a JSON object with unix_nano and requests, got {exc}",
                    hint="restore it from a backup, or delete it once no sender repeats requests of that time",
                ) from exc
            self._files.append((content["unix_nano"], file))
        self.forget_old()

    def find(self, digest: bytes) -> RequestMark | None:
        """Return how this request was answered, when it was acknowledged within the window."""
        with self._lock:
            unix_nano, mark = self._marks.get(digest, (0, None))
        return mark if unix_nano >= self._horizon() else None

    def add(self, requests: Iterable[RequestRow]) -> None:
        """Remember requests just made durable."""
        self._remember(self._clock(), requests)

    def save(self, segment: int, requests: list[RequestRow]) -> None:
        """Write a segment's requests beside the journal, durably, before the segment goes."""
        now = self._clock()
        file = self._folder / f"{segment}.json"
        replace_file(file, json.dumps({"unix_nano": now, "requests": requests}, separators=(",", ":")).encode())
        with self._lock:
            self._files.append((now, file))

    def forget_old(self) -> None:
        """Drop what is older than the window, in memory and on disk."""
        horizon = self._horizon()
        old = []
        with self._lock:
            while self._generations and self._generations[0][0] < horizon:
                for digest in self._generations.popleft()[1]:
                    if digest in self._marks and self._marks[digest][0] < horizon:
                        del self._marks[digest]
            while self._files and self._files[0][0] < horizon:
                old.append(self._files.popleft()[1])
        for file in old:
            file.unlink(missing_ok=True)

    def _horizon(self) -> int:
        return self._clock() - self._window

    def _remember(self, unix_nano: int, requests: Iterable[RequestRow]) -> None:
        marks = {
            bytes.fromhex(digest): (unix_nano, RequestMark(bytes.fromhex(digest), accepted, rejected, message))
            for digest, accepted, rejected, message in requests
        }
        if not marks:
            return
        with self._lock:
            self._marks.update(marks)
            self._generations.append((unix_nano, list(marks)))
