"""What a story says of erasures: requests that run about a person, and the certificates of those that the story's events name.

Certificates name a person under a nonce, so that nobody can look up who was erased. Invariant: from a token a story reaches an
erasure only through its note beside the vault, which holds the token until the key goes. After that the erasure's id and its
reference lead to its certificates, and the token does not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from governance.access import Action
from muniment.certificates import list_keys
from muniment.erasure_notes import Note, read_notes
from muniment.wiring import CommandContext
from retention.documents import Documents
from warehouse.clock import utc_text
from warehouse.errors import MunimentError
from warehouse.names import LAKE_TENANT
from warehouse.query import QuerySession
from warehouse.questions.story import StoryRow
from warehouse.questions.story_lines import Entry, Line

FAMILY = "erasure."
GONE = (
    "nobody is known under this token: their key was destroyed, or there never was one. What was erased of them cannot be found from "
    "it any more, as is meant: certificates name persons under a nonce. The id of the erasure, or the reference that nonce and name "
    "give, finds them"
)
_ENDED = """
with named as (
    select distinct attributes ->> '$."muniment.subject_ref"' as ref from audit_events
    where starts_with(event_name, 'erasure.') and resource_id in (select unnest($ids::varchar[]))
)
select
    time_unix_nano, attributes ->> '$."muniment.certificate"' as certificate,
    json_extract(attributes, '$."muniment.erasure.certificates"')::varchar[] as certificates
from audit_events
where event_name = 'erasure.completed'
  and (resource_id in (select unnest($ids::varchar[])) or attributes ->> '$."muniment.subject_ref"' in (select ref from named))
order by time_unix_nano
"""


@dataclass(frozen=True)
class Running:
    """Erasures of a person that have not ended, as their notes say, and what else is to be said."""

    notes: tuple[Note, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids, by which their events are found."""
        return tuple(note.id for note in self.notes)


def running_erasures(context: CommandContext, tenant: str, token: str | None) -> Running:
    """Erasures of the person that have not ended, for those who may order them; and that nobody is known under the token."""
    if token is None or tenant == LAKE_TENANT:
        return Running()
    if not context.access.decide(context.principal, Action.SUBJECT_ERASE, tenant).allowed:
        return Running(
            said=("whether an erasure of this person runs is not shown: that takes the right subject.erase",)
        )
    try:
        notes = tuple(note for note in read_notes(context) if (note.tenant, note.token) == (tenant, token))
        known = bool(notes) or token in context.vault.known(tenant, [token])
    except MunimentError as exc:
        return Running(said=(f"whether an erasure of this person runs is not known: {exc}",))
    return Running(notes, () if known else (GONE,))


def erasure_lines(
    context: CommandContext, session: QuerySession, tenant: str, running: Running, rows: Collection[StoryRow]
) -> tuple[list[Line], list[str]]:
    """Lines of requests that run and of certificates, and what could not be shown. The session has no limits."""
    lines = [_line(note, rows, context.clock()) for note in running.notes]
    ids = {row.resource_id for row in rows if (row.name or "").startswith(FAMILY) and row.resource_id} | set(
        running.ids
    )
    if not ids or not context.allowed(Action.RETENTION_PLAN, [tenant]):
        return lines, []
    ended = session.run_trusted(_ENDED, {"ids": sorted(ids)}).to_pylist()
    purges, problems = _purges(context, ended)
    return [*lines, *purges, *_keys(context, tenant, ended)], problems


def _line(note: Note, rows: Collection[StoryRow], now: int) -> Line:
    times = [row.time_unix_nano for row in rows if row.resource_id == note.id and row.time_unix_nano]
    if note.request is not None and note.approved_by is None:
        state = "waits for a second person"
    elif note.kept_since_unix_nano is not None:
        state = (
            f"a hold or a law keeps some of it, since {utc_text(note.kept_since_unix_nano)[:10]}; carried on every day"
        )
    else:
        state = "under way"
    return Line(
        max(times, default=now), Entry.REQUEST, f"erasure {note.id} of this person", note.ordered_by, note.reason, state, link=note.id
    )  # fmt: skip


def _purges(context: CommandContext, ended: Sequence[dict[str, Any]]) -> tuple[list[Line], list[str]]:
    documents = Documents(context.lake, context.settings.lake)
    lines, problems = [], []
    for name in dict.fromkeys(name for row in ended for name in row["certificates"] or ()):
        try:
            signed, _ = documents.find(name)
        except MunimentError as exc:
            problems.append(f"the certificate of an erasure cannot be read: {exc}")
            continue
        document = signed.document
        rows = ", ".join(f"{count:,} {table}" for table, count in sorted(document.details["rows"].items()))
        lines.append(_certificate(document.time_unix_nano, f"erasure certified: {rows}", document, signed.file_sha256))
    return lines, problems


def _keys(context: CommandContext, tenant: str, ended: Sequence[dict[str, Any]]) -> list[Line]:
    wanted = {row["certificate"] for row in ended if row["certificate"]}
    return [
        _certificate(each.document.destroyed_unix_nano, "key destroyed: the token means nobody any more", each.document, each.file.name)
        for each in (list_keys(context, tenant) if wanted else ())
        if each.file.name in wanted
    ]  # fmt: skip


def _certificate(time_unix_nano: str, what: str, document: Any, link: str) -> Line:
    who = document.ordered_by + (f", approved by {document.approved_by}" if document.approved_by else "")
    return Line(int(time_unix_nano), Entry.CERTIFICATE, what, who, link=link)
