"""The lake as a Dagster resource, and how its errors end a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from pipelines.errors import JobError
from pipelines.jobs import LakeJobs, open_jobs

LAKE_VARIABLE = "MUNIMENT_LAKE"


class LakeResource(dg.ConfigurableResource[None]):
    """The lake in the folder `path`, by default that of `$MUNIMENT_LAKE`; opened at first use, so that definitions load without one."""

    path: str

    @property
    def jobs(self) -> LakeJobs:
        """The work on it.

        Raises:
            JobError: it cannot be opened.
        """
        return open_jobs(Path(self.path))


@contextmanager
def failing_plainly() -> Iterator[None]:
    """Turn a `JobError` into a failure that holds its message and hint and nothing else: no cause, no values of a stack.

    Raises:
        Failure: a job could not be done.
    """
    try:
        yield
    except JobError as exc:
        raise dg.Failure(f"{exc}" + (f" ({exc.hint})" if exc.hint else "")) from None
