"""ZIP files that are handed out: the same content gives the same bytes, a manifest names every file, and the name comes last.

Invariant: a file has its name only after it was recorded that it is handed out, and never takes the place of another.
"""

import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from warehouse.durable import PRIVATE_FILE, sync_folder
from warehouse.errors import InputError, UnavailableError

_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_zip(file: Path, files: Iterable[tuple[str, bytes]]) -> str:
    """Write files, by name and content, into a ZIP of mode 0600, durably, with `manifest.json` at its end; returns its SHA-256."""
    manifest: dict[str, Any] = {}
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w+b") as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files:
                manifest[name] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
                archive.writestr(_entry(name), content)
            archive.writestr(_entry("manifest.json"), json.dumps({"files": manifest}, indent=1, sort_keys=True))
        stream.flush()
        os.fsync(stream.fileno())
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def place_file(out: Path, write: Callable[[Path], str], record: Callable[[str], None]) -> str:
    """Have `write` write a file under another name, `record` its digest, then give it the name `out`; returns the digest.

    Raises:
        InputError: the name is taken.
        UnavailableError: the file cannot be written; or what `record` raises.
    """
    expect_free(out)
    unnamed = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        digest = write(unnamed)
        record(digest)
        # a link, not a rename: a file that came there meanwhile is not replaced
        os.link(unnamed, out)
        sync_folder(out.parent)
    except FileExistsError as exc:
        raise _taken(out) from exc
    except OSError as exc:
        raise UnavailableError(f"{out}: cannot be written: {exc.strerror or exc}") from exc
    finally:
        unnamed.unlink(missing_ok=True)
    return digest


def expect_free(out: Path) -> None:
    """See that a name is free, before the work is done whose result will have it.

    Raises:
        InputError: it is taken.
    """
    if out.exists():
        raise _taken(out)


def _taken(out: Path) -> InputError:
    return InputError(f"{out}: expected a name that is free, got a file", hint="name another file with --out")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = PRIVATE_FILE << 16
    return entry
