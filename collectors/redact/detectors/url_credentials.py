"""Credentials inside URLs: `user:password@` of any scheme, and query parameters that are named like a secret."""

import re
from collections.abc import Iterator

from collectors.redact.detector import Category, DataClass, Detector, Match
from collectors.redact.overlap import without_overlaps

_USERINFO = re.compile(r"://(?P<userinfo>[^\s/?#@\"'<>\\:]{0,64}:[^\s/?#\"'<>\\@]{1,128})@(?=[\w\[$({])")
_RAW_PASSWORD = re.compile(r"://(?P<userinfo>[^\s/?#@\"'<>\\:]{0,64}:[^\s\"'<>\\@]{1,128})@(?=[\w.-]{1,128}:\d{2,5}/)")
_PARAMETER = re.compile(
    r"[?&;](?:amp;)?(?:[a-z0-9_.-]{0,32}[_.-])?"
    r"(?:token|key|apikey|password|passwd|pwd|pass|secret|sig|signature|auth|authorization|credential|access_?token|jwt|sas)"
    r"=(?P<value>[^&\s\"'<>#\\]{4,4096})",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"[\[<{$*%].*|x{3,}|\*+|redacted|none|null|true|false|your[_-].*", re.IGNORECASE)
_NAMES_OF_KEYS = re.compile(r"[a-z]{1,12}", re.IGNORECASE)


def _find(text: str) -> Iterator[Match]:
    found = [Match(*match.span("userinfo")) for match in _USERINFO.finditer(text) if _is_secret(match["userinfo"])]
    found += [Match(*match.span("userinfo")) for match in _RAW_PASSWORD.finditer(text) if _is_secret(match["userinfo"])]
    for match in _PARAMETER.finditer(text):
        value = match["value"]
        if not _PLACEHOLDER.fullmatch(value) and not _NAMES_OF_KEYS.fullmatch(value):
            found.append(Match(*match.span("value")))
    yield from without_overlaps(found)


def _is_secret(userinfo: str) -> bool:
    password = userinfo.partition(":")[2]
    return not _PLACEHOLDER.fullmatch(password)


URL_CREDENTIALS = Detector(
    name="url_credentials",
    category=Category.SECRET,
    data_class=DataClass.RESTRICTED,
    triggers=(
        r"://[^\s/?#@\"'<>:\\]{0,64}:[^\s\"'<>@\\]{1,128}@",
        r"(?:token|key|password|passwd|pwd|pass|secret|sig|signature|auth|authorization|credential|jwt|sas)=[^&\s\"'<>#\\]{4}",
    ),
    find=_find,
    strong=True,
    priority=94,
)
