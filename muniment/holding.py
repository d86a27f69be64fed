"""Holds as a principal places and releases them: allowed, recorded in the tenant's log, then made.

Invariants:
- A hold is recorded before it is in force, and its release before it ends; what cannot be recorded is refused.
- A person is kept under a token. Events name that token, and the value where it was given, only as SHA-256 under a nonce that is
  shown once: whoever has the nonce can tell whom the hold was about, and nobody else.
- Releasing takes two principals as soon as two hold the right; where one may do it alone, the event says so.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from governance.access import Action, Decision
from muniment.four_eyes import FourEyes, four_eyes
from muniment.subjects import Keeper
from muniment.tenancy import recording
from muniment.wiring import CommandContext
from retention.holds import HoldScope, check_scope, holds_of, read_scope, scope_text
from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.control import HoldRecord, PlacedHold
from warehouse.control.secret import RandomBytes
from warehouse.errors import ConflictError, InputError, NotFoundError
from warehouse.ledger.key_destruction import reference
from warehouse.subjects import is_token, normal_form

NONCE_BYTES = 16


@dataclass(frozen=True)
class Placed:
    """A hold that was placed. `nonce` is the one under which its event names persons, None where it names none."""

    placed: PlacedHold
    nonce: str | None
    new_subjects: int
    """How many of the persons given no record had named before."""


@dataclass(frozen=True)
class _Persons:
    tokens: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    new: int = 0


def place_hold(
    context: CommandContext,
    *,
    tenant: str,
    scope: HoldScope,
    reason: str,
    owner: str | None = None,
    case: str | None = None,
    values: Collection[str] = (),
    random_bytes: RandomBytes = secrets.token_bytes,
) -> Placed:
    """Place a hold. `values` are persons by what records say of them, besides the tokens that `scope` has; `owner` is the principal.

    A value that the tenant never saw gets its token now, so that the hold keeps what is still to come.

    Raises:
        DeniedError: the principal may not.
        InputError: the scope keeps nothing, or reason, case or owner name one of the persons.
        NotFoundError: no such tenant, or a token that is none of its own.
        UnavailableError: it cannot be recorded, or a deletion that runs did not end in time: the hold is not in force.
    """
    decision = context.check(Action.HOLD_PLACE, tenant)
    context.control.tenant(tenant)
    who = context.principal.id if owner is None else owner
    if not values:
        check_scope(scope)  # before the vault is asked about tokens: a mistake is named first
    persons = _persons(context, tenant, scope.subjects, values, " ".join(filter(None, (reason, case, who))))
    checked = check_scope(msgspec.structs.replace(scope, subjects=persons.tokens))
    reason = context.redactor.redact_text(tenant, reason)
    case = case and context.redactor.redact_text(tenant, case)
    nonce = random_bytes(NONCE_BYTES) if persons.tokens else b""
    with _recording(context, "hold.placed", tenant, decision, "place") as announce:

        def announce_hold(hold: HoldRecord) -> None:
            attributes = _attributes(hold) | {
                "muniment.hold.token_refs": [reference(nonce, token) for token in checked.subjects],
                "muniment.hold.subject_refs": [reference(nonce, value) for value in persons.values],
            }
            announce(resource_id=hold.id, reason=hold.reason, attributes={k: v for k, v in attributes.items() if v})

        placed = context.control.place_hold(
            tenant,
            scope_text(checked),
            reason=reason,
            owner=who,
            by=context.principal.recorded_by,
            case_reference=case,
            announce=announce_hold,
        )
    return Placed(placed, nonce.hex() or None, persons.new)


def release_hold(context: CommandContext, hold_id: str, *, reason: str) -> HoldRecord:
    """Release a hold, or ask for its release where that takes a second principal: what comes back says which.

    Raises:
        DeniedError: the principal may not.
        NotFoundError: there is no such hold.
        ConflictError: it is released already, or its release was asked for already.
        UnavailableError: it cannot be recorded, or a deletion that runs did not end in time.
    """
    tenant, decision, eyes = _may_release(context, hold_id)
    reason = context.redactor.redact_text(tenant, reason)
    by = context.principal.recorded_by
    if not eyes.needed:
        with _recording(context, "hold.released", tenant, decision, "release") as announce:
            return context.control.release_hold(
                hold_id, by=by, reason=reason, announce=lambda hold: announce(**_release_fields(hold, eyes))
            )
    with _recording(context, "approval.requested", tenant, decision, "release") as announce:
        return context.control.ask_release(
            hold_id,
            by=by,
            reason=reason,
            announce=lambda hold: announce(
                resource_id=hold.id, reason=hold.release_reason, approval_id=_approval_id(hold)
            ),
        )


def approve_release(context: CommandContext, hold_id: str) -> HoldRecord:
    """Release a hold whose release another principal asked for.

    Raises:
        DeniedError: the principal may not, or is the one who asked.
        NotFoundError: there is no such hold.
        ConflictError: it is released already, or nobody asked for its release.
        UnavailableError: it cannot be recorded, or a deletion that runs did not end in time.
    """
    tenant, decision, _ = _may_release(context, hold_id)
    eyes = FourEyes(needed=True, why="two principals")
    with (
        _recording(context, "approval.granted", tenant, decision, "release") as announce_approval,
        _recording(context, "hold.released", tenant, decision, "release") as announce_release,
    ):

        def announce(hold: HoldRecord) -> None:
            announce_approval(resource_id=hold.id, reason=hold.release_reason, approval_id=_approval_id(hold))
            announce_release(**_release_fields(hold, eyes), approval_id=_approval_id(hold))

        return context.control.approve_release(
            hold_id,
            by=context.principal.recorded_by,
            same=context.access.accounts(context.principal),
            announce=announce,
        )


def read_hold(context: CommandContext, hold_id: str) -> HoldRecord:
    """One hold.

    Raises:
        DeniedError: the principal may see none.
        NotFoundError: there is none with this id in a tenant whose holds the principal may see.
    """
    return context.control.hold(hold_id, among=context.places(Action.HOLD_READ))


def list_holds(context: CommandContext, tenant: str | None, *, released: bool) -> list[HoldRecord]:
    """The holds in force, with `released` the others too, of a tenant or of all.

    Raises:
        DeniedError: the principal may not see them.
        NotFoundError: there is no such tenant.
    """
    context.check(Action.HOLD_READ, tenant)
    if tenant is not None:
        context.control.tenant(tenant)
    return context.control.list_holds(tenant, released=released)


def keep_held(context: CommandContext) -> Keeper:
    """What stands against destroying a subject's key: a hold that names the subject, or one that may keep records naming it.

    Which of its tenant's subjects a hold on an agent, a time or the like keeps records of cannot be told without reading them:
    until somebody does, the key stays.
    """

    def keeper(tenant: str, token: str) -> None:
        records = context.control.list_holds(tenant)
        cases = {record.id: record.case_reference for record in records}
        for hold in holds_of(records, tenant):
            if hold.scope.subjects and token not in hold.scope.subjects:
                continue
            what = "this subject" if hold.scope.subjects else "records of its tenant that may name this subject"
            case = f" (case {cases[hold.id]})" if cases[hold.id] else ""
            raise ConflictError(
                f"hold {hold.id}{case} keeps {what}: expected none on it, as what is destroyed does not come back",
                hint=f"`muniment hold show {hold.id}` tells more; the key can go once the hold is released",
            )

    return keeper


def scope_json(scope: HoldScope) -> dict[str, Any]:
    """A scope for machines and events: the criteria given, times as RFC 3339 text to the nanosecond."""
    content: dict[str, Any] = msgspec.to_builtins(scope)
    times = {"first_unix_nano": "from", "last_unix_nano": "to"}
    return {times.get(name, name): _nano_text(value) if name in times else value for name, value in content.items()}


def _persons(
    context: CommandContext, tenant: str, tokens: Collection[str], values: Collection[str], said: str
) -> _Persons:
    normal = tuple(dict.fromkeys(normal_form(value) for value in values))
    if not all(normal):
        raise InputError("--subject: expected a value a line, got an empty one")
    if any(value.casefold() in said.casefold() for value in normal):
        raise InputError(
            "hold: expected a reason, case and owner that do not name the subject, got one that does",
            hint="they are recorded, and outlive the subject's erasure",
        )
    known = context.vault.known(tenant, tokens) if tokens else set()
    unknown = [token for token in tokens if token not in known]
    if unknown:
        raise NotFoundError(
            f"--subject: expected tokens of tenant {tenant}, got {len(unknown)} that the vault does not know",
            hint="another tenant's, mistyped, or its key was destroyed: then nothing can be found by it any more"
            if all(map(is_token, unknown))
            else "an argument is a token; values are read from standard input: --subject - < FILE",
        )
    new = sum(context.vault.find(tenant, value) is None for value in normal)
    made = context.vault.tokens(tenant, normal) if normal else []
    return _Persons(tuple(dict.fromkeys([*tokens, *made])), normal, new)


def _may_release(context: CommandContext, hold_id: str) -> tuple[str, Decision, FourEyes]:
    tenant = context.control.hold(hold_id, among=context.places(Action.HOLD_READ)).tenant_id
    decision = context.check(Action.HOLD_RELEASE, tenant)
    return tenant, decision, four_eyes(context.settings, context.access, Action.HOLD_RELEASE, context.principal, tenant)


def _recording(context: CommandContext, event: str, tenant: str, decision: Decision, action: str) -> Any:
    return recording(context.record, event, tenant, decision, action=action, resource_type="hold")


def _release_fields(hold: HoldRecord, eyes: FourEyes) -> dict[str, Any]:
    attributes = _attributes(hold) | {
        "muniment.four_eyes": eyes.why,
        "muniment.hold.release_asked_by": hold.release_asked_by,
        "muniment.hold.released_by": hold.released_by,
    }
    return {"resource_id": hold.id, "reason": hold.release_reason, "attributes": attributes}


def _attributes(hold: HoldRecord) -> dict[str, Any]:
    scope = read_scope(hold.scope)
    said = {
        "muniment.hold.owner": hold.owner,
        "muniment.hold.case": hold.case_reference,
        # Persons are counted here; the placing says under a nonce who they are.
        "muniment.hold.scope": scope_json(msgspec.structs.replace(scope, subjects=())),
        "muniment.hold.subjects": len(scope.subjects),
    }
    return {name: value for name, value in said.items() if value}


def _approval_id(hold: HoldRecord) -> str:
    return f"release-{hold.id}"


def _nano_text(unix_nano: int) -> str:
    return f"{utc_text(unix_nano).removesuffix('Z')}.{unix_nano % NANOS_PER_SECOND:09d}Z"
