"""Carries out what the page of requests asks for: the functions of `muniment erase`, `subject report` and `hold`.

Invariants: a request is looked up in the tenant at which the viewer looks, and nowhere else; what waits and what is held is shown once
it is on record that somebody looked.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboards.request_desk import Erasure, HeldCase, HoldForm, Matter, Outlook, Placed, Report, Right, Waiting
from dashboards.viewer import Viewer
from governance.access import Action
from muniment.desk_retention import held_cases, scope_words
from muniment.desk_rights import rights_of
from muniment.erasing import Erased, approve_erasure, carry_out, order_erasure
from muniment.erasure_notes import read_notes
from muniment.erasure_plan import find_person, foresee_erasure
from muniment.holding import approve_release, place_hold, release_hold, scope_json
from muniment.subject_report import find_subject_of_report, report_subject
from muniment.wiring import CommandContext
from retention.erasure import Staying
from retention.holds import HoldScope, read_scope
from warehouse.clock import utc_text
from warehouse.errors import NotFoundError
from warehouse.subjects import is_token

_ACTIONS = {
    Right.REPORT: Action.SUBJECT_REPORT,
    Right.ERASE: Action.SUBJECT_ERASE,
    Right.HOLD: Action.HOLD_PLACE,
    Right.RELEASE: Action.HOLD_RELEASE,
}


RecordView = Callable[[CommandContext, str, str, str | None], None]
"""`record_view(context, tenant, kind, what)` records a view, or raises."""


@dataclass(frozen=True)
class LakeRequests:
    """The requests of one lake; `context_of` gives the lake as the holder of a ticket sees it, or refuses."""

    context_of: Callable[[Viewer], CommandContext]
    record_view: RecordView

    def rights(self, viewer: Viewer, tenant: str) -> frozenset[Right]:
        """As `RequestDesk.rights`. The lake's own log is about no person and has no holds."""
        return rights_of(self.context_of(viewer), tenant, _ACTIONS)

    def waiting(self, viewer: Viewer, tenant: str) -> list[Waiting]:
        """As `RequestDesk.waiting`."""
        context, rights = self.context_of(viewer), self.rights(viewer, tenant)
        own = context.access.accounts(context.principal)
        found = []
        if Right.ERASE in rights:
            found = [
                Waiting(
                    note.request,
                    Matter.ERASURE,
                    f"erasure {note.id}, subject {note.subject_ref}",
                    note.reason,
                    note.ordered_by,
                    note.ordered_by in own,
                )
                for note in read_notes(context)
                if note.tenant == tenant and note.request is not None and note.approved_by is None
            ]
        if Right.RELEASE in rights:
            found += [
                Waiting(
                    hold.id,
                    Matter.RELEASE,
                    f"hold {hold.id} on {scope_words(scope_json(read_scope(hold.scope)))}",
                    hold.release_reason or "",
                    hold.release_asked_by or "",
                    hold.release_asked_by in own,
                )
                for hold in context.control.list_holds(tenant)
                if hold.release_pending
            ]
        if found:
            self.record_view(context, tenant, "page", "requests")
        return found

    def approve(self, viewer: Viewer, tenant: str, matter: Matter, waiting_id: str) -> Erasure | None:
        """As `RequestDesk.approve`."""
        context = self.context_of(viewer)
        if waiting_id not in {each.id for each in self.waiting(viewer, tenant) if each.matter is matter}:
            context.check(Action.SUBJECT_ERASE if matter is Matter.ERASURE else Action.HOLD_RELEASE, tenant)
            raise NotFoundError(f"{matter.value}: nothing waits under {waiting_id} in tenant {tenant}")
        if matter is Matter.RELEASE:
            approve_release(context, waiting_id)
            return None
        return _erasure(carry_out(context, approve_erasure(context, waiting_id)))

    def foresee(self, viewer: Viewer, tenant: str, person: str, *, texts: bool) -> Outlook:
        """As `RequestDesk.foresee`."""
        context = self.context_of(viewer)
        plan = foresee_erasure(context, find_person(context, tenant, person, texts=texts))
        context.decisions.record_with(
            []
        )  # no event of its own follows: that somebody asked is on record before it is told
        erasure = plan.erasure
        return Outlook(
            erasure.rows_going, plan.quarantine, _staying(erasure.staying), not erasure.keeps_key, plan.packs
        )

    def erase(self, viewer: Viewer, tenant: str, person: str, reason: str, *, texts: bool) -> Erasure:
        """As `RequestDesk.erase`."""
        context = self.context_of(viewer)
        found = find_person(context, tenant, person, texts=texts)
        nonces: list[str] = []
        note, request = order_erasure(context, found, reason=reason, announce_nonce=nonces.append)
        if request is not None:
            return Erasure(note.id, waits=True, nonce=nonces[0])
        return _erasure(carry_out(context, note, value=found.value), nonces[0])

    def report(self, viewer: Viewer, tenant: str, person: str, *, texts: bool) -> Report:
        """As `RequestDesk.report`."""
        context = self.context_of(viewer)
        token = person if is_token(person) else None
        subject = find_subject_of_report(context, tenant, token=token, value=None if token else person)
        nonces: list[str] = []
        with tempfile.TemporaryDirectory(prefix="report-", dir=context.lake.spill) as folder:
            made = report_subject(
                context, subject, Path(folder) / "report.zip", texts=texts, announce_nonce=nonces.append
            )
            content = made.file.read_bytes()
        rows = {count.table: count.rows for count in made.finds.counts()}
        return Report(content, made.sha256, rows, made.proofs, made.problems, nonces[0])

    def holds(self, viewer: Viewer, tenant: str) -> Sequence[HeldCase]:
        """As `RequestDesk.holds`."""
        context = self.context_of(viewer)
        found = held_cases(context, tenant)
        if found:
            self.record_view(context, tenant, "page", "holds")
        return found

    def place_hold(self, viewer: Viewer, tenant: str, form: HoldForm) -> Placed:
        """As `RequestDesk.place_hold`."""
        context = self.context_of(viewer)
        scope = HoldScope(
            subjects=tuple(each for each in form.persons if is_token(each)),
            agents=form.agents,
            traces=tuple(each.lower() for each in form.traces),
            conversations=form.conversations,
            first_unix_nano=form.first_unix_nano,
            last_unix_nano=form.last_unix_nano,
            everything=form.everything,
        )
        made = place_hold(
            context,
            tenant=tenant,
            scope=scope,
            reason=form.reason,
            case=form.case or None,
            values=[each for each in form.persons if not is_token(each)],
        )
        hold = made.placed.hold
        late = tuple(f"{each.what}, begun {utc_text(each.began_unix_nano)}" for each in made.placed.came_after)
        return Placed(hold.id, scope_words(scope_json(read_scope(hold.scope))), late, made.nonce)

    def release_hold(self, viewer: Viewer, tenant: str, hold_id: str, reason: str) -> bool:
        """As `RequestDesk.release_hold`."""
        context = self.context_of(viewer)
        context.check(Action.HOLD_RELEASE, tenant)
        if hold_id not in {hold.id for hold in context.control.list_holds(tenant)}:
            raise NotFoundError(f"hold: expected one in force in tenant {tenant}, got {hold_id}")
        return not release_hold(context, hold_id, reason=reason).in_force


def _erasure(done: Erased, nonce: str | None = None) -> Erasure:
    erased: dict[str, int] = {}
    for each in done.purges:
        for table, count in each.rows.items():
            erased[table] = erased.get(table, 0) + count
    return Erasure(
        done.note.id,
        waits=False,
        nonce=nonce,
        erased=erased,
        refused_records=done.quarantine,
        staying=_staying(done.staying),
        packs=done.packs,
        certificates=tuple(each.certificate.sha256 for each in done.purges),
        key_certificate=done.key_certificate,
        rows_searched=done.absence.rows,
    )


def _staying(staying: Sequence[Staying]) -> tuple[str, ...]:
    """What stays and why, a line each."""
    return tuple(
        f"{f'{each.rows:,} of {each.table}' if each.rows else f'the key, for {each.table}'}: {each.by} {each.name}"
        + (f" ({each.reason})" if each.reason else "")
        for each in staying
    )
