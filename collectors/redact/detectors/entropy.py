"""Whether a text looks like a secret that a machine or a person made up, rather than a word or a placeholder."""

import math
import re
from collections import Counter

_PLACEHOLDER = re.compile(
    r"[\[<{($%].*|.*[*•]{3,}.*|.*(?:x{5,}|\.{3}|…)|.*(?:redacted|example|placeholder|changeme|dummy|your[_-]|_here\b|getenv|environ|process\.env"
    r"|undefined|required|optional|string|config\.|settings\.|self\.|args\.).*"
    r"|none|null|nil|true|false|yes|no|n/?a|empty|unknown|missing|invalid|expired|incorrect|wrong",
    re.IGNORECASE | re.DOTALL,
)
_LEAST_BITS = 3.0
_WORD = re.compile(r"[A-Za-z]?[a-z]+(?:[ _.-][A-Za-z]?[a-z]+)*|[A-Z_]+|[A-Z][a-z]+(?:[A-Z][a-z]+)*")
_NUMBER = re.compile(r"[\d.,:+-]+")


def bits_a_character(value: str) -> float:
    """Shannon entropy of the characters of `value`."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())


def is_placeholder(value: str) -> bool:
    """Whether `value` stands in place of a secret: `<token>`, `${TOKEN}`, `****`, `None`."""
    return _PLACEHOLDER.fullmatch(value) is not None


def looks_random(value: str) -> bool:
    """Whether `value` is more random than words and numbers are."""
    return (
        not is_placeholder(value)
        and not _WORD.fullmatch(value)
        and not _NUMBER.fullmatch(value)
        and bits_a_character(value) >= _LEAST_BITS
    )


def looks_chosen(value: str) -> bool:
    """Whether `value` may be a password that a person chose: no placeholder, and more than one plain word."""
    return not is_placeholder(value) and not _WORD.fullmatch(value)
