"""What the lake knows of itself now, as rows that incident rules ask: the view `lake_state`, a row a fact and subject.

Facts of a tenant (in a session of its own):
    checkpoint_age_seconds     subject: a shard; since its log was signed last
    checkpoint_behind_records  subject: a shard; records that are readable and above what its checkpoint signs
    purge_age_seconds          subject: the tenant; since its last certificate of a retention purge, or since it was added
    purge_overdue_files        subject: a table; files with rows that were due 50 hours ago and are there still
    purge_unfinished_seconds   subject: a purge; since it was begun, where it has no certificate yet
    key_age_seconds            subject: an API key that works; since it was made
    key_revoked                subject: an API key; when it was revoked
    ingest_age_seconds         subject: principal and service; since it sent anything, of those that did in the last 30 days
    sequence_missing           subject: principal, service and stream; events that its numbers skip, of the last 7 days
Facts of the lake (in a session of `_lake`):
    commit_waiting_seconds     subject: a shard; since its oldest closed segment waits for its commit
    witness_age_seconds        subject: a witness; since it cosigned last
    witness_logs_behind        subject: a witness; logs of `_lake` of which it has not the newest checkpoint
    policy_folder_differs      subject: a kind of policy; its folder is not what is in force

`time_unix_nano` is when what the fact tells of happened, `value` a number in the unit that its name says.
"""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pyarrow as pa

from muniment.overdue import find_overdue
from muniment.policies import policy_status
from muniment.wiring import CommandContext
from muniment.witness_rounds import witness_status
from pipelines.incidents.columns import LAKE_STATE_SCHEMA
from retention.documents import Documents
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND, utc_date
from warehouse.journal import list_segments
from warehouse.ledger.certificates import PurgeCertificate
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.names import LAKE_TENANT
from warehouse.policies import PolicyError

Fact = dict[str, Any]
_TABLES = ("audit_events", "logs", "spans")
_OVERDUE_HOURS = 50
_SENDER_DAYS = 30
_SEQUENCE_DAYS = 7


def lake_state(context: CommandContext, tenant: str, now_unix_nano: int) -> pa.Table:
    """The facts of a tenant, or of the lake itself for `_lake`.

    Raises:
        UnavailableError: the lake or the control database cannot be read.
    """
    facts = [*_purges(context, tenant, now_unix_nano), *_from_records(context, tenant, now_unix_nano)]
    if tenant == LAKE_TENANT:
        facts += [*_journals(context, now_unix_nano), *_witnesses(context, now_unix_nano), *_policies(context)]
    else:
        facts += _keys(context, tenant, now_unix_nano)
    return pa.Table.from_pylist(facts, schema=LAKE_STATE_SCHEMA)


def _fact(fact: str, subject: str, unix_nano: int, value: float, detail: str) -> Fact:
    return {"fact": fact, "subject": subject, "time_unix_nano": unix_nano, "value": float(value), "detail": detail}


def _age(fact: str, subject: str, since: int, now: int, detail: str) -> Fact:
    # clocks of files and of this process may differ by a moment
    return _fact(fact, subject, since, max(0, now - since) / NANOS_PER_SECOND, detail)


def _purges(context: CommandContext, tenant: str, now: int) -> Iterator[Fact]:
    stored = list(Documents(context.lake, context.settings.lake).read())
    mine = [each.document for each in stored if each.document.details.get("tenant") == tenant]
    ended = {document.intent_sha256 for document in mine if isinstance(document, PurgeCertificate)}
    scheduled = [
        int(document.time_unix_nano)
        for document in mine
        if isinstance(document, PurgeCertificate) and document.details.get("kind") == "retention"
    ]
    created = (
        (context.lake.keys / "lake.json").stat().st_mtime_ns
        if tenant == LAKE_TENANT
        else context.control.tenant(tenant).created_unix_nano
    )
    last = max(scheduled, default=created)
    what = "the last purge by retention" if scheduled else "it was added, and never purged"
    yield _age("purge_age_seconds", tenant, last, now, f"since {what}")
    yield from _overdue(context, tenant, now)
    for each in stored:
        document = each.document
        if document in mine and not isinstance(document, PurgeCertificate) and each.sha256 not in ended:
            begun = int(document.time_unix_nano)
            yield _age("purge_unfinished_seconds", document.purge_id, begun, now, "begun and not finished")


