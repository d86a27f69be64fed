"""What a principal asks about retention: what is due, and what applies to a record. Nothing here deletes anything."""

from dataclasses import dataclass

import pyarrow as pa

from governance.access import Action
from muniment.wiring import CommandContext
from retention.explanation import Explanation, Times, explain
from retention.holding import Holding, HoldsInForce
from retention.holds import holds_of
from retention.plan import Plan, plan
from retention.policy import AUDIT_TABLE, EVERY, OWNER_TABLES, RETAINED_TABLES, RetentionPolicy
from retention.policy_compiler import KIND, compile_policy, default_policy
from retention.remembered import Remembered
from retention.snapshot import read_snapshot
from warehouse.control import ControlStore
from warehouse.errors import InputError, NotFoundError
from warehouse.names import LAKE_TENANT
from warehouse.policies import in_force
from warehouse.tables import DATA_CLASSES, TABLES

_SHARD_PLACE = -9
"""Characters of an identity that follow a shard's name: a hyphen and eight hex digits."""


@dataclass(frozen=True)
class KindOfRecord:
    """What a question about no certain record says about it."""

    table: str
    tenant: str | None = None
    data_class: str | None = None
    event_name: str | None = None
    agent: str | None = None


def read_retention_policy(control: ControlStore) -> RetentionPolicy:
    """The retention policy in force; the package's own where none was ever applied.

    Raises:
        PolicyError: what is in force cannot be used by this version.
        CorruptionError: what is stored is not what was applied.
        ControlUnavailableError: the control database does not answer.
    """
    found = in_force(control, KIND)
    return default_policy() if found is None else compile_policy(found.bundle)


def read_holds(control: ControlStore) -> Holding:
    """The holds in force.

    Raises:
        CorruptionError: nobody can tell what one of them keeps.
        ControlUnavailableError: the control database does not answer.
    """
    return HoldsInForce(holds_of(control.list_holds()))


def make_plan(
    context: CommandContext, tenant: str | None, *, remembered: Remembered | None = None, ahead_nanos: int = 0
) -> Plan:
    """What is due now, of a tenant or of all; `remembered` is what earlier plans of this lake have read.

    With `ahead_nanos` it is what will be due so much later of the records that are there now, under the rules and holds of now: to be
    shown, and never to be carried out.

    Raises:
        DeniedError: the principal may not plan.
        NotFoundError: there is no such tenant.
        UnavailableError: the lake cannot be read.
    """
    context.check(Action.RETENTION_PLAN, tenant)
    check_tenant(context, tenant)
    policy, holds = read_retention_policy(context.control), read_holds(context.control)
    now = context.clock() + ahead_nanos
    tenants = None if tenant is None else [tenant]
    snapshot = read_snapshot(context.lake, policy, holds, now, tenants=tenants, remembered=remembered)
    return plan(snapshot, policy, holds, now, tenant=tenant)


def explain_kind(context: CommandContext, kind: KindOfRecord) -> Explanation:
    """What applies to records of a kind.

    Raises:
        DeniedError: the principal may not plan.
        InputError: a table or class that there is not.
        NotFoundError: there is no such tenant.
    """
    context.check(Action.RETENTION_PLAN, kind.tenant)
    check_tenant(context, kind.tenant)
    for what, word, known in (("table", kind.table, RETAINED_TABLES), ("class", kind.data_class, DATA_CLASSES)):
        if word is not None and word not in known:
            raise InputError(f"{what}: expected {', '.join(known)}, got {word!r}")
    policy = read_retention_policy(context.control)
    combination = policy.combination(
        kind.table,
        kind.tenant or EVERY,
        data_class=kind.data_class,
        event_name=kind.event_name,
        agent=kind.agent,
    )
    return explain(policy, combination)


def explain_record(context: CommandContext, tenant: str, table: str, index: int, shard: str | None) -> Explanation:
    """What applies to one record; recorded as `record.viewed` in its tenant's log, as its times, class, event and agent are read.

    Raises:
        DeniedError: the principal may not plan, or not read the tenant's records.
        InputError: a table whose records have no log index, or several logs that hold this one.
        NotFoundError: no such tenant or record.
        UnavailableError: the lake cannot be read, or the reading cannot be recorded.
    """
    context.check(Action.RETENTION_PLAN, tenant)
    context.check(Action.RECORDS_READ, tenant)
    check_tenant(context, tenant)
    if table not in OWNER_TABLES:
        raise InputError(
            f"table: expected one whose records have a log index ({', '.join(OWNER_TABLES)}), got {table!r}",
            hint="without --index, `muniment retention show --table T` explains what applies to a kind of record",
        )
    policy, holds = read_retention_policy(context.control), read_holds(context.control)
    row = _find_row(context, tenant, table, index, shard, holds.columns(table, tenant))
    context.record("record.viewed", tenant, action="retention", resource_type=table, resource_id=f"{row.shard}/{index}")
    agent = row.text("actor_id") if table == AUDIT_TABLE else row.text("agent_id")
    if table == AUDIT_TABLE and row.text("actor_type") != "agent":
        agent = None
    combination = policy.combination(
        table, tenant, data_class=row.text("data_class"), event_name=row.text("event_name"), agent=agent
    )
    received = row.number("received_unix_nano") or 0
    own = row.number("time_unix_nano")
    kept = holds.kept_families(table, tenant, row.columns, TABLES["contents"].file_schema.empty_table())
    return explain(
        policy,
        combination,
        times=Times(received if own is None else own, received),
        holds=[hold for hold, (records, _) in kept.items() if records.any()],
    )


def check_tenant(context: CommandContext, tenant: str | None) -> None:
    """Refuse a tenant that does not exist: nothing due would look like an answer.

    Raises:
        NotFoundError: it does not.
    """
    if tenant not in {None, LAKE_TENANT}:
        context.control.tenant(str(tenant))


@dataclass(frozen=True)
class _Row:
    columns: pa.Table

    @property
    def shard(self) -> str:
        return str(self.columns.column("shard")[0].as_py())

    def text(self, name: str) -> str | None:
        value = self.columns.column(name)[0].as_py() if name in self.columns.column_names else None
        return None if value is None else str(value)

    def number(self, name: str) -> int | None:
        value = self.columns.column(name)[0].as_py()
        return None if value is None else int(value)


def _find_row(
    context: CommandContext, tenant: str, table: str, index: int, shard: str | None, more: tuple[str, ...]
) -> _Row:
    names = ["shard", "log_index", "time_unix_nano", "received_unix_nano", "data_class"]
    names += {"spans": ["agent_id"], AUDIT_TABLE: ["event_name", "actor_id", "actor_type"], "logs": ["event_name"]}[
        table
    ]
    columns = ", ".join(dict.fromkeys([*names, *more]))
    with context.session([tenant], tables=[table]) as session:
        found = session.run_trusted(
            f"select {columns} from {table} where tenant_id = ? and log_index = ? order by shard",  # noqa: S608 - the tables' own names
            [tenant, index],
        )
    shards = found.column("shard").to_pylist()
    places = [at for at, each in enumerate(shards) if shard in {None, each, each[:_SHARD_PLACE]}]
    if not places:
        raise NotFoundError(
            f"{table}: no record of tenant {tenant} at index {index}" + ("" if shard is None else f" of shard {shard}"),
            hint='`muniment sql "select shard, log_index from spans"` lists the places of records',
        )
    if len(places) > 1:
        raise InputError(
            f"{table}: index {index} of tenant {tenant} stands in several logs: {', '.join(shards[at] for at in places)}",
            hint="name one with --shard",
        )
    return _Row(found.slice(places[0], 1))
