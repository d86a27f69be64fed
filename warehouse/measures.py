"""The writer's own measurements, as OpenTelemetry instruments.

The API package alone is needed here: without a configured MeterProvider the instruments do nothing.
"""

from collections.abc import Mapping

from opentelemetry import metrics


class Measures:
    """Instruments of journal and commits. Units as UCUM; names `muniment.*`."""

    def __init__(self) -> None:
        meter = metrics.get_meter("muniment.warehouse")
        self._journal_rows = meter.create_counter(
            "muniment.journal.rows", unit="{row}", description="rows made durable"
        )
        self._journal_bytes = meter.create_counter("muniment.journal.size", unit="By", description="bytes made durable")
        self._journal_seconds = meter.create_histogram(
            "muniment.journal.duration", unit="s", description="sequencing, writing and fdatasync of one group"
        )
        self._sync_seconds = meter.create_histogram(
            "muniment.journal.fsync.duration", unit="s", description="fdatasync of one group"
        )
        self._commit_rows = meter.create_counter("muniment.commit.rows", unit="{row}", description="rows committed")
        self._commit_files = meter.create_counter("muniment.commit.files", unit="{file}", description="files committed")
        self._commit_bytes = meter.create_counter(
            "muniment.commit.size", unit="By", description="Parquet bytes committed"
        )
        self._commit_seconds = meter.create_histogram(
            "muniment.commit.duration", unit="s", description="one segment into its tables"
        )
        self._commit_failures = meter.create_counter(
            "muniment.commit.failures", unit="{failure}", description="commits that must be tried again"
        )

    def journaled(self, *, rows: int, size_bytes: int, seconds: float, sync_seconds: float) -> None:
        """Count one group made durable."""
        self._journal_rows.add(rows)
        self._journal_bytes.add(size_bytes)
        self._journal_seconds.record(seconds)
        self._sync_seconds.record(sync_seconds)

    def committed(self, *, rows: Mapping[str, int], files: int, size_bytes: int, seconds: float) -> None:
        """Count one segment committed."""
        for table, count in rows.items():
            if count:
                self._commit_rows.add(count, {"table": table})
        self._commit_files.add(files)
        self._commit_bytes.add(size_bytes)
        self._commit_seconds.record(seconds)

    def commit_failed(self) -> None:
        """Count a commit that must be tried again."""
        self._commit_failures.add(1)
