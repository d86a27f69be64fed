"""Certificates of a destroyed subject key: that it was, by whom, why, and what was read afterwards to see it.

A file is a signed note like a purge certificate's: the line `muniment/key-destruction@v1` and one line of canonical JSON (RFC
8785), named by the SHA-256 of its bytes in `LAKE/certificates`. As NIST SP 800-88 asks of a certificate it states what (the
key's id), when, by which method, and how that was verified. It names nobody: `subject_ref` and `token_ref` are
`SHA-256(nonce ‖ text)`, and who holds the nonce can show whom it is about. It excuses no absence: rows stay.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec
import rfc8785

from warehouse.durable import make_folder, replace_file
from warehouse.lake import Lake
from warehouse.ledger.errors import CertificateError
from warehouse.ledger.note import NoteSigner, NoteVerifier, open_note, sign_note

KIND = "muniment/key-destruction@v1"
_REF = re.compile(r"[0-9a-f]{64}")
_NANOS = re.compile(r"[0-9]{1,19}")


class KeyDestruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One destroyed key. Times are nanoseconds since 1970, in decimal.

    `subject_ref` is None where the value could not be read before its key went. `interrupted` says that the command was
    carried on after a crash: the key was then destroyed at `destroyed_unix_nano` or before. `verification` says what was read.
    """

    lake: str
    tenant: str
    key_id: str
    subject_ref: str | None
    token_ref: str
    key_created_unix_nano: str
    destroyed_unix_nano: str
    ordered_by: str
    reason: str
    method: str
    verification: dict[str, str]
    interrupted: bool = False
    approved_by: str | None = None


def reference(nonce: bytes, text: str) -> str:
    """`SHA-256(nonce ‖ text)` in hex: names a subject or token to whoever holds the nonce, and to nobody else."""
    return sha256(nonce + text.encode("utf-8", "surrogatepass")).hexdigest()


def sign_destruction(document: KeyDestruction, signers: Sequence[NoteSigner]) -> bytes:
    """The file of a certificate; the same bytes for the same document and keys.

    Raises:
        CertificateError: it breaks a rule that `open_destruction` checks.
    """
    _check(document)
    return sign_note(f"{KIND}\n{rfc8785.dumps(msgspec.to_builtins(document)).decode()}\n", signers)


def open_destruction(content: bytes, verifiers: Iterable[NoteVerifier]) -> KeyDestruction:
    """Read a file and check its signature against the certificate keys that the verifier knows.

    Raises:
        CertificateError: no certificate of a destroyed key.
        UnknownKeyError: no known key signed it.
        BadSignatureError: a known key's signature does not fit.
    """
    kind, _, line = open_note(content, verifiers).text.removesuffix("\n").partition("\n")
    if kind != KIND:
        raise CertificateError(f"certificate: expected {KIND} in the first line, got {kind[:60]!r}")
    try:
        document = msgspec.json.decode(line, type=KeyDestruction)
        canonical = rfc8785.dumps(msgspec.to_builtins(document)).decode()
    except (msgspec.MsgspecError, ValueError) as exc:
        raise CertificateError(f"{KIND}: {exc}") from exc
    if canonical != line:
        raise CertificateError(f"{KIND}: expected canonical JSON (RFC 8785), one field a name, got another spelling")
    _check(document)
    return document


def write_certificate(lake: Lake, content: bytes) -> str:
    """Put a certificate into its place, durably; returns the SHA-256 that is its name."""
    digest = sha256(content).hexdigest()
    make_folder(lake.certificates)
    replace_file(lake.certificates / digest, content)
    return digest


def _check(document: KeyDestruction) -> None:
    for name in ("subject_ref", "token_ref"):
        value = getattr(document, name)
        if not (value is None and name == "subject_ref") and not _REF.fullmatch(value):
            raise CertificateError(f"{KIND}: {name}: expected 64 hex digits, got {value!r}")
    for name in ("key_created_unix_nano", "destroyed_unix_nano"):
        if not _NANOS.fullmatch(getattr(document, name)):
            raise CertificateError(f"{KIND}: {name}: expected nanoseconds in decimal, got {getattr(document, name)!r}")
    if not document.verification:
        raise CertificateError(f"{KIND}: verification: expected what was read after the destruction, got nothing")
