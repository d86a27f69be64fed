"""The whole story of what somebody typed into the search box, as a principal may see it: decided, read, recorded, then told.

Invariants:
- A person's name or address is turned into their token by the vault and goes no further: neither what comes back, nor the record of
  the search, nor a message holds it. Turning it takes the right to reveal.
- The search is on record, as `record.viewed`, before anything of it is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from governance.access import Action
from muniment.proving import public_keys
from muniment.story_cases import Cases, read_cases
from muniment.story_erasures import running_erasures
from muniment.wiring import CommandContext
from warehouse.errors import MunimentError
from warehouse.names import LAKE_TENANT
from warehouse.query.limits import ReadLimits
from warehouse.questions.proof import list_logs
from warehouse.questions.seals import MOST_SEALS, Place, Seal, check_seals, read_sealed_rows
from warehouse.questions.sought import Kind, Sought, classify
from warehouse.questions.story import CONTENTS, STORY_TABLES, Bounds, StoryRecords, read_story
from warehouse.questions.story_lines import Entry, Story, record_lines

RecordView = Callable[[str, str, str | None, Mapping[str, object]], None]
"""`record_view(tenant, kind, what, attributes)` records that a story was looked at, or raises."""


@dataclass(frozen=True)
class _Person:
    """The token that a text stands for, None where none; what is to be said of it; whether a name was turned into it."""

    token: str | None = None
    note: str = ""
    by_value: bool = False


def tell_story(
    context: CommandContext,
    tenant: str,
    text: str,
    *,
    bounds: Bounds | None = None,
    record_view: RecordView | None = None,
) -> Story:
    """Everything that belongs to a person, ticket, conversation, approval, trace or record of a tenant, in order of time.

    Raises:
        DeniedError: the principal may not read the tenant's records, or gave a person's name and may not reveal persons.
        InputError: the text is no question.
        NotFoundError: there is no such tenant.
        UnavailableError: the lake cannot be read, or the search cannot be recorded: nothing is told then.
    """
    bounds = bounds or Bounds()
    context.check(Action.RECORDS_READ, tenant)
    if tenant != LAKE_TENANT:
        context.control.tenant(tenant)
    sought = classify(text)
    person = _find_person(context, tenant, sought)
    running = running_erasures(context, tenant, person.token)
    limits = context.access.limits(context.principal, [tenant])
    now = context.clock()
    tables = (*STORY_TABLES, CONTENTS) if _may_read_contents(context, tenant, limits) else STORY_TABLES
    with context.session([tenant], tables=tables, limits=limits) as session:
        found = read_story(session, sought, bounds, token=person.token, now=now, also=running.ids)
    places = [(row.source, row.shard, row.log_index) for row in reversed(found.rows) if row.part is None][:MOST_SEALS]
    # Commitments are made of whole rows, whoever looks: of these rows only whether the seal holds is told.
    with context.session([tenant], tables=STORY_TABLES) as session:
        whole = read_sealed_rows(session, places)
        cases = read_cases(context, session, tenant, sought, person.token, found, whole, running)
    lines = sorted(
        [*record_lines(found.rows, _seals(context, tenant, whole)), *cases.lines], key=lambda line: line.time_unix_nano
    )
    address = person.token or (sought.text if lines and sought.may_be_kept else "")
    story = Story(
        tenant,
        address,
        tuple(kind for kind in sought.kinds if kind in found.sought or kind is Kind.PERSON),
        (*found.kinds, *_found_by_cases(sought, found, cases)),
        tuple(lines),
        now,
        found.runs,
        person.token,
        may_reveal=person.token is not None and _may(context, Action.SUBJECT_REVEAL, tenant),
        notes=tuple(_notes(context, tenant, sought, person, limits, found, cases)),
        texts_from=found.texts_from,
        again=sought.text if found.texts_from is not None and sought.may_be_kept else "",
    )
    (record_view or _recorder(context))(tenant, "story", address or None, _attributes(story, by_value=person.by_value))
    return story


def _find_person(context: CommandContext, tenant: str, sought: Sought) -> _Person:
    """Whose token is meant; a name is looked up only for those who may reveal, and makes no token where there is none."""
    if Kind.PERSON not in sought.kinds:
        return _Person()
    if sought.is_token:
        return _Person(sought.text)
    if tenant == LAKE_TENANT:
        return _Person(note="the lake's own log is about no persons")
    if sought.only_person:
        context.check(Action.SUBJECT_REVEAL, tenant)
    elif not _may(context, Action.SUBJECT_REVEAL, tenant):
        return _Person(note="not looked for as a person's name: that takes the right subject.reveal")
    try:
        token = context.vault.find(tenant, sought.text)
    except MunimentError:
        if sought.only_person:
            raise
        return _Person(note="not looked for as a person's name: the vault does not answer")
    if token is not None:
        context.check(Action.SUBJECT_REVEAL, tenant)
    return _Person(token, by_value=token is not None)


def _may(context: CommandContext, action: Action, tenant: str) -> bool:
    return context.access.decide(context.principal, action, tenant).allowed


def _may_read_contents(context: CommandContext, tenant: str, limits: ReadLimits) -> bool:
    return CONTENTS in limits.columns and bool(context.allowed(Action.CONTENTS_READ, [tenant]))


def _seals(context: CommandContext, tenant: str, whole: dict[str, pa.Table]) -> dict[Place, tuple[Seal, str]]:
    if not whole:
        return {}
    logs = {log.shard: log for log in list_logs(context.lake, tenant)}
    return check_seals(logs, whole, [key.vkey for key in public_keys(context, tenant)])


def _found_by_cases(sought: Sought, found: StoryRecords, cases: Cases) -> tuple[Kind, ...]:
    """A record that is gone is found by its certificate alone."""
    gone = any(line.entry is Entry.CERTIFICATE for line in cases.lines)
    return (Kind.RECORD,) if gone and sought.index is not None and not found.rows else ()


def _notes(
    context: CommandContext,
    tenant: str,
    sought: Sought,
    person: _Person,
    limits: ReadLimits,
    found: StoryRecords,
    cases: Cases,
) -> list[str]:
    """What was left away, may not be shown, or is not there though it should be."""
    notes = [*found.cut, *([person.note] if person.note else []), *cases.notes]
    columns = limits.columns.get("audit_events", ())
    if person.token is not None and "subject_id" not in columns:
        notes.append("your role does not see whom records are about: a person's records cannot be found with it")
    if "attributes" not in columns:
        notes.append("your role sees no texts and no contents: what only they say was not searched, and is not shown")
    notes += _absent(context, tenant, sought, found, cases)
    unchecked = sum(row.part is None for row in found.rows) - MOST_SEALS
    if unchecked > 0:
        notes.append(f"the seals of the newest {MOST_SEALS} records were checked; `muniment verify` checks all")
    if sought.only_person and person.token is None:
        notes.append(
            "the vault of this tenant knows no such person, or their key was destroyed: what was erased of somebody is found by the id of the erasure"
        )
    return notes


def _absent(context: CommandContext, tenant: str, sought: Sought, found: StoryRecords, cases: Cases) -> list[str]:
    """A number that the signed log has and no table: what nobody certified as deleted is missing."""
    if (
        sought.index is None
        or Kind.RECORD in found.kinds
        or any(line.entry is Entry.CERTIFICATE for line in cases.lines)
    ):
        return []
    return [
        f"record number {log.shard}/{sought.index} is in the signed log and in no table that you may see, and no certificate "
        "that you may see says that it was deleted: `muniment verify` tells whether it is missing"
        for log in list_logs(context.lake, tenant)
        if sought.index < log.checkpoint.size and sought.shard in {None, log.shard, log.name}
    ]


def _attributes(story: Story, *, by_value: bool) -> dict[str, object]:
    said = {
        "muniment.search.found_as": [kind.value for kind in story.found],
        "muniment.search.lines": len(story.lines),
        "muniment.search.by_value": by_value,
    }
    return {name: value for name, value in said.items() if value}


def _recorder(context: CommandContext) -> RecordView:
    def record(tenant: str, kind: str, what: str | None, attributes: Mapping[str, object]) -> None:
        context.record(
            "record.viewed", tenant, action="search", resource_type=kind, resource_id=what, attributes=attributes
        )

    return record


def nothing_found(story: Story) -> str:
    """What is said of a story without lines: what was looked for, and where."""
    return (
        f"nothing found in tenant {story.tenant}: looked for it as {', '.join(story.sought)} in runs, events, logs, incidents, "
        "holds and certificates; see that spelling, time and tenant are right"
    )
