"""Sets a report's data as PDF/A-2b by typst, with the fonts that typst brings along and no others. Pure.

Invariant: whatever characters a record holds, the PDF is made. PDF/A forbids a character without a glyph, and no font has all: what
cannot be shown stands by its number, as `[U+63D0]`, and so do marks that turn the direction of a line, which would let a text pass
for another.
"""

import json
import re
from collections.abc import Collection
from importlib import resources
from typing import Any

from warehouse.errors import UnavailableError

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MISSING = re.compile(r'the text `"(.*?)"` could not be displayed')
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")
_LONG, _PIECE, _BREAK = re.compile(r"[^\s\u200b]{65,}"), 32, "\u200b"
"""A word that is longer than a hash may be broken: else it runs over what stands beside it."""
_NOTHING = re.compile(r"(?!)")
_ROUNDS = 3
_NUMBERED = (
    "Characters that this document has no letters for stand by their number, as [U+63D0]; report.html shows them."
)


def typeset(data: dict[str, Any], unix_seconds: int) -> bytes:
    """The report as PDF/A-2b. `data` is what `report.report_data` returns, `unix_seconds` the time that the document bears.

    Raises:
        UnavailableError: the template cannot be set; no text of a record brings that about.
    """
    import typst

    numbered: set[str] = set(_TURNING)
    for _ in range(_ROUNDS):
        try:
            return _compile(data, numbered, unix_seconds)
        except typst.TypstError as exc:
            missing = _missing(exc.diagnostic or str(exc))
            if not missing:
                raise UnavailableError(f"the report cannot be set as PDF: {exc}") from exc
            numbered |= missing
    try:
        return _compile(data, None, unix_seconds)
    except typst.TypstError as exc:
        raise UnavailableError(f"the report cannot be set as PDF: {exc}") from exc


def _compile(data: dict[str, Any], numbered: Collection[str] | None, unix_seconds: int) -> bytes:
    """Set it with these characters by their numbers; None: with all that are not printable ASCII."""
    import typst

    of = "[^\\x20-\\x7e\\n\\t]+" if numbered is None else f"[{re.escape(''.join(sorted(numbered)))}]+"
    shown = _shown(data, re.compile(of))
    found: bytes = typst.compile(
        resources.files("governance.evidence").joinpath("report.typ").read_bytes(),
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={
            "data": json.dumps(
                {**shown, "numbered": _NUMBERED if _shown(data, _NOTHING) != shown else ""}, ensure_ascii=False
            )
        },
        pdf_standards=["a-2b"],
        timestamp=unix_seconds,
    )
    return found


def _missing(diagnostic: str) -> set[str]:
    """The characters of which typst says that no font has them: it names all of them at once."""
    found = "".join(_MISSING.findall(diagnostic))
    return set(_ESCAPED.sub(lambda each: chr(int(each[1], 16)), found)) - {" ", "\\"}


def _shown(value: Any, numbered: re.Pattern[str]) -> Any:
    """Data with characters by their numbers, and with places to break long words, in every text of it."""
    if isinstance(value, str):
        named = numbered.sub(lambda run: f"[{' '.join(f'U+{ord(each):04X}' for each in run[0])}]", value)
        return _LONG.sub(
            lambda word: _BREAK.join(word[0][at : at + _PIECE] for at in range(0, len(word[0]), _PIECE)), named
        )
    if isinstance(value, list):
        return [_shown(each, numbered) for each in value]
    if isinstance(value, dict):
        return {name: _shown(each, numbered) for name, each in value.items()}
    return value
