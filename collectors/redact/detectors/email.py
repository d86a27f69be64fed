"""E-mail addresses, also where the `@` is full-width or escaped as URLs and JSON do."""

import re
from collections.abc import Iterator

from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.folding import folded

_AT = re.compile(r"@|%40|\\u0040")
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?P<top>[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![^\W_])", re.IGNORECASE
)
_URL_PART = re.compile(r".*[/?&=|{}`](?=.)")
_NOT_TOP = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "css", "py", "sha", "local"})
_WINDOW = 64


def _find(text: str) -> Iterator[Match]:
    reached = 0
    for at in _AT.finditer(text):
        if at.start() < reached:
            continue
        domain = _DOMAIN.match(text, at.end())
        if not domain or domain["top"].lower() in _NOT_TOP:
            continue
        window = text[max(reached, at.start() - _WINDOW) : at.start()]
        local = _LOCAL.search(window)
        if not local:
            continue
        name = _trimmed(local[0], window[: local.start()])
        if name and not (name == "git" and text[domain.end() : domain.end() + 1] in {":", "/"}):
            reached = domain.end()
            yield Match(at.start() - len(name), reached)


def _trimmed(local: str, before: str) -> str:
    """The local part without what belongs to the text around it: a path, a query, quotes, an escaped line break."""
    parted = _URL_PART.match(local)
    if parted:
        local, before = local[parted.end() :], "/"
    if before.endswith("\\") and local[0] in "nrt" and len(local) > 1:
        local = local[1:]
    return local.lstrip(".!#$%&'*+-/=?^`{|}~")


def _partial(value: str) -> str:
    local, at, domain = value.partition("@")
    return f"{local[:1]}***@{domain}" if at else "***"


EMAIL = Detector(
    name="email",
    category=Category.PII,
    data_class=DataClass.CONFIDENTIAL,
    triggers=(
        r"[\w.%+\-!#$&'*/=?^`{|}~\x80-\xff]@[a-z0-9\x80-\xff]",
        r"%40[a-z0-9]",
        r"\\u0040[a-z0-9]",
        r"\xef\xbc\xa0",
    ),
    find=folded(_find),
    strong=True,
    partial=_partial,
    priority=40,
)
