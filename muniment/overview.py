"""Whether everything is all right with a tenant's records: one fact a question, told from what the lake already knows.

`good`, `bad` and `unknown` are three answers: what nobody has established is never shown as good.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dashboards.desk import Fact
from governance.access import Action
from muniment.adopting import adoption_of
from muniment.certificates import list_documents
from muniment.incident_handling import list_incidents
from muniment.lake_status import read_status
from muniment.slos import slo_figures
from muniment.wiring import CommandContext
from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.control import IncidentState
from warehouse.errors import DeniedError
from warehouse.names import LAKE_TENANT
from warehouse.policies import PolicyError

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
_SERIOUS = {"critical", "high"}
_NAMED = 5
_LATE_SECONDS = 26 * 3600
_STALE_WITNESS_SECONDS = 3600


def facts(context: CommandContext, tenant: str) -> list[Fact]:
    """What stands well and what does not, worst first."""
    status = read_status(context, senders=False, tenant=tenant)
    order = {BAD: 0, UNKNOWN: 1, GOOD: 2}
    found = [
        *_sealed(context, status),
        *_verified(status),
        *_witnessed(context, status),
        *_ingest(context, status, tenant),
    ]
    found += [*_incidents(context, tenant), *_objectives(context, tenant)]
    found += [
        *_retention(context, status, tenant),
        *_holds(context, tenant),
        *_policies(status),
        *_controls(context, tenant),
    ]
    return sorted(found, key=lambda fact: order[fact.state])


def _sealed(context: CommandContext, status: Mapping[str, Any]) -> Iterator[Fact]:
    at = status["last_checkpoint_unix_nano"]
    if at is None:
        yield Fact(
            "Seal", UNKNOWN, "no record has been sealed yet", "send records: docs/connect shows how", "integrity"
        )
        return
    yield Fact("Seal", GOOD, f"records are sealed; the newest seal is {_ago(context, at)} old", page="integrity")


def _verified(status: Mapping[str, Any]) -> Iterator[Fact]:
    schedules = status["schedules"]
    advice = "run `muniment verify`, or `muniment up`, which verifies every hour"
    if schedules is None or schedules["problem"]:
        yield Fact("Verification", UNKNOWN, "no scheduled verification is known", advice, "integrity")
        return
    last = schedules["last_runs"].get("verification")
    if last is None:
        yield Fact("Verification", UNKNOWN, "no verification has run on schedule yet", advice, "integrity")
    elif last["status"] == "success":
        yield Fact(
            "Verification",
            GOOD,
            f"every record checked fits its seal, {utc_text(last['asked_unix_nano'])[:16]}",
            page="integrity",
        )
    elif last["status"] == "failure":
        yield Fact(
            "Verification",
            BAD,
            "the last verification found something or could not run",
            "run `muniment verify`: it names what",
            "integrity",
        )
    else:
        yield Fact("Verification", UNKNOWN, f"a verification is {last['status']}", page="integrity")


def _witnessed(context: CommandContext, status: Mapping[str, Any]) -> Iterator[Fact]:
    witnesses = status["witnesses"]
    if not witnesses:
        yield Fact(
            "Independent witness",
            UNKNOWN,
            "none is configured: the seal protects against outsiders, not against who runs this system",
            "docs/how-to/witness.md shows how to add one",
            "integrity",
        )
        return
    newest = max(each["last_cosigned_unix_nano"] for each in witnesses)
    late = not newest or context.clock() - newest > _STALE_WITNESS_SECONDS * NANOS_PER_SECOND
    said = f"last cosigned {_ago(context, newest)} ago" if newest else "never cosigned yet"
    yield Fact(
        "Independent witness",
        BAD if late else GOOD,
        said,
        "see whether the witness answers" if late else "",
        "integrity",
    )


def _ingest(context: CommandContext, status: Mapping[str, Any], tenant: str) -> Iterator[Fact]:
    running = [each for each in status["collectors"] if each.get("ok")]
    newest = max((row["newest_unix_nano"] for row in status["tables"] if row["tenant_id"] == tenant), default=0)
    rows = sum(row["rows"] for row in status["tables"] if row["tenant_id"] == tenant)
    if not rows:
        yield Fact(
            "Records", UNKNOWN, "nothing has arrived for this tenant yet", "docs/connect shows how to send", "activity"
        )
    else:
        yield Fact(
            "Records", GOOD, f"{rows:,} records; the newest is from {utc_text(newest)[:16]} UTC", page="activity"
        )
    if not running:
        yield Fact(
            "Collector", UNKNOWN, "no collector runs on this machine now", "`muniment up` starts one", "integrity"
        )
    problems = [problem for each in running for problem in each.get("problems", ())]
    if problems:
        # its words may name other tenants
        whole = context.access.decide(context.principal, Action.STATUS_READ).allowed
        said = problems[0] if whole else "it reports a problem"
        advice = "`muniment status` shows all" if whole else "ask whoever runs this lake"
        yield Fact("Collector", BAD, said, advice, "integrity")
    elif running:
        yield Fact("Collector", GOOD, f"{len(running)} listening", page="integrity")


def _incidents(context: CommandContext, tenant: str) -> Iterator[Fact]:
    if tenant == LAKE_TENANT:
        return
    try:
        running = list_incidents(context, tenant, states=set(IncidentState) - {IncidentState.CLOSED})
    except DeniedError:
        return
    serious = [each for each in running if each.severity in _SERIOUS and each.state.unattended]
    if serious:
        said = f"{len(running)} open, {len(serious)} of them serious and with nobody yet"
        yield Fact("Incidents", BAD, said, "the page about incidents has them", "incidents")
    else:
        said = f"{len(running)} open, nothing serious waits for somebody" if running else "none is open"
        yield Fact("Incidents", GOOD, said, page="incidents")


def _objectives(context: CommandContext, tenant: str) -> Iterator[Fact]:
    if tenant == LAKE_TENANT:
        return
    try:
        figures = slo_figures(context, tenants=[tenant]).figures
    except DeniedError:
        return
    spent = [each.title for each in figures if each.state == "spent"]
    kept = sum(each.state == "met" for each in figures)
    if spent:
        said = f"the error budget of {len(spent)} of {len(figures)} is spent: {', '.join(spent[:_NAMED])}"
        yield Fact("Objectives", BAD, said, "the page about SLOs has the figures", "slos")
    elif kept:
        said = f"{kept} of {len(figures)} are kept; the others have too few events, or nothing was measured"
        yield Fact("Objectives", GOOD if kept == len(figures) else UNKNOWN, said, page="slos")
    else:
        yield Fact("Objectives", UNKNOWN, "none has been measured yet", "`muniment up` computes them", "slos")


def _retention(context: CommandContext, status: Mapping[str, Any], tenant: str) -> Iterator[Fact]:
    if not context.access.decide(context.principal, Action.RETENTION_PLAN, tenant).allowed:
        return
    open_ones = [each for each in list_documents(context, tenant) if not each.finished]
    if open_ones:
        yield Fact(
            "Deletion",
            BAD,
            f"{len(open_ones)} begun and not finished",
            "`muniment retention apply` finishes them",
            "retention",
        )
    last = status["last_purge"]["unix_nano"]
    if last:
        late = context.clock() - last > _LATE_SECONDS * NANOS_PER_SECOND
        state, advice = (UNKNOWN, "`muniment up` runs it every day") if late else (GOOD, "")
        yield Fact("Retention", state, f"last carried out {_ago(context, last)} ago", advice, "retention")
    else:
        yield Fact("Retention", UNKNOWN, "never carried out yet", "`muniment up` runs it every day", "retention")


def _holds(context: CommandContext, tenant: str) -> Iterator[Fact]:
    if tenant == LAKE_TENANT or not context.access.decide(context.principal, Action.HOLD_READ, tenant).allowed:
        return
    holds = context.control.list_holds(tenant)
    if holds:
        yield Fact("Holds", GOOD, f"{len(holds)} in force: what they name is kept", page="retention")


def _policies(status: Mapping[str, Any]) -> Iterator[Fact]:
    for policy in status["policies"]:
        if policy["problem"]:
            yield Fact(
                f"Policy {policy['kind']}", BAD, policy["problem"], "`muniment policy check` names the place", ""
            )


def _controls(context: CommandContext, tenant: str) -> Iterator[Fact]:
    """Nothing where the controls in force are those shipped, or nobody may read them; what is wrong with them stands above."""
    if not context.access.decide(context.principal, Action.POLICY_READ, tenant).allowed:
        return
    try:
        found = adoption_of(context.control)
    except PolicyError:
        return
    if found.waits:
        advice = (
            "`muniment evidence controls` shows which, `muniment evidence adopt` takes them over and keeps your own"
        )
        yield Fact("Controls", UNKNOWN, found.summary(), advice, "evidence")


def _ago(context: CommandContext, at: int) -> str:
    """A duration that people read at a glance."""
    seconds = max(0, (context.clock() - at) // NANOS_PER_SECOND)
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = seconds // unit
            return f"{count:,} {name}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
