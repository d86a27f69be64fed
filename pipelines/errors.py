"""Errors of scheduled work.

MunimentError
└── JobError    what a job could not do, in words that may be stored
"""

from warehouse.errors import MunimentError


class JobError(MunimentError):
    """A job failed. Its message passed redaction, as Dagster stores it: no value of a record stands in it."""
