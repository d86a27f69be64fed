"""Whether everything is all right with a tenant's records: one fact a question, told from what the lake already knows.

`good`, `bad` and `unknown` are three answers: what nobody has established is never shown as good.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashboards.desk import Fact
from governance.access import Action
from muniment.adopting import what_waits
from muniment.certificates import list_documents
from muniment.incident_handling import list_incidents
from muniment.lacking import BESIDE, NUMBERED, find_lack
from muniment.lake_status import read_status
from muniment.policy_kinds import CONTROLS, KINDS
from muniment.proving import LogState, log_states, promised_records
from muniment.recorder import SELF_SHARD
from muniment.slos import slo_figures
from muniment.wiring import CommandContext
from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.control import IncidentState
from warehouse.errors import DeniedError
from warehouse.names import LAKE_TENANT

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
_SERIOUS = {"critical", "high"}
_NAMED = 5
_LATE_SECONDS = 26 * 3600
_STALE_WITNESS_SECONDS = 3600
_STALE_RULES_SECONDS = 3600
_CONNECT = "have the operator connect an agent: docs/connect shows how"
_DAILY = "have the operator run `muniment up`, which carries it out every day"


def facts(context: CommandContext, tenant: str) -> list[Fact]:
    """What stands well and what does not, worst first."""
    promised = promised_records(context, tenant)  # before the tables, which then hold at least as many
    status = read_status(context, senders=False, tenant=tenant)
    logs = log_states(context, tenant)
    # words of what is wrong may name other tenants
    whole = context.access.decide(context.principal, Action.STATUS_READ).allowed
    order = {BAD: 0, UNKNOWN: 1, GOOD: 2}
    found = [
        *_sealed(context, logs),
        *_verified(status),
        *_witnessed(context, status),
        *_ingest(status, tenant, logs, whole=whole),
        *_lacking(context, status, tenant, promised),
    ]
    found += [*_incidents(context, tenant), *_objectives(context, tenant)]
    found += [
        *_retention(context, status, tenant),
        *_holds(context, tenant),
        *_policies(status, whole=whole),
        *_shipped(context, tenant),
    ]
    return sorted(found, key=lambda fact: order[fact.state])


def _sealed(context: CommandContext, logs: Sequence[LogState]) -> Iterator[Fact]:
    broken = [log for log in logs if log.problem or not log.signed_by]
    if broken:
        why = broken[0].problem or "its newest seal is not signed by a key of this lake"
        said = f"{len(broken)} of {len(logs)} logs cannot be relied on: {broken[0].origin}: {why}"
        advice = "keep what there is as it is, and have the operator run `muniment verify`, which names every record concerned"
        yield Fact("Seal", BAD, said, advice, "integrity")
    elif logs:
        newest = max(log.grown_unix_nano for log in logs)
        count = sum(log.size for log in logs)
        said = f"{count:,} record numbers are sealed; the newest was given {_ago(context, newest)} ago"
        yield Fact("Seal", GOOD, said, page="integrity")
    else:
        yield Fact("Seal", UNKNOWN, "no record has been sealed yet", _CONNECT, "integrity")


def _verified(status: Mapping[str, Any]) -> Iterator[Fact]:
    schedules = status["schedules"]
    advice = "have the operator run `muniment verify`, or `muniment up`, which verifies every hour"
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
            f"every record fits its seal: checked {_moment(last['asked_unix_nano'])}",
            page="integrity",
        )
    elif last["status"] == "failure":
        yield Fact(
            "Verification",
            BAD,
            "the last verification found something or could not run",
            "have the operator run `muniment verify`: it names what",
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
            "have the operator add one: docs/how-to/witness.md shows how",
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


def _ingest(status: Mapping[str, Any], tenant: str, logs: Sequence[LogState], *, whole: bool) -> Iterator[Fact]:
    running = [each for each in status["collectors"] if each.get("ok")]
    tables = [row for row in status["tables"] if row["tenant_id"] == tenant]
    newest = max((row["newest_unix_nano"] for row in tables), default=0)
    counts = {row["table"]: row["rows"] for row in tables if row["rows"]}
    own = all(f"/{SELF_SHARD}" in log.origin for log in logs)  # what people and Muniment itself did here, and no agent
    if tenant != LAKE_TENANT and (own or not counts):
        said = "no agent has sent anything for this tenant yet" + (
            "; what people did here is on record" if counts else ""
        )
        yield Fact("Records", UNKNOWN, said, _CONNECT)
    else:
        sealed = sum(counts.get(table, 0) for table in NUMBERED)
        parts = ", ".join(f"{counts[table]:,} {words}" for table, words in NUMBERED.items() if table in counts)
        more = " and ".join(f"{counts[table]:,} {words}" for table, words in BESIDE.items() if table in counts)
        said = f"{sealed:,} records ({parts}){f', with {more}' if more else ''}; the newest is from {_moment(newest)}"
        yield Fact("Records", GOOD, said)
    if not running:
        yield Fact(
            "Collector",
            UNKNOWN,
            "no collector runs on this machine now, so nothing new can come in",
            "have the operator start one: `muniment up`",
            "integrity",
        )
    problems = [problem for each in running for problem in each.get("problems", ())]
    if problems:
        said = problems[0] if whole else "it reports a problem"
        advice = "`muniment status` shows all" if whole else "ask whoever runs this lake"
        yield Fact("Collector", BAD, said, advice, "integrity")
    elif running:
        yield Fact("Collector", GOOD, f"{len(running)} listening", page="integrity")


def _lacking(context: CommandContext, status: Mapping[str, Any], tenant: str, promised: int) -> Iterator[Fact]:
    rows = {row["table"]: row["rows"] for row in status["tables"] if row["tenant_id"] == tenant}
    if lack := find_lack(context, tenant, promised, rows):
        advice = (
            "keep everything as it is, and have the operator run `muniment verify`, which names every record concerned; "
            "docs/backup.md says what a backup can bring back"
        )
        yield Fact("Tables", BAD if lack.certain else UNKNOWN, lack.said, advice, "integrity")


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
        yield Fact("Incidents", BAD, said, "open each, acknowledge it, and say what is done about it", "incidents")
        return
    looked = max((each.evaluated_unix_nano for each in context.control.rule_progress(tenant).values()), default=0)
    advice = "have the operator run `muniment up`, which looks every minute, or `muniment incident detect` once"
    if not looked:
        yield Fact("Incidents", UNKNOWN, "no rule has looked for any yet", advice, "incidents")
    elif context.clock() - looked > _STALE_RULES_SECONDS * NANOS_PER_SECOND:
        said = f"{len(running) or 'none'} open, but no rule has looked for {_ago(context, looked)}"
        yield Fact("Incidents", UNKNOWN, said, advice, "incidents")
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
        yield Fact("SLOs", BAD, said, "look which runs made it worse, and who answers for the agent", "slos")
    elif kept:
        said = f"{kept} of {len(figures)} are kept; the others have too few events, or nothing was measured"
        yield Fact("SLOs", GOOD if kept == len(figures) else UNKNOWN, said, page="slos")
    else:
        advice = "have the operator run `muniment up`, which computes them every minute"
        yield Fact("SLOs", UNKNOWN, "none has been measured yet", advice, "slos")


def _retention(context: CommandContext, status: Mapping[str, Any], tenant: str) -> Iterator[Fact]:
    if not context.access.decide(context.principal, Action.RETENTION_PLAN, tenant).allowed:
        return
    open_ones = [each for each in list_documents(context, tenant) if not each.finished]
    if open_ones:
        yield Fact(
            "Deletion",
            BAD,
            f"{len(open_ones)} begun and not finished",
            "have the operator run `muniment retention apply`, which finishes them",
            "retention",
        )
    last = status["last_purge"]["unix_nano"]
    if last:
        late = context.clock() - last > _LATE_SECONDS * NANOS_PER_SECOND
        state, advice = (UNKNOWN, _DAILY) if late else (GOOD, "")
        yield Fact("Retention", state, f"last carried out {_ago(context, last)} ago", advice, "retention")
    else:
        yield Fact("Retention", UNKNOWN, "never carried out yet", _DAILY, "retention")


def _holds(context: CommandContext, tenant: str) -> Iterator[Fact]:
    if tenant == LAKE_TENANT or not context.access.decide(context.principal, Action.HOLD_READ, tenant).allowed:
        return
    holds = context.control.list_holds(tenant)
    if holds:
        yield Fact("Holds", GOOD, f"{len(holds)} in force: what they name is kept", page="retention")


def _policies(status: Mapping[str, Any], *, whole: bool) -> Iterator[Fact]:
    for policy in status["policies"]:
        kind = policy["kind"]
        if policy["problem"]:
            said = policy["problem"] if whole else "something in it cannot be used"
            advice = f"have the operator run `muniment policy check {kind}`, which names the place"
            yield Fact(f"Policy {kind}", BAD, said, advice)
        elif policy["folder_differs"] and policy["hash"] is not None:
            said = "its files were changed on disk, and the change is not in force"
            advice = f"have the operator look at `muniment policy diff {kind}`, and apply it or undo it"
            yield Fact(f"Policy {kind}", UNKNOWN, said, advice)


def _shipped(context: CommandContext, tenant: str) -> Iterator[Fact]:
    """Nothing where what is in force is what this version ships, or nobody may read it; what is wrong with it stands above."""
    if not context.access.decide(context.principal, Action.POLICY_READ, tenant).allowed:
        return
    for kind in KINDS.values():
        said = what_waits(context.control, kind)
        if not said:
            continue
        what, page = ("Controls", "evidence") if kind is CONTROLS else (f"Policy {kind.name}", "")
        advice = f"`muniment policy shipped {kind.name}` shows which"
        if not kind.never_adopted:
            advice += f", `muniment policy adopt {kind.name}` takes them over and keeps your own"
        # what only its owner may take over would nag for ever as something to do
        yield Fact(what, GOOD if kind.never_adopted else UNKNOWN, said, advice, page)


def _moment(at: int) -> str:
    return f"{utc_text(at)[:16].replace('T', ' ')} UTC"


def _ago(context: CommandContext, at: int) -> str:
    """A duration that people read at a glance."""
    seconds = max(0, (context.clock() - at) // NANOS_PER_SECOND)
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = seconds // unit
            return f"{count:,} {name}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
