"""UTC days as command lines give them."""

import datetime as dt

from warehouse.errors import InputError


def read_day(option: str, text: str) -> dt.date:
    """The day that an option names.

    Raises:
        InputError: it names none.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError as exc:
        raise InputError(f"{option}: expected a date such as 2026-11-20, got {text!r}") from exc
