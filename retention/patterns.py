"""Patterns of event names: literal characters and `*`, which stands for any number of characters.

What matters beside matching: which of two patterns says more, and whether two can match the same name, so that a tie between
two rules is found before any record meets it.
"""

import re
from functools import lru_cache

PATTERN = re.compile(r"[A-Za-z0-9_.:/\-*]{1,200}")

PROTECTED = ("retention.*", "erasure.*", "hold.*", "key.*", "ledger.*", "lake.*", "log.*")
"""Events that no rule may match: intents and certificates outlive every record that they name, and what says which logs and
keys there are is what `verify` goes by. They are Muniment's own: from outside they arrive with `external.` before the name."""

_PROTECTED_PREFIXES = tuple(family.removesuffix("*") for family in PROTECTED)


def is_protected(event_name: str | None) -> bool:
    """Whether an audit event of this name never expires."""
    return event_name is not None and event_name.startswith(_PROTECTED_PREFIXES)


def protected_family(pattern: str) -> str | None:
    """The first protected family some name of which a pattern matches; None where it matches none."""
    return next((family for family in PROTECTED if overlap(pattern, family)), None)


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for `fullmatch`."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern."""
    return compile_pattern(pattern).fullmatch(name) is not None


def pattern_rank(pattern: str) -> tuple[int, int]:
    """How much a pattern says: a whole name most, and among the others the one with more literal characters."""
    return (1, len(pattern.replace("*", ""))) if "*" in pattern else (2, 0)


@lru_cache(maxsize=65536)
def overlap(first: str, second: str) -> bool:
    """Whether there is a name that both patterns match."""
    pairs, seen = [(0, 0)], set()
    while pairs:
        pair = pairs.pop()
        if pair in seen:
            continue
        seen.add(pair)
        at, other = pair
        if at == len(first) and other == len(second):
            return True
        star, other_star = first[at : at + 1] == "*", second[other : other + 1] == "*"
        if star:
            pairs.append((at + 1, other))
        if other_star:
            pairs.append((at, other + 1))
        if star and other < len(second) and not other_star:
            pairs.append((at, other + 1))
        if other_star and at < len(first) and not star:
            pairs.append((at + 1, other))
        if not star and not other_star and at < len(first) and other < len(second) and first[at] == second[other]:
            pairs.append((at + 1, other + 1))
    return False
