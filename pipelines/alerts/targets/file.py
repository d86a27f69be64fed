"""A file: one line of JSON for each notice, flushed to the disk, for its owner alone (0600). Lines are only ever added."""

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from pipelines.alerts.config import TargetConfig
from pipelines.alerts.errors import TargetUnavailableError
from pipelines.alerts.notice import Notice
from pipelines.alerts.wording import Wording, precise_text
from warehouse.durable import PRIVATE_FILE
from warehouse.secret_text import ReadVariable

# a link or a pipe in the file's place is refused rather than followed or waited for
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FileTarget:
    """One file of JSON lines. Move it away and a new one is begun."""

    most_at_once = 1000

    def __init__(self, config: TargetConfig, wording: Wording, read_variable: ReadVariable) -> None:  # noqa: ARG002 - as all targets
        self._name = config.name
        self._file = Path(str(config.path))
        self._wording = wording

    def send(self, notices: Sequence[Notice], now_unix_nano: int) -> str:
        """See `Target.send`."""
        written = {"written_at": precise_text(now_unix_nano)}
        lines = "".join(
            f"{json.dumps({**self._wording.fields(notice), **written}, ensure_ascii=False)}\n" for notice in notices
        )
        try:
            self._append(lines.encode())
        except OSError as exc:
            raise TargetUnavailableError(f"target {self._name}: {self._file}: {exc.strerror}") from exc
        return f"written to {self._file}"

    def _append(self, content: bytes) -> None:
        descriptor = os.open(self._file, _FLAGS, PRIVATE_FILE)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise TargetUnavailableError(f"target {self._name}: {self._file}: expected a regular file, got another")
            if stat.S_IMODE(state.st_mode) != PRIVATE_FILE:
                os.fchmod(descriptor, PRIVATE_FILE)
            size = state.st_size
            # what a crash left of a line stays a line of its own
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            with os.fdopen(os.dup(descriptor), "ab") as stream:
                stream.write((b"\n" if torn else b"") + content)
                stream.flush()
                os.fsync(stream.fileno())
        finally:
            os.close(descriptor)
