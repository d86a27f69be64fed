"""Secrets: keys of providers by their form, and whatever text calls a password, a key or a token, where it looks like one.

The rules for providers are data (`secret_rules`). The general ones ask for a value that is more random than words are:
`token: 4096` and `password: required` stay.
"""

import base64
import binascii
import re
from collections.abc import Iterator

from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.detectors.entropy import looks_chosen, looks_random
from collectors.redact.detectors.secret_rules import SECRET_RULES
from collectors.redact.overlap import without_overlaps

_QUOTES = r"[\"'`\\ ]{0,4}"
_ASSIGNMENT = re.compile(
    r"(?<![^\W_])(?:[a-z0-9]{1,24}[_.-]){0,4}(?:"
    r"(?P<chosen>pass(?:word|wd|phrase|code)?|pwd)"
    r"|secret(?:[_-]?(?:access[_-]?)?key)?|(?:api|access|auth|account|private|signing|encryption|master|service|subscription)[ _-]?key|apikey"
    r"|client[_-]?secret|(?:access|auth|refresh|id|session|bearer|api|csrf)[_-]?token|token|credentials?|auth)"
    + _QUOTES
    + r"(?:=>|:=|[:=]|(?<=\w)>|(?<=\w) is (?:now |set to |still )?)"
    + _QUOTES
    + r"(?P<value>[^\s\"'`\\,;<>]{6,512})",
    re.IGNORECASE,
)
_CAMEL = re.compile(
    r"(?P<name>[a-z]{2,24}(?:Password|Secret|ApiKey|AccessKey|Token|SecretKey))"
    + _QUOTES
    + "[:=]"
    + _QUOTES
    + r"(?P<value>[^\s\"'`\\,;<>]{6,512})"
)
_HEADER = re.compile(
    r"(?<![^\W_])(?P<scheme>bearer|basic|token|apikey)[ +](?P<value>[A-Za-z0-9._~+/-]{8,4096}={0,2})", re.IGNORECASE
)
_ASSIGNED_HINTS = ("pass", "pwd", "secret", "key", "token", "credential", "auth")
_HEADER_HINTS = ("bearer", "basic", "token", "apikey")
"""What a text holds, in lower case, in which the patterns above match: to look for that first costs a tenth."""
_TRAILING = ".,;:!?)]}&|"
_SHORTEST_RANDOM = 8
_SHORTEST_BEARER = 16


def _find(text: str) -> Iterator[Match]:
    found: list[Match] = []
    for rule in SECRET_RULES:
        if rule.hint in text:
            group = "secret" if "secret" in rule.pattern.groupindex else 0
            found += [Match(*match.span(group)) for match in rule.pattern.finditer(text)]
    found += _assigned(text)
    found += _headers(text)
    yield from without_overlaps(found)


def _assigned(text: str) -> Iterator[Match]:
    lowered = text.lower()
    if not any(hint in lowered for hint in _ASSIGNED_HINTS):
        return
    for pattern in (_ASSIGNMENT, _CAMEL):
        for match in pattern.finditer(text):
            value = match["value"].rstrip(_TRAILING)
            chosen = pattern is _ASSIGNMENT and match["chosen"]
            if looks_chosen(value) if chosen else len(value) >= _SHORTEST_RANDOM and looks_random(value):
                start = match.start("value")
                yield Match(start, start + len(value))


def _headers(text: str) -> Iterator[Match]:
    lowered = text.lower()
    if not any(hint in lowered for hint in _HEADER_HINTS):
        return
    for match in _HEADER.finditer(text):
        value = match["value"].rstrip(".")
        secret = (
            _is_basic(value)
            if match["scheme"].lower() == "basic"
            else (len(value) >= _SHORTEST_BEARER and looks_random(value))
        )
        if secret:
            start = match.start("value")
            yield Match(start, start + len(value))


def _is_basic(value: str) -> bool:
    """Whether it is `user:password` in base64 (RFC 7617)."""
    try:
        plain = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in plain and plain.isascii() and plain.decode("ascii").isprintable()


_ASSIGNED_NAMES = r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|(?:api|access|auth|account|private|signing|encryption|master|service|subscription|secret)[ _-]?key|token|credentials?|auth)"

SECRET = Detector(
    name="secret",
    category=Category.SECRET,
    data_class=DataClass.RESTRICTED,
    triggers=(
        *(rule.trigger for rule in SECRET_RULES),
        _ASSIGNED_NAMES + r"[\"'`\\ ]{0,4}[:=>][>=\"'`\\ ]{0,5}[^\s\"'`\\,;<>]{6}",
        _ASSIGNED_NAMES + r" is (?:now |set to |still )?[\"'`\\]{0,3}[^\s\"'`\\,;<>]{6}",
        r"(?:bearer|basic|token|apikey)[ +][a-z0-9._~+/-]{8}",
    ),
    find=_find,
    strong=True,
    priority=100,
)
