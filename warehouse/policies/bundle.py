"""A bundle: all policy files of one kind as they stand, and the hash that names them.

The hash is over names and bytes, each with its length before it: the same text in another file, or split in another way, is
another policy.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Self

from warehouse.errors import CorruptionError
from warehouse.lake import Lake
from warehouse.policies.errors import PolicyError, Problem

SUFFIX = ".yaml"
_SUFFIXES = {"access": (".cedar", SUFFIX)}
"""How the files of a kind end, where not in `SUFFIX` alone."""
MOST_BYTES = 4 * 1024 * 1024
"""Most that the files of one kind may hold together: they are stored as one text, and read by every collector."""


@dataclass(frozen=True)
class Bundle:
    """The policy files of one kind: file name → text."""

    kind: str
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    def __hash__(self) -> int:
        return hash((self.kind, self.content_hash))

    @cached_property
    def content_hash(self) -> str:
        """`sha256:` and the SHA-256, in hexadecimal, of every file's name and bytes, in the order of their names."""
        digest = hashlib.sha256()
        for name, text in self.files.items():
            for part in (name.encode(), text.encode()):
                digest.update(len(part).to_bytes(8, "big"))
                digest.update(part)
        return f"sha256:{digest.hexdigest()}"

    def to_json(self) -> str:
        """The files as JSON text, as the control database keeps them."""
        return json.dumps(dict(self.files), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, kind: str, text: str, *, content_hash: str) -> Self:
        """A bundle out of the control database.

        Raises:
            CorruptionError: what is stored is not what was stored under this hash.
        """
        try:
            files = json.loads(text)
            bundle = cls(kind, files)
            found = bundle.content_hash
        except (ValueError, AttributeError, TypeError) as exc:
            raise CorruptionError(f"applied policy {kind}: expected JSON of file names and texts, got {exc}") from exc
        if found != content_hash:
            raise CorruptionError(
                f"applied policy {kind}: expected files with the hash {content_hash}, got {found}",
                hint="the control database was changed by hand: `muniment policy apply` puts the folder's files in force",
            )
        return bundle


def read_folder(lake: Lake, kind: str) -> Bundle:
    """The policy files of a kind in the lake's folder, whether in force or not; none gives an empty bundle.

    Raises:
        PolicyError: a file is not UTF-8, or they are too large together.
    """
    folder = lake.policies / kind
    # What an editor leaves beside a file (`.#name.yaml`) is none of the policy's.
    suffixes = _SUFFIXES.get(kind, (SUFFIX,))
    found = [path for suffix in suffixes for path in folder.glob(f"*{suffix}")]
    paths = [path for path in found if path.is_file() and not path.name.startswith(".")]
    return read_bundle(kind, {path.name: path.read_bytes() for path in paths})


def read_files(kind: str, paths: list[Path]) -> Bundle:
    """A bundle of the files named.

    Raises:
        PolicyError: a file is not UTF-8, or they are too large together.
    """
    return read_bundle(kind, {str(path): path.read_bytes() for path in paths})


def read_bundle(kind: str, contents: Mapping[str, bytes]) -> Bundle:
    """A bundle of files given as bytes.

    Raises:
        PolicyError: a file is not UTF-8, or they are too large together.
    """
    size = sum(map(len, contents.values()))
    if size > MOST_BYTES:
        message = f"got {size:,} bytes in {len(contents)} files, expected at most {MOST_BYTES:,}"
        raise PolicyError([Problem(f"{kind}/*{SUFFIX}", 1, "", message)])
    problems, files = [], {}
    for name, content in contents.items():
        try:
            files[name] = content.decode()
        except UnicodeDecodeError as exc:
            line = content.count(b"\n", 0, exc.start) + 1
            problems.append(Problem(name, line, "", f"got the byte {content[exc.start]:#04x}, expected UTF-8"))
    if problems:
        raise PolicyError(problems)
    return Bundle(kind, files)
