"""The lake's secrets in one encrypted file, apart from its backups: signing keys, the lake's secret, the vault of subjects.

The key is scrypt (RFC 7914) of a passphrase; the seal AES-256-GCM (NIST SP 800-38D) over all of it, with the header as associated
data. One generation: a new file takes the old one's place, and the old one's blocks are written over as far as the file system lets
anybody do that, because it may hold subject keys that were destroyed since. A restore destroys those again by their certificates.
"""

import base64
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from warehouse.control.secret import RandomBytes
from warehouse.durable import replace_file
from warehouse.errors import InputError, VaultUnavailableError
from warehouse.keys import read_keys
from warehouse.lake import Lake
from warehouse.ledger.signing import KEY_FILE, read_signing_keys
from warehouse.subjects.schema import MARK

KIND = "muniment/keys@v1"
LEAST_PASSPHRASE = 12
SECRET_FILE = "lake.json"  # noqa: S105 - a name

_COST, _BLOCK, _PARALLEL = 1 << 17, 8, 1
"""128 MiB and half a second an attempt: what OWASP's cheat sheet on storing passwords gives for scrypt."""
_MAX_COST = 1 << 20
_KEY_BYTES, _SALT_BYTES, _NONCE_BYTES = 32, 16, 12
_BUSY_SECONDS = 10.0
_CHUNK = bytes(1 << 20)


class KeyBundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds of the lake of that name: `lake.json`, `ledger.json`, and the vault where it is a SQLite file (None: on a server, or none made)."""

    lake: str
    secret: bytes
    signing: bytes
    vault: bytes | None


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    lake: str
    lake_id: str
    time_unix_nano: str
    scrypt_n: int
    scrypt_r: int
    scrypt_p: int
    salt: str
    nonce: str


def read_bundle(lake: Lake, vault: Path | None, *, lake_name: str) -> KeyBundle:
    """The lake's secrets as they are now; `vault` is the vault's file, None where it is on a server.

    Raises:
        CorruptionError: a key file is not whole.
        VaultUnavailableError: the vault does not answer.
    """
    read_keys(lake)
    read_signing_keys(lake.keys)
    secret, signing = ((lake.keys / name).read_bytes() for name in (SECRET_FILE, KEY_FILE))
    return KeyBundle(lake_name, secret, signing, _read_vault(vault) if vault is not None else None)


def write_keys_file(
    file: Path,
    bundle: KeyBundle,
    passphrase: str,
    *,
    lake_id: str,
    now_unix_nano: int,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> None:
    """Write the encrypted file, mode 0600, in place of the one that is there.

    Raises:
        InputError: the passphrase is too short, or `file` is there and is no such file.
        OSError: the disk refused; the file before is as it was.
    """
    check_passphrase(passphrase)
    if file.exists():
        _split(file)
    salt, nonce = random_bytes(_SALT_BYTES), random_bytes(_NONCE_BYTES)
    header = msgspec.json.encode(
        _Header(KIND, bundle.lake, lake_id, str(now_unix_nano), _COST, _BLOCK, _PARALLEL, _text(salt), _text(nonce))
    )
    cipher = AESGCM(_derive(passphrase, salt, _COST, _BLOCK, _PARALLEL))
    sealed = cipher.encrypt(nonce, msgspec.msgpack.encode(bundle), header)
    overwrite = _overwriting(file)
    replace_file(file, header + b"\n" + sealed)
    overwrite()


def read_keys_file(file: Path, passphrase: str) -> KeyBundle:
    """Open the file.

    Raises:
        InputError: not such a file, or another passphrase, or altered.
    """
    header, raw, sealed = _split(file)
    if not (1 < header.scrypt_n <= _MAX_COST and 1 <= header.scrypt_r <= _BLOCK and 1 <= header.scrypt_p <= _BLOCK):
        raise InputError(f"{file}: expected a cost of scrypt up to {_MAX_COST}, got {header.scrypt_n}")
    try:
        salt, nonce = base64.b64decode(header.salt), base64.b64decode(header.nonce)
        key = _derive(passphrase, salt, header.scrypt_n, header.scrypt_r, header.scrypt_p)
        return msgspec.msgpack.decode(AESGCM(key).decrypt(nonce, sealed, raw), type=KeyBundle)
    except (InvalidTag, ValueError, msgspec.MsgspecError) as exc:
        raise InputError(
            f"{file}: expected the passphrase that it was written with, got one that does not open it",
            hint="or the file was altered: try another copy of it",
        ) from exc


def check_passphrase(passphrase: str) -> None:
    """Check that a passphrase is worth the name; it never stands in the message.

    Raises:
        InputError: it is too short.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise InputError(
            f"passphrase: expected at least {LEAST_PASSPHRASE} characters, got {len(passphrase)}",
            hint="whoever has the file can guess as often as they like",
        )


def _split(file: Path) -> tuple[_Header, bytes, bytes]:
    raw, _, sealed = file.read_bytes().partition(b"\n")
    try:
        header = msgspec.json.decode(raw, type=_Header)
    except msgspec.MsgspecError as exc:
        raise InputError(f"{file}: expected a file that `muniment backup --keys` wrote, got another") from exc
    if header.format != KIND:
        raise InputError(f"{file}: expected {KIND}, got {header.format[:60]!r}")
    return header, raw, sealed


def _derive(passphrase: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=cost, r=block, p=parallel).derive(passphrase.encode())


def _read_vault(file: Path) -> bytes | None:
    """The vault as one transaction sees it, copied in memory: it must not stand anywhere in the clear on its way."""
    if not file.exists():
        return None
    try:
        with (
            closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as one,
            closing(sqlite3.connect(":memory:")) as other,
        ):
            one.backup(other)
            return other.serialize()
    except sqlite3.Error as exc:
        raise VaultUnavailableError(f"vault {file}: cannot be copied: {exc}") from exc


def _overwriting(file: Path) -> Callable[[], None]:
    """Hold on to the file that is there, and return what writes over its blocks once its name is another's."""
    if not file.exists():
        return lambda: None
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)

    def overwrite() -> None:
        try:
            size, at = os.fstat(descriptor).st_size, 0
            while at < size:
                at += os.pwrite(descriptor, _CHUNK[: size - at], at)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    return overwrite


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def write_secrets(lake: Lake, bundle: KeyBundle) -> None:
    """Put the lake's secret and the vault into their places; signing keys are not among them. Safe to repeat.

    Raises:
        CorruptionError: the bundle's secret is not one.
    """
    replace_file(lake.keys / SECRET_FILE, bundle.secret)
    read_keys(lake)
    if bundle.vault is not None:
        replace_file(lake.vault_file, bundle.vault)
        replace_file(lake.keys / MARK, b"The vault of subjects came back from the backup of the keys.\n")
