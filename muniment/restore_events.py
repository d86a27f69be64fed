"""What a restored lake says of itself: what was lost, which key follows which, and which certificates were applied again.

The events that told of these certificates are lost with the logs' later parts; a certificate counts for `verify` only where an event
of Muniment's own names it, so they are told again, by the job `muniment:restore`.
"""

from collections.abc import Iterator, Sequence

from muniment.wiring import CommandContext
from warehouse.backup.lost import Lost
from warehouse.backup.opening import MirroredDocuments, OpenedBackup
from warehouse.backup.reapply import named_tenants
from warehouse.clock import utc_text
from warehouse.ledger.checkpoint import split_origin
from warehouse.ledger.note import Ed25519Verifier
from warehouse.ledger.rotation import EVENT_NAME as KEY_ROTATED
from warehouse.ledger.rotation import RESOURCE_TYPE as LEDGER_KEY
from warehouse.ledger.rotation import Rotation
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.verify.excuses import LOST
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent

RECORDED_BY = "muniment:restore"


def restore_events(
    context: CommandContext,
    opened: OpenedBackup,
    documents: MirroredDocuments,
    lost: Lost,
    *,
    closed: Sequence[str],
    reason: str,
) -> list[OwnEvent]:
    """Every event that a restore records, in order."""
    manifest = opened.manifest
    attributes = {
        LOST: [list(each) for each in lost.ranges],
        "muniment.restore.known_sizes": dict(lost.known_sizes),
        "muniment.restore.backup_time": utc_text(int(manifest.time_unix_nano)),
        "muniment.restore.manifest": opened.manifest_sha256,
        "muniment.restore.signer_established": opened.established,
        "muniment.restore.closed": list(closed),
        "muniment.restore.without": list(documents.problems[:100]),
    }
    restored = OwnEvent(
        LAKE_TENANT,
        "lake.restored",
        context.principal.recorded_by,
        fields={"action": "restore", "resource_type": "lake", "resource_id": manifest.lake, "reason": reason},
        attributes=attributes,
    )
    return [restored, *_rotations(context, opened), *_told_again(opened, documents)]


def _rotations(context: CommandContext, opened: OpenedBackup) -> Iterator[OwnEvent]:
    """The keys that were in force end at the backup's sizes: whoever finds one on the lost disk cannot lengthen a log with it."""
    manifest = opened.manifest
    new = read_signing_keys(context.lake.keys).verifiers(manifest.lake)[0]
    sizes = {"/".join(split_origin(log.origin)[1:]): log.size for log in manifest.logs}
    for key in opened.signed_by:
        rotation = Rotation(key, new.public_key, sizes, context.clock())
        yield OwnEvent(
            LAKE_TENANT,
            KEY_ROTATED,
            context.principal.recorded_by,
            fields={
                "action": "rotate",
                "resource_type": LEDGER_KEY,
                "resource_id": Ed25519Verifier(manifest.lake, key).vkey,
                "reason": f"restored, rotated to {new.vkey}",
                "expires_unix_nano": rotation.overlap_ends_unix_nano,
            },
            attributes=rotation.to_attributes(),
        )


def _told_again(opened: OpenedBackup, documents: MirroredDocuments) -> Iterator[OwnEvent]:
    known = set(opened.manifest.documents)
    for name, certificate in sorted(documents.certificates.items()):
        for tenant in sorted(named_tenants([certificate])) if name not in known else ():
            yield _again(tenant, "retention.purged", name)
    for name, destruction in sorted(documents.destructions.items()):
        if name not in known:
            yield _again(destruction.tenant, "erasure.completed", name)


def _again(tenant: str, event: str, name: str) -> OwnEvent:
    fields = {
        "action": "restore",
        "resource_type": "certificate",
        "resource_id": name,
        "reason": "applied again by a restore",
    }
    return OwnEvent(tenant, event, RECORDED_BY, fields=fields, attributes={"muniment.certificate": name})
