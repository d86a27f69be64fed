"""Erases a person from a tenant, as a principal orders it: found, told what stays and why, approved, deleted, searched, certified.

Invariants:
- Nobody is named outside the vault: events, certificates, requests and notes hold `subject_ref`, SHA-256 over a nonce that the officer
  gets and nobody keeps.
- A note in `LAKE/keys`, beside the vault and without the value, carries an erasure from its request to its end: through a second
  principal's approval, through crashes, and on while a hold or a law keeps some of it.
- The person's key goes last, once nothing that a hold or a law keeps needs it.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import rfc8785

from governance.access import Action
from muniment.draining import drain_journals
from muniment.erasure_notes import Note, drop_note, read_notes, write_note
from muniment.erasure_plan import ErasurePlan, Person, find_rows, holds_naming, plan_erasure, value_of
from muniment.four_eyes import four_eyes
from muniment.pack_erasure import erase_packs
from muniment.purging import Step, make_ground, purge_due, say_nothing
from muniment.retaining import read_holds, read_retention_policy
from muniment.subjects import NONCE_BYTES, Keeper, shred_subject
from muniment.wiring import CommandContext
from retention.absence import Absence, search_everywhere
from retention.doomed import Doomed, doom
from retention.erasure import Staying, decide
from retention.purge import Order, Purged, finish_open, purge
from retention.set_aside import drop_journals, journals_with
from warehouse.control import RequestRecord
from warehouse.control.part import check_text
from warehouse.control.secret import RandomBytes
from warehouse.errors import ConflictError, CorruptionError, DeniedError, InputError, NotFoundError
from warehouse.ledger.key_destruction import reference
from warehouse.maintenance.partition import Partition
from warehouse.principals import PrincipalKind
from warehouse.quarantine import drop_entries, entries_with

KIND = "erasure"
_ROUNDS = 5
_ID_BYTES = 6


@dataclass(frozen=True)
class Erased:
    """An erasure as far as it came. `key_certificate` is None where the key stays because of `staying`; `packs` are those that went."""

    note: Note
    purges: tuple[Purged, ...]
    staying: tuple[Staying, ...]
    quarantine: int
    absence: Absence
    key_certificate: str | None
    value_searched: bool = False
    packs: tuple[str, ...] = ()


def order_erasure(
    context: CommandContext,
    person: Person,
    *,
    reason: str,
    announce_nonce: Callable[[str], None],
    random_bytes: RandomBytes = secrets.token_bytes,
) -> tuple[Note, RequestRecord | None]:
    """Record that a person is to be erased. A request comes back where a second principal has to approve it first.

    `announce_nonce` gets the nonce by which `subject_ref` can be recognised, in hexadecimal, before anything is done.

    Raises:
        DeniedError: the principal may not.
        ConflictError: an erasure of this person has not ended.
        InputError: the reason names the person.
        UnavailableError: it cannot be recorded.
    """
    decision = context.check(Action.SUBJECT_ERASE, person.tenant)
    if context.principal.kind is PrincipalKind.JOB:
        raise DeniedError("erase: expected a person to order it, got a job, which only carries on what was ordered")
    if any((note.tenant, note.token) == (person.tenant, person.token) for note in read_notes(context)):
        raise ConflictError(
            "erase: an erasure of this person was ordered before and has not ended",
            hint="`muniment erase --list` shows it; `muniment erase --resume` carries it on",
        )
    check_text(reason, "--reason")
    if person.value and person.value.casefold() in reason.casefold():
        raise InputError("--reason: expected one that does not name the subject, which is to be forgotten")
    eyes = four_eyes(context.settings, context.access, Action.SUBJECT_ERASE, context.principal, person.tenant)
    nonce = random_bytes(NONCE_BYTES)
    ref = reference(nonce, person.value or person.token)
    by = context.principal.recorded_by
    note = Note(
        f"e{random_bytes(_ID_BYTES).hex()}", person.tenant, person.token, ref, reason, by, eyes.why, texts=person.texts
    )
    _record(context, "erasure.requested", note, policy_id=decision.policy_id, policy_version=decision.policy_version)
    announce_nonce(nonce.hex())
    request = None
    if eyes.needed:
        request = context.control.ask(
            KIND, note.id, by=by, same=context.access.accounts(context.principal), tenant_id=person.tenant
        )
        note = replace(note, request=request.id)
    write_note(context, note)
    return note, request


def approve_erasure(context: CommandContext, request_id: str) -> Note:
    """Approve, as another principal, what waits; the note that comes back can be carried out.

    Raises:
        NotFoundError: nothing waits under this id in a tenant whose records the principal may read.
        DeniedError: the principal may not, or asked for it itself.
    """
    among = context.places(Action.RECORDS_READ)
    found = [note for note in read_notes(context) if note.request == request_id and note.tenant in among]
    if not found:
        raise NotFoundError(f"erasure: no request {request_id} waits for approval")
    note = found[0]
    context.check(Action.SUBJECT_ERASE, note.tenant)
    four_eyes(context.settings, context.access, Action.SUBJECT_ERASE, context.principal, note.tenant)
    approved = replace(note, approved_by=context.principal.recorded_by)
    context.control.approve_request(
        KIND,
        note.id,
        by=context.principal.recorded_by,
        same=context.access.accounts(context.principal),
        announce=lambda request: _record(context, "approval.granted", approved, approval_id=request.id),
    )
    write_note(context, approved)
    return approved


def carry_out(
    context: CommandContext,
    note: Note,
    *,
    value: str | None = None,
    step: Step = say_nothing,
) -> Erased:
    """Erase what may go, search everywhere, and destroy the person's key where nothing needs it; safe to repeat.

    Raises:
        DeniedError: the principal may not, or the erasure was not approved.
        ConflictError: a hold placed meanwhile keeps some of it.
        CorruptionError: the person is found still: in texts that were not searched, in something put back, or new records come in.
        UnavailableError: a journal could not be drained, a disk or database refused; run it again.
    """
    context.check(Action.SUBJECT_ERASE, note.tenant)
    if note.request is not None and note.approved_by is None:
        raise DeniedError(
            f"erasure {note.id} waits for a second principal", hint=f"they run: muniment erase --approve {note.request}"
        )
    drain_journals(context)
    finished = finish_open(make_ground(context, note.tenant, step), note.tenant)
    person = Person(note.tenant, note.token, value or value_of(context, note.tenant, note.token), note.texts)
    purges, dropped = [*finished], 0
    for _ in range(_ROUNDS):
        plan = plan_erasure(context, person)
        deletes = bool(plan.erasure.going)
        purges += _purge(context, note, plan, step) if deletes else ()
        dropped += drop_entries(
            context.lake, note.tenant, entries_with(context.lake, note.tenant, person.words_in_texts)
        )
        drop_journals(journals_with(context.lake, person.words_in_texts))
        step(note.tenant, "searching everywhere")
        erasure = plan_erasure(context, person).erasure if deletes else plan.erasure
        context.control.forget_token(note.tenant, note.token, note.subject_ref)
        is_held = _is_held(context, note)
        if not is_held:
            by = context.principal.recorded_by
            context.control.forget_in_cases(note.tenant, person.words_in_texts, note.subject_ref, by=by)
        absence = search_everywhere(
            context.lake,
            note.tenant,
            person.words_in_texts,
            staying=erasure.masks,
            with_control=not is_held,
        )
        if absence.is_clean and not erasure.going:
            searched = len(person.words_in_texts) > 1
            packs = erase_packs(context, note, person.words_in_texts, erasure.staying)
            staying = (*erasure.staying, *packs.staying)
            done = Erased(note, tuple(purges), staying, dropped, absence, None, searched, packs.deleted)
            return _end(context, note, done, keeps_key=erasure.keeps_key or packs.are_held)
        if absence.rows_found:  # in texts, where redaction missed the value
            person = replace(person, texts=True)
        drain_journals(context)  # records about this person that came in meanwhile
    raise CorruptionError(
        f"erasure {note.id}: expected the person to be found nowhere, got {absence.problems() or 'records that came in'}",
        hint="stop what sends records about them, then `muniment erase --resume`; with --search-texts, where texts name them",
    )


def finish_erasures(context: CommandContext, tenant: str | None = None, *, step: Step = say_nothing) -> list[Erased]:
    """Carry on every erasure that may be: those that a crash cut off, and those of which a hold or a law kept something.

    Raises:
        As `carry_out`.
    """
    ready = [
        note
        for note in read_notes(context)
        if (note.request is None or note.approved_by is not None) and tenant in {None, note.tenant}
    ]
    return [carry_out(context, note, step=step) for note in ready]


def run_retention(
    context: CommandContext, tenant: str | None = None, *, step: Step = say_nothing
) -> tuple[list[Purged], list[Erased]]:
    """What the schedule does: purge what is due, then carry on erasures, now that more of what kept them may be gone.

    Raises:
        As `purge_due` and `carry_out`.
    """
    return purge_due(context, tenant, step=step), finish_erasures(context, tenant, step=step)


def _purge(context: CommandContext, note: Note, plan: ErasurePlan, step: Step) -> Iterator[Purged]:
    """One purge over all that goes. The rows are chosen again under the locks of their partitions."""
    policy, holds = read_retention_policy(context.control), read_holds(context.control)
    partitions = {Partition(file.table, note.tenant, file.day) for file in plan.erasure.going}
    said = {**plan.to_json(), "subject_ref": note.subject_ref, "holds_hash": holds.content_hash}
    order = Order(
        note.tenant,
        reference(b"", rfc8785.dumps(said).decode()),
        policy.content_hash.removeprefix("sha256:"),
        ordered_by=note.ordered_by,
        approved_by=note.approved_by,
        details={
            "kind": KIND,
            "erasure": note.id,
            "subject_ref": note.subject_ref,
            "reason": note.reason,
            "four_eyes": note.four_eyes,
            "holds_hash": holds.content_hash,
            "staying": msgspec.to_builtins(plan.erasure.staying),
        },
    )

    def choose() -> Doomed:
        found = [
            file
            for file in find_rows(context, plan.person)
            if Partition(file.table, note.tenant, file.day) in partitions
        ]
        return doom(context.lake, note.tenant, decide(context.lake, policy, holds, context.clock(), found).going)

    done = purge(make_ground(context, note.tenant, step), order, sorted(partitions), choose, holds.content_hash)
    if done is not None:
        yield done


def _end(context: CommandContext, note: Note, erased: Erased, *, keeps_key: bool) -> Erased:
    """Destroy the key where nothing needs it, record how far it came, and keep the note where something stays."""
    attributes = {
        "muniment.subject_ref": note.subject_ref,
        "muniment.erasure": note.id,
        "muniment.erasure.certificates": [each.certificate.sha256 for each in erased.purges],
        "muniment.erasure.staying": [f"{each.by} {each.name}: {each.rows} of {each.table}" for each in erased.staying],
        "muniment.erasure.search": erased.absence.to_json(),
        "muniment.erasure.packs": list(erased.packs),
    }
    if keeps_key:
        kept = replace(note, kept_since_unix_nano=note.kept_since_unix_nano or context.clock())
        write_note(context, kept)
        if note.kept_since_unix_nano is None or erased.purges or erased.packs:
            _record(context, "erasure.completed", kept, attributes=attributes)
        _close(context, note)
        return replace(erased, note=kept)
    if context.vault.known(note.tenant, [note.token]):
        shredded = shred_subject(
            context,
            tenant=note.tenant,
            token=note.token,
            reason=note.reason,
            announce_nonce=lambda _nonce: None,  # the officer has the one of `subject_ref`
            action=Action.SUBJECT_ERASE,
            subject_ref=note.subject_ref,
            keeper=_unless_held(context),
        )
        erased = replace(erased, key_certificate=shredded.certificate_sha256)
    _record(context, "erasure.completed", note, attributes=attributes)
    _close(context, note)
    drop_note(context, note)
    return erased


def _unless_held(context: CommandContext) -> Keeper:
    """Refuses where a hold that names the person was placed since the erasure looked."""

    def keeper(tenant: str, token: str) -> None:
        if held := holds_naming(context, tenant, token):
            raise ConflictError(
                f"hold {held[0]} names this person: expected none, as a key that is destroyed does not come back",
                hint="`muniment erase --resume` goes on with what the hold does not keep",
            )

    return keeper


def _is_held(context: CommandContext, note: Note) -> bool:
    """Whether a hold in force names the person: its scope has to hold the token."""
    return bool(holds_naming(context, note.tenant, note.token))


def _close(context: CommandContext, note: Note) -> None:
    if note.request is not None:
        context.control.close_request(note.request)


def _record(context: CommandContext, event: str, note: Note, **fields: Any) -> None:
    attributes = fields.pop("attributes", None) or {
        "muniment.subject_ref": note.subject_ref,
        "muniment.erasure": note.id,
    }
    context.record(
        event,
        note.tenant,
        action="erase",
        resource_type="subject",
        resource_id=note.id,
        reason=note.reason,
        attributes={**attributes, "muniment.four_eyes": note.four_eyes, "muniment.approved_by": note.approved_by},
        **fields,
    )
