"""Findings as a principal reads and decides on them: assessed, disposed of, reviewed; each on record in the tenant's log.

Invariants:
- One function gives the figures of a framework over a period: pages, commands and packs call it.
- A decision is recorded, or it is not made: the event is all that there is of it. Nothing is ever changed or taken out; a later
  disposition of the same exception counts instead, and the ones before it stay on record.
- A disposition is of an exception that there is: the control is evaluated again before it is recorded.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from governance.access import Action
from governance.controls.evaluating import State
from governance.controls.framework import KIND, Control, Controls, Framework, compile_controls, default_controls
from governance.evidence.assessment import Assessed, Assessment, assess, assess_control
from governance.evidence.decisions import Disposition, ExceptionId, read_decisions
from muniment.handing_out import check_whole, tables_of
from muniment.retaining import check_tenant
from muniment.wiring import CommandContext
from warehouse.clock import utc_date
from warehouse.errors import InputError, NotFoundError
from warehouse.own_events import OwnEvent
from warehouse.policies import in_force
from warehouse.query import QuerySession
from warehouse.questions.control_decisions import DISPOSED, REVIEWED, control_decisions

Period = tuple[int, int]
"""Nanoseconds since 1970, the end not included."""
Step = Callable[[str], None]

MOST_AT_ONCE = 200
_LONGEST_TICKET = 200
_LONGEST_REASON = 2_000


@dataclass(frozen=True)
class Decision:
    """What somebody decides on exceptions: texts as they were typed."""

    disposition: Disposition
    reason: str
    ticket: str | None = None
    due: dt.date | None = None


def read_controls(context: CommandContext) -> Controls:
    """The controls in force: those applied, else those that come with the package.

    Raises:
        PolicyError: those in force were written for another version.
    """
    found = in_force(context.control, KIND)
    return default_controls() if found is None else compile_controls(found.bundle)


def find_framework(controls: Controls, name: str) -> Framework:
    """A framework by its id.

    Raises:
        NotFoundError: there is none.
    """
    if name not in controls.frameworks:
        raise NotFoundError(f"framework: expected {', '.join(sorted(controls.frameworks))}, got {name!r}")
    return controls.frameworks[name]


def find_control(framework: Framework, name: str) -> Control:
    """A control of a framework that has findings, by its id.

    Raises:
        NotFoundError: there is none.
    """
    known = {control.id: control for control in framework.controls if control.sql is not None}
    if name not in known:
        raise NotFoundError(f"control of {framework.id}: expected {', '.join(known) or 'none'}, got {name!r}")
    return known[name]


def read_findings(
    context: CommandContext, *, framework: str, tenant: str, period: Period, step: Step = lambda _text: None
) -> Assessed:
    """The findings of a framework, with exceptions and what was decided on them; recorded as `record.viewed` first.

    Raises:
        DeniedError: the principal may not export the tenant's records, which is what findings are made of, or not read all of them.
        InputError: the period is empty.
        NotFoundError: no such tenant or framework.
        UnavailableError: the lake cannot be read, or that it was looked at cannot be recorded.
    """
    context.check(Action.RECORDS_EXPORT, tenant)
    check_tenant(context, tenant)
    check_period(period)
    chosen = find_framework(read_controls(context), framework)
    check_whole(context, tenant, tables_of(chosen), "findings")
    context.record(
        "record.viewed", tenant, action="evidence", resource_type="findings", resource_id=framework,
        attributes={"muniment.control.from": period[0], "muniment.control.to": period[1]},
    )  # fmt: skip
    with context.session([tenant]) as session:
        return assess(
            session,
            chosen,
            from_unix_nano=period[0],
            to_unix_nano=period[1],
            as_of_unix_nano=context.clock(),
            step=step,
        )


def dispose(
    context: CommandContext, *, tenant: str, exceptions: Sequence[ExceptionId], period: Period, decision: Decision
) -> int:
    """Decide on exceptions of a period; recorded as `exception.disposed`, one event each, all or none. Returns how many.

    Raises:
        DeniedError: the principal may not.
        InputError: no exception is named, too many are, or reason, ticket or day are not what they must be.
        NotFoundError: no such tenant, framework or control, or a record that is no exception of it in the period.
        UnavailableError: it cannot be recorded: nothing was decided.
    """
    allowed = context.check(Action.CONTROL_DISPOSE, tenant)
    check_tenant(context, tenant)
    check_period(period)
    _check(decision, utc_date(context.clock()))
    wanted = list(dict.fromkeys(exceptions))
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise InputError(f"exceptions: expected 1 to {MOST_AT_ONCE:,} of them, got {len(wanted):,}")
    _check_there(context, tenant, wanted, period)
    reason, ticket = (_treated(context, tenant, text) for text in (decision.reason, decision.ticket))
    context.decisions.record_with(
        [
            OwnEvent(
                tenant,
                DISPOSED,
                context.principal.recorded_by,
                fields={
                    "action": "dispose",
                    "resource_type": "exception",
                    "resource_id": str(each),
                    "reason": reason,
                    "policy_id": allowed.policy_id,
                    "policy_version": allowed.policy_version,
                },
                attributes=_attributes(each, decision, ticket),
            )
            for each in wanted
        ]
    )
    return len(wanted)


def review(
    context: CommandContext, *, tenant: str, framework: str, control: str, period: Period, note: str
) -> Assessment:
    """Mark a control as reviewed over a period, with the figures as they are now; recorded as `control.reviewed`.

    Raises:
        DeniedError: the principal may not.
        InputError: the period is empty, or the note is.
        NotFoundError: no such tenant, framework, or control that has findings.
        UnavailableError: it cannot be recorded: nothing was marked.
    """
    allowed = context.check(Action.CONTROL_REVIEW, tenant)
    check_tenant(context, tenant)
    check_period(period)
    _check_text("note", note, _LONGEST_REASON)
    chosen = find_control(find_framework(read_controls(context), framework), control)
    with context.session([tenant]) as session:
        found = _assess(session, chosen, period, context.clock())
    context.record(
        REVIEWED,
        tenant,
        action="review",
        resource_type="control",
        resource_id=f"{framework}/{control}",
        reason=_treated(context, tenant, note),
        policy_id=allowed.policy_id,
        policy_version=allowed.policy_version,
        attributes={
            "muniment.control.framework": framework,
            "muniment.control.id": control,
            "muniment.control.from": period[0],
            "muniment.control.to": period[1],
            "muniment.control.finding": found.outcome.state.value,
            "muniment.control.items": found.outcome.items,
            "muniment.control.exceptions": found.outcome.exceptions,
        },
    )
    return found


def check_period(period: Period) -> None:
    """Refuse a period that is empty.

    Raises:
        InputError: it is.
    """
    if period[0] >= period[1]:
        raise InputError("period: expected --from before --to, got a period that is empty")


def _check_there(context: CommandContext, tenant: str, wanted: Sequence[ExceptionId], period: Period) -> None:
    """Each of them is an exception of its control in the period."""
    controls = read_controls(context)
    missing = set(wanted)
    with context.session([tenant]) as session:
        for framework, control in sorted({(each.framework, each.control) for each in wanted}):
            found = _assess(
                session, find_control(find_framework(controls, framework), control), period, context.clock()
            )
            missing -= set(found.ids)
    if missing:
        raise NotFoundError(
            f"exception {min(missing)}: expected one of the tenant and period, got a record that is none",
            hint="`muniment evidence exceptions` lists them, with the same --from and --to",
        )


def _assess(session: QuerySession, control: Control, period: Period, now: int) -> Assessment:
    decisions = read_decisions(control.framework, control_decisions(session, control.framework))
    assessment = assess_control(session, control, decisions, period, now)
    if assessment.outcome.state is State.MAPPING_ONLY:
        raise NotFoundError(f"control {control.id}: expected one with findings, got a mapping")
    return assessment


def _attributes(exception: ExceptionId, decision: Decision, ticket: str | None) -> dict[str, Any]:
    found = {
        "muniment.control.framework": exception.framework,
        "muniment.control.id": exception.control,
        "muniment.exception.table": exception.table,
        "muniment.exception.shard": exception.shard,
        "muniment.exception.index": exception.index,
        "muniment.exception.disposition": decision.disposition.value,
        "muniment.exception.ticket": ticket,
        "muniment.exception.due": None if decision.due is None else decision.due.isoformat(),
    }
    return {name: value for name, value in found.items() if value is not None}


def _check(decision: Decision, today: dt.date) -> None:
    _check_text("reason", decision.reason, _LONGEST_REASON)
    if decision.ticket is not None:
        _check_text("ticket", decision.ticket, _LONGEST_TICKET)
    undated = {Disposition.OPEN, Disposition.FALSE_POSITIVE}
    if decision.due is not None and decision.disposition in undated:
        raise InputError(
            f"due: expected a day with accepted or remediated alone, got one with {decision.disposition.value}"
        )
    if decision.due is not None and decision.due < today:
        raise InputError(
            f"due: expected a day that has not passed, got {decision.due}: the exception would be open again at once"
        )


def _check_text(name: str, text: str, most: int) -> None:
    if not 1 <= len(text.strip()) <= most:
        raise InputError(f"{name}: expected 1 to {most:,} characters, got {len(text.strip()):,}")


def _treated(context: CommandContext, tenant: str, text: str | None) -> str | None:
    """A text that somebody typed, without persons and secrets."""
    return None if text is None else context.redactor.redact_text(tenant, text.strip())