def _overdue(context: CommandContext, tenant: str, now: int) -> Iterator[Fact]:
    """Two daily runs that were left out in a row are one too many; what a rule or a hold set free only since then is not late."""
    try:
        found = find_overdue(context, tenant, now - _OVERDUE_HOURS * 3600 * NANOS_PER_SECOND)
    except PolicyError as exc:
        yield _fact("purge_overdue_files", "all", now, 1, f"what is due cannot be told: {exc}")
        return
    for each in found:
        if not each.expected:
            yield _fact("purge_overdue_files", each.table, now, each.files, f"from {each.first_day} on: {each.why}")


def _from_records(context: CommandContext, tenant: str, now: int) -> Iterator[Fact]:
    """What only the records tell: who sends, what their numbers skip, and whether the logs are signed up to the last one."""
    sql = files("muniment").joinpath("lake_facts.sql").read_text(encoding="utf8")
    senders, gaps, sizes = sql.split(";")[:3]
    given = {
        "senders_from": utc_date(now - _SENDER_DAYS * NANOS_PER_DAY),
        "sequence_from": utc_date(now - _SEQUENCE_DAYS * NANOS_PER_DAY),
    }
    with context.session([tenant], tables=_TABLES) as session:
        sent = session.run_trusted(senders, {"from": given["senders_from"]}).to_pylist()
        skipped = session.run_trusted(gaps, {"from": given["sequence_from"]}).to_pylist()
        heads = {row["shard"]: row["size"] for row in session.run_trusted(sizes).to_pylist()}
    for row in sent:
        yield _age("ingest_age_seconds", row["subject"], row["last"], now, "since it sent anything")
    for row in skipped:
        detail = f"{row['missing']} of {row['expected']} numbers did not arrive"
        yield _fact("sequence_missing", row["subject"], row["last"], row["missing"], detail)
    for file in sorted((context.lake.path / "ledger" / tenant).glob(f"*/{CHECKPOINT_FILE}")):
        shard, signed, size = file.parent.name, file.stat().st_mtime_ns, read_unverified(file.read_bytes()).size
        yield _age("checkpoint_age_seconds", shard, signed, now, "since its log was signed last")
        behind = max(0, heads.pop(shard, 0) - size)
        yield _fact("checkpoint_behind_records", shard, signed, behind, f"{behind} records above what is signed")
    for shard, size in sorted(heads.items()):
        yield _fact("checkpoint_behind_records", shard, now, size, f"{size} records and no checkpoint")


def _keys(context: CommandContext, tenant: str, now: int) -> Iterator[Fact]:
    for key in context.control.list_keys(tenant):
        if key.revoked_unix_nano is not None:
            yield _age("key_revoked", key.key_id, key.revoked_unix_nano, now, "since it was revoked")
        elif key.state_at(now).works:
            yield _age("key_age_seconds", key.key_id, key.created_unix_nano, now, "since it was made")


def _journals(context: CommandContext, now: int) -> Iterator[Fact]:
    for folder in sorted(context.lake.journal.glob("*/")):
        # the newest segment is being written; those before it are closed
        for _, file in list_segments(folder)[:-1][:1]:
            try:
                closed = file.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # committed meanwhile
            yield _age(
                "commit_waiting_seconds", folder.name, closed, now, "since a closed segment waits for its commit"
            )


def _witnesses(context: CommandContext, now: int) -> Iterator[Fact]:
    for witness in witness_status(context.lake, context.settings):
        last = witness.last_cosigned_unix_nano or (context.lake.keys / "lake.json").stat().st_mtime_ns
        yield _age("witness_age_seconds", witness.name, last, now, "since it cosigned last, or since the lake was made")
        detail = f"{witness.logs_behind} of {witness.logs} logs without its newest cosignature"
        yield _fact("witness_logs_behind", witness.name, last, witness.logs_behind, detail)


def _policies(context: CommandContext) -> Iterator[Fact]:
    for policy in policy_status(context.lake, context.control):
        if policy["folder_differs"]:
            folder = context.lake.policies / policy["kind"]
            changed = max(
                (file.stat().st_mtime_ns for file in [folder, *folder.glob("*.yaml")] if file.exists()), default=0
            )
            yield _fact("policy_folder_differs", policy["kind"], changed, 1, "its files are not what is in force")
