"""The lake's signing keys: one Ed25519 key at a time, presented under each log's name.

`LAKE/keys/ledger.json`, mode 0600, holds the keys, newest first. A key that was replaced goes on signing beside its successor
until its overlap ends, so that a verifier who knows only the old one has time to learn the new one; a compromised key stops at
once.
"""

import base64
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.durable import replace_file
from warehouse.errors import CorruptionError
from warehouse.ledger.note import Ed25519Signer, Ed25519Verifier

KEY_FILE = "ledger.json"
SEED_BYTES = 32


@dataclass(frozen=True)
class SigningKey:
    """One key. Times in nanoseconds since 1970; `ends_unix_nano` is None for the key in force."""

    private_key: Ed25519PrivateKey
    created_unix_nano: int
    ends_unix_nano: int | None = None
    compromised: bool = False

    def signs_at(self, unix_nano: int) -> bool:
        """Whether checkpoints made at that instant carry this key's signature."""
        return self.ends_unix_nano is None or unix_nano < self.ends_unix_nano


@dataclass(frozen=True)
class SigningKeys:
    """All keys of a lake, newest first."""

    keys: tuple[SigningKey, ...]

    def signers(self, origin: str, unix_nano: int) -> list[Ed25519Signer]:
        """Signers of a checkpoint of `origin` at that instant, the newest key first."""
        return [Ed25519Signer(origin, key.private_key) for key in self.keys if key.signs_at(unix_nano)]

    def verifiers(self, name: str) -> list[Ed25519Verifier]:
        """Public halves under `name`, newest first."""
        return [Ed25519Signer(name, key.private_key).verifier for key in self.keys]

    @property
    def rotating(self) -> bool:
        """Whether a rotation was begun and not finished: two keys are in force."""
        return len([key for key in self.keys if key.ends_unix_nano is None]) > 1

    def begin_rotation(self, *, now_unix_nano: int) -> "SigningKeys":
        """Put a new key in front. Until the rotation is finished the present one stays in force, and both sign.

        A rotation that was begun already goes on with the key that it made.
        """
        if self.rotating:
            return self
        return SigningKeys((SigningKey(Ed25519PrivateKey.generate(), now_unix_nano), *self.keys))

    def finish_rotation(self, *, now_unix_nano: int, overlap_nanos: int, compromised: bool) -> "SigningKeys":
        """End the key before the newest after the overlap, at once when it is compromised; those before it end now."""
        ends = now_unix_nano if compromised else now_unix_nano + overlap_nanos
        old = tuple(
            replace(key, ends_unix_nano=ends, compromised=compromised)
            if key.ends_unix_nano is None
            else replace(key, ends_unix_nano=min(key.ends_unix_nano, now_unix_nano))
            for key in self.keys[1:]
        )
        return SigningKeys((self.keys[0], *old))


def make_keys(folder: Path, *, now_unix_nano: int) -> SigningKeys:
    """Make the lake's first signing key, unless there is one; safe to repeat."""
    file = folder / KEY_FILE
    if not file.exists():
        write_keys(folder, SigningKeys((SigningKey(Ed25519PrivateKey.generate(), now_unix_nano),)))
    return read_signing_keys(folder)


def write_keys(folder: Path, keys: SigningKeys) -> None:
    """Replace the key file durably."""
    content = {
        "keys": [
            {
                "seed": base64.b64encode(key.private_key.private_bytes_raw()).decode(),
                "created_unix_nano": key.created_unix_nano,
                "ends_unix_nano": key.ends_unix_nano,
                "compromised": key.compromised,
            }
            for key in keys.keys
        ]
    }
    replace_file(folder / KEY_FILE, json.dumps(content).encode())


def read_signing_keys(folder: Path) -> SigningKeys:
    """Read the lake's signing keys.

    Raises:
        CorruptionError: the file is absent or not what `write_keys` wrote.
    """
    file = folder / KEY_FILE
    try:
        content = file.read_bytes()
    except OSError:
        content = b""
    return parse_keys(content, str(file))


def parse_keys(content: bytes, where: str) -> SigningKeys:
    """Read what `write_keys` wrote; `where` names it in messages.

    Raises:
        CorruptionError: it is something else.
    """
    try:
        keys = tuple(_key(entry) for entry in json.loads(content)["keys"])
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptionError(
            f"{where}: expected the lake's signing keys, got {type(exc).__name__}",
            hint="restore the file from the backup of the keys, or make a new key with `muniment ledger rotate-key`",
        ) from exc
    if not keys or keys[0].ends_unix_nano is not None:
        raise CorruptionError(f"{where}: expected a key in force at its beginning, got none")
    return SigningKeys(keys)


def _key(entry: dict[str, Any]) -> SigningKey:
    seed = base64.b64decode(entry["seed"], validate=True)
    return SigningKey(
        Ed25519PrivateKey.from_private_bytes(seed),
        entry["created_unix_nano"],
        entry["ends_unix_nano"],
        bool(entry["compromised"]),
    )
