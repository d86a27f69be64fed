"""Rotates the lake's signing key: first both keys sign, then it is recorded, then the old one gets its end.

In this order no instant exists at which a checkpoint is not acceptable: from the first step on every checkpoint carries both
signatures; the sizes that the event lists are read after it; and the event's own log is signed by both. A crash between two
steps leaves two keys in force, and the next `rotate` goes on with the key that was made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from governance.access import Action
from muniment.wiring import CommandContext
from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.errors import InputError, MunimentError
from warehouse.lake import Lake
from warehouse.ledger.heads import LakeHeads, LogHead, read_heads
from warehouse.ledger.keeper import sign_again
from warehouse.ledger.rotation import EVENT_NAME, RESOURCE_TYPE, Rotation
from warehouse.ledger.signing import SigningKeys, read_signing_keys, write_keys
from warehouse.ledger.witnessing import keep_cosignatures
from warehouse.locks import FileLock, locked
from warehouse.names import LAKE_TENANT

_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Rotated:
    """What a rotation did. `vkeys` are the lake's public keys now, newest first.

    `left` are logs whose shard a running process holds: it signs them again with its next commit. `failed` are logs that
    could not be signed again, with the reason.
    """

    vkeys: list[str]
    resumed: bool
    compromised: bool
    overlap_ends_unix_nano: int
    compromised_since_unix_nano: int | None
    signed_again: int
    left: list[str]
    failed: list[str]


def rotate_signing_key(
    context: CommandContext,
    *,
    compromised: bool,
    overlap_seconds: float,
    compromised_since_unix_nano: int | None = None,
) -> Rotated:
    """Put a new signing key in force; recorded as `key.rotated` in the lake's own log.

    A compromised key may have been known to others since `compromised_since_unix_nano` (nanoseconds since 1970), or since now.

    Raises:
        InputError: that is in the future.
        DeniedError: the principal may not.
        UnavailableError: it cannot be recorded, or another rotation runs; the old key stays in force.
        CorruptionError: the key file is not whole.
    """
    context.check(Action.KEY_MANAGE)
    lake = context.lake
    asked = context.clock()
    since = asked if compromised_since_unix_nano is None else compromised_since_unix_nano
    if since > asked:
        raise InputError(f"compromised since {utc_text(since)}: expected a time that has passed, got one in the future")
    with locked(lake.keys / ".rotation.lock", holder="muniment ledger rotate-key", timeout_seconds=_LOCK_SECONDS):
        keys = read_signing_keys(lake.keys)
        resumed = keys.rotating
        if not resumed:
            keys = keys.begin_rotation(now_unix_nano=context.clock())
            write_keys(lake.keys, keys)
        if compromised:
            keep_cosignatures(lake, asked)  # the next rounds replace them by such as count for nothing
        heads = read_heads(lake, keys, lake_name=context.settings.lake)
        now = context.clock()
        ends = now if compromised else now + int(overlap_seconds * NANOS_PER_SECOND)
        rotation = Rotation(
            old_key=_public_key(keys, 1),
            new_key=_public_key(keys, 0),
            sizes={f"{log.tenant}/{log.folder.name}": log.checkpoint.size for log in heads.heads},
            overlap_ends_unix_nano=ends,
            compromised=compromised,
            compromised_since_unix_nano=since if compromised else 0,
        )
        _record(context.record, rotation, keys, context.settings.lake)
        keys = _finish(lake, keys, rotation, now_unix_nano=now)
        heads = read_heads(lake, keys, lake_name=context.settings.lake)
        signed_again, left, failed = _sign_all_again(context, keys, heads)
    vkeys = [verifier.vkey for verifier in keys.verifiers(context.settings.lake)]
    told_since = since if compromised else None
    return Rotated(vkeys, resumed, compromised, ends, told_since, signed_again, left, failed)


def _record(record: Callable[..., object], rotation: Rotation, keys: SigningKeys, lake_name: str) -> None:
    new, old, *_ = keys.verifiers(lake_name)
    record(
        EVENT_NAME,
        LAKE_TENANT,
        action="rotate",
        resource_type=RESOURCE_TYPE,
        resource_id=old.vkey,
        reason=f"{'compromised, ' if rotation.compromised else ''}rotated to {new.vkey}",
        expires_unix_nano=rotation.overlap_ends_unix_nano,
        attributes=rotation.to_attributes(),
    )


def _finish(lake: Lake, keys: SigningKeys, rotation: Rotation, *, now_unix_nano: int) -> SigningKeys:
    overlap = rotation.overlap_ends_unix_nano - now_unix_nano
    done = keys.finish_rotation(now_unix_nano=now_unix_nano, overlap_nanos=overlap, compromised=rotation.compromised)
    write_keys(lake.keys, done)
    return done


def _sign_all_again(context: CommandContext, keys: SigningKeys, heads: LakeHeads) -> tuple[int, list[str], list[str]]:
    closed = {shard.identity for shard in context.control.list_shards() if shard.closed_unix_nano is not None}
    by_shard: dict[str, list[LogHead]] = {}
    for head in heads.heads:
        by_shard.setdefault(head.folder.name, []).append(head)
    signed_again, left, failed = 0, [], list(heads.problems)
    for shard, logs in sorted(by_shard.items()):
        lock = _shard_lock(context.lake, shard)
        # Nobody writes a closed log any more, even while the shard's name is in use by its successor.
        if shard not in closed and not lock.acquire(holder="muniment ledger rotate-key"):
            left += [log.checkpoint.origin for log in logs]
            continue
        try:
            for log in logs:
                try:
                    signed_again += sign_again(log.folder, keys, now_unix_nano=context.clock())
                except MunimentError as exc:
                    failed.append(str(exc))
        finally:
            lock.release()
    return signed_again, left, failed


def _shard_lock(lake: Lake, identity: str) -> FileLock:
    return FileLock(lake.journal / f".{identity.rpartition('-')[0]}.lock")


def _public_key(keys: SigningKeys, place: int) -> bytes:
    return keys.keys[place].private_key.public_key().public_bytes_raw()


def rotated_json(rotated: Rotated) -> Mapping[str, Any]:
    """What a rotation did, for machines."""
    return {
        "vkeys": rotated.vkeys,
        "resumed": rotated.resumed,
        "compromised": rotated.compromised,
        "overlap_ends_unix_nano": rotated.overlap_ends_unix_nano,
        "compromised_since_unix_nano": rotated.compromised_since_unix_nano,
        "signed_again": rotated.signed_again,
        "left_to_running_shards": rotated.left,
        "failed": rotated.failed,
    }
