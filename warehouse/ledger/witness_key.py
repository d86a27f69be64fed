"""A witness's own signing key: `STATE/key.json`, mode 0600, made once. It cosigns and does nothing else."""

import base64
import json
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.durable import make_folder, replace_file
from warehouse.errors import CorruptionError, SettingsError
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.errors import NoteError
from warehouse.locks import locked

KEY_FILE = "key.json"

_NAME_DIGITS = 8
_LOCK_SECONDS = 10.0


def make_witness_key(state: Path, *, name: str | None = None) -> WitnessSigner:
    """Read the witness's key, or make it at the first start; a name is given then or made from the key.

    Raises:
        SettingsError: there is a key, with another name; or the folder lies in a lake.
        CorruptionError: the key cannot be read.
    """
    _check_outside_lakes(state)
    file = state / KEY_FILE
    make_folder(state)
    with locked(state / "key.lock", holder="a witness", timeout_seconds=_LOCK_SECONDS):
        if not file.exists():
            return _write_new_key(file, name)
    signer = read_witness_key(state)
    if name not in (None, signer.name):
        raise SettingsError(f"{file}: expected a key named {name}, got {signer.name}: a witness keeps its name")
    return signer


def read_witness_key(state: Path) -> WitnessSigner:
    """Read the witness's key.

    Raises:
        CorruptionError: it is absent, or not what was written.
    """
    file = state / KEY_FILE
    try:
        content = json.loads(file.read_bytes())
        seed = base64.b64decode(content["seed"], validate=True)
        signer = WitnessSigner(content["name"], Ed25519PrivateKey.from_private_bytes(seed))
        _check_name(signer)
    except (OSError, ValueError, KeyError, TypeError, SettingsError) as exc:
        hint = "restore it from a backup: with a new key, what was cosigned by the old one stays with the old name"
        raise CorruptionError(f"{file}: expected the witness's key, got {type(exc).__name__}", hint=hint) from exc
    return signer


def _write_new_key(file: Path, name: str | None) -> WitnessSigner:
    private_key = Ed25519PrivateKey.generate()
    public_key = private_key.public_key().public_bytes_raw()
    signer = WitnessSigner(name or f"witness-{sha256(public_key).hexdigest()[:_NAME_DIGITS]}", private_key)
    _check_name(signer)
    content = {"name": signer.name, "seed": base64.b64encode(private_key.private_bytes_raw()).decode()}
    replace_file(file, json.dumps(content).encode())
    return signer


def _check_name(signer: WitnessSigner) -> None:
    try:
        _ = signer.verifier
    except NoteError as exc:
        raise SettingsError(f"witness: {exc}") from exc


def _check_outside_lakes(state: Path) -> None:
    for folder in (state.absolute(), *state.absolute().parents):
        if (folder / "muniment.yaml").exists():
            raise SettingsError(
                f"{state}: expected a folder outside every lake, got one in the lake {folder}",
                hint="a witness is worth something only where whoever owns the lake cannot reach it",
            )
