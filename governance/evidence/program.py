"""The program that verifies a pack, as one file: `standalone` with the modules that it imports written in their place."""

import re
from importlib import resources

_PARTS = ("cosigned", "decided", "grounds", "sealed")
"""What `standalone` imports, each before what it imports itself."""
_FUTURE = "from __future__ import annotations\n"


def verifier_program() -> bytes:
    """`verify_pack.py` as it lies in each pack: it needs Python and `cryptography` alone."""
    text = _source("standalone")
    for name in _PARTS:
        own = re.compile(rf"^from governance\.evidence\.{name} import (?:\([^)]*\)|[^\n]*)\n", re.MULTILINE)
        before, _, after = text.partition(next(each.group() for each in own.finditer(text)))
        body = _source(name).replace(_FUTURE, "")
        text = f"{before}# -- {name}\n{body}# -- end of {name}\n{own.sub('', after)}"
    return text.encode()


def _source(name: str) -> str:
    return resources.files("governance.evidence").joinpath(f"{name}.py").read_text(encoding="utf8")
