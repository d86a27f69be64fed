"""Cosignatures of independent witnesses in a pack (C2SP tlog-cosignature), checked with the witnesses' keys that a verifier brings.

Part of `verify_pack.py`, like `sealed`. A witness cosigns the lake's own log; a record of it tells the head of a tenant's log,
which a consistency proof (RFC 9162, 2.1.4.2) leads on to the head in the pack.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from governance.evidence.sealed import (
    COSIGNATURE,
    DASH,
    KEY_ID_BYTES,
    PackError,
    check_proof,
    fits,
    hash_children,
    is_signed,
    key_id,
)

WITNESSED = "witnessed.json"
_LAKE = "_lake"
_TIME_BYTES = 8
_RECORDER, _TELLS, _NAME = 8, 20, 23


def check_witnessed(
    read: Callable[[str], bytes],
    manifest: dict[str, Any],
    keys: list[tuple[str, bytes]],
    witnesses: list[tuple[str, bytes]],
) -> tuple[list[str], list[str], list[str]]:
    """Check what a pack says of witnesses: what holds, what no witness brought vouches for, and what does not fit."""
    said: list[str] = []
    problems: list[str] = []
    covered: set[str] = set()
    for each in json.loads(read(WITNESSED)):
        try:
            size, note = _check_head(read, manifest, each, keys)
            for name, key in witnesses:
                seconds = cosigned_at(note, name, key)
                if seconds is not None:
                    covered.add(each["shard"])
                    said.append(
                        f"log {each['shard']}: {name} cosigned the first {each['size']:,} of {size:,} records "
                        f"on {dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
                    )
        except PackError as exc:
            problems.append(f"{WITNESSED}: log {each['shard']}: {exc}")
    logs = sorted(name.partition("/")[2] for name in manifest["files"] if name.startswith("checkpoints/"))
    left = [
        f"log {shard}: no witness whose key you brought cosigned any of it" for shard in logs if shard not in covered
    ]
    return said, left if witnesses else [], problems


def cosigned_at(note: str, name: str, key: bytes) -> int | None:
    """When a witness cosigned a checkpoint, in seconds since 1970; None where it did not.

    Raises:
        PackError: a line that names this witness and key is no cosignature by it.
    """
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        signer, _, encoded = line.removeprefix(DASH).partition(" ")
        content = base64.b64decode(encoded)
        if signer != name or content[:KEY_ID_BYTES] != key_id(name, key, COSIGNATURE):
            continue
        value = content[KEY_ID_BYTES:]
        seconds = int.from_bytes(value[:_TIME_BYTES], "big")
        if not fits(key, value[_TIME_BYTES:], f"cosignature/v1\ntime {seconds}\n{text}\n".encode()):
            raise PackError(f"a cosignature under the name {name} was not made by the key that you brought")
        return seconds
    return None


def _check_head(
    read: Callable[[str], bytes], manifest: dict[str, Any], each: dict[str, Any], keys: list[tuple[str, bytes]]
) -> tuple[int, str]:
    """Check that the lake's own log tells this head, and that the log in the pack goes on from it; returns its size, and the note."""
    origin = f"{manifest['lake']}/{manifest['tenant']}/{each['shard']}"
    proof = read(each["proof"])
    place = ("audit_events", each["teller"], each["index"])
    parts = check_proof(proof, {"lake": manifest["lake"], "tenant": _LAKE}, place, None, keys)
    heads = json.loads(parts[_TELLS] or "{}").get("heads", [])
    if parts[_NAME] != "log.heads" or not str(parts[_RECORDER]).startswith("muniment:"):
        raise PackError(f"expected an event log.heads of the system itself, got {parts[_NAME]} of {parts[_RECORDER]}")
    if [origin, each["size"], each["root"]] not in heads:
        raise PackError("the event that is to tell its head tells another")
    now = read(f"checkpoints/{each['shard']}").decode()
    if not is_signed(now, origin, keys, None):
        raise PackError("its checkpoint is not signed by a key that you trust")
    lines = now.split("\n")
    size, root = int(lines[1]), base64.b64decode(lines[2], validate=True)
    hashes = [base64.b64decode(one, validate=True) for one in each["consistency"]]
    if not _goes_on(each["size"], base64.b64decode(each["root"], validate=True), size, root, hashes):
        raise PackError(f"what was cosigned at {each['size']:,} records does not lead to the log as it is")
    return size, proof.partition(b"\n\n")[2].decode()


def _goes_on(old_size: int, old_root: bytes, size: int, root: bytes, hashes: list[bytes]) -> bool:
    """Whether a tree begins with an older one (RFC 9162, 2.1.4.2)."""
    if old_size == size:
        return old_root == root and not hashes
    if not 0 < old_size < size or not hashes:
        return False
    path = list(hashes)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    first, last = old_size - 1, size - 1
    while first % 2:
        first //= 2
        last //= 2
    older = newer = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if first % 2 or first == last:
            older, newer = hash_children(each, older), hash_children(each, newer)
            while first % 2 == 0 and first:
                first //= 2
                last //= 2
        else:
            newer = hash_children(newer, each)
        first //= 2
        last //= 2
    return last == 0 and older == old_root and newer == root
