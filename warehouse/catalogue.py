"""The audit catalogue: the event names whose log records go into `audit_events`.

The record model follows OTEP 0267 (audit logging): actor, action, resource, outcome, as `audit.*` attributes.
Standard library only: `muniment.emit` shares this module with the lake.
"""

_FAMILIES: dict[str, tuple[str, ...]] = {
    "agent": ("registered", "updated", "suspended", "retired"),
    "credential": ("issued", "rotated", "revoked", "compromised"),
    "consent": ("granted", "withdrawn"),
    "access": ("decided",),
    "tool": ("changed",),
    "prompt": ("changed",),
    "model": ("switched",),
    "policy": ("changed",),
    "route": ("decided",),
    "handoff": ("requested", "accepted", "declined", "completed"),
    "message": ("sent",),
    "approval": ("requested", "granted", "denied", "expired"),
    "workflow": ("started", "waiting", "resumed", "compensated", "completed", "failed"),
    "gate": ("evaluated",),
    "release": ("promoted",),
    "migration": ("started", "cutover", "rolled_back"),
    "evaluation": ("recorded",),
    "record": ("viewed", "rejected"),
    "data": ("exported",),
    "hold": ("placed", "released"),
    "retention": ("intended", "purged"),
    "erasure": ("requested", "completed"),
    "alert": ("fired", "resolved"),
    "incident": ("opened", "updated", "closed"),
    "key": ("rotated", "issued", "revoked"),
    "lake": ("restored", "backed_up", "signed_in", "signed_out"),
    "log": ("opened", "heads"),
    "collector": ("started", "stopped", "heartbeat"),
    "control": ("reviewed",),
    "exception": ("disposed",),
}

CATALOGUE: frozenset[str] = frozenset(f"{family}.{name}" for family, names in _FAMILIES.items() for name in names)
"""Every event name of the catalogue."""

OWN_PREFIXES: tuple[str, ...] = (
    "retention.", "erasure.", "hold.", "key.", "lake.", "log.", "ledger.", "record.", "incident.", "alert.",
    "collector.",
)  # fmt: skip
OWN_NAMES: frozenset[str] = frozenset({"data.exported", "policy.changed", "control.reviewed", "exception.disposed"})
EXTERNAL_PREFIX = "external."


def is_own(event_name: str) -> bool:
    """Whether only Muniment itself may record this event under this name."""
    return event_name in OWN_NAMES or event_name.startswith(OWN_PREFIXES)


def is_audit(event_name: str) -> bool:
    """Whether a log record of this name belongs into `audit_events`: in the catalogue, or kept as `external.<own name>`."""
    return event_name in CATALOGUE or event_name.startswith(EXTERNAL_PREFIX)
