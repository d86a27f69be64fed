"""Lengths of time in rule files: ISO 8601 durations of weeks, days, hours, minutes and seconds, such as `PT6H` or `P1DT12H`."""

import re

from warehouse.clock import NANOS_PER_SECOND

_SECONDS = (604_800, 86_400, 3_600, 60, 1)
_DURATION = re.compile(r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration.

    Raises:
        ValueError: it is none; the message says what was got and expected.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()) or text.endswith("T"):
        raise ValueError(f"got {text!r}, expected an ISO 8601 duration such as PT6H, P1D or P1DT12H")
    return NANOS_PER_SECOND * sum(int(part or 0) * unit for part, unit in zip(match.groups(), _SECONDS, strict=True))


def duration_words(nanos: int) -> str:
    """A length of time for people, in its two largest units: `2 d 3 h`."""
    seconds = abs(nanos) // NANOS_PER_SECOND
    parts: list[str] = []
    for at, (size, unit) in enumerate(_UNITS):
        count, seconds = divmod(seconds, size)
        if count:
            smaller, below = _UNITS[min(at + 1, len(_UNITS) - 1)]
            parts = [f"{count} {unit}"]
            if below != unit and seconds // smaller:
                parts.append(f"{seconds // smaller} {below}")
            break
    return " ".join(parts) or "0 s"
