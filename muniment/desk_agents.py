"""Which changes of agents were approved, as the page about agents shows it.

Invariant: whether a change was approved is what the control `CC8.1` of SOC 2 that is in force says of it, as in findings and packs.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from governance.controls.evaluating import evaluate
from governance.controls.framework import Control
from muniment.assessing import Period, find_control, find_framework, read_controls
from muniment.wiring import CommandContext
from warehouse.control import AgentRecord
from warehouse.query import QuerySession

CHANGE_TABLES = ("audit_events",)
"""The tables that a session for the changes has to open."""
_FRAMEWORK, _CONTROL = "soc2", "CC8.1"
_SHOWN = (
    "event_name",
    "resource_type",
    "resource_id",
    "changed_by",
    "approval_id",
    "approved_by",
    "shard",
    "log_index",
)


def change_control(context: CommandContext) -> Control:
    """The control in force that says which changes were approved.

    Raises:
        NotFoundError: no control of this id is in force.
    """
    return find_control(find_framework(read_controls(context), _FRAMEWORK), _CONTROL)


def read_changes(session: QuerySession, control: Control, period: Period) -> pa.Table:
    """Every change of prompt, model, tool, agent or release in the period, newest first, and what is wrong with its approval.

    `approved` is true, or false where `exception` says why not.

    Raises:
        QueryError: the viewer may not see what the control asks for, or its query fails.
    """
    found = evaluate(session, control, from_unix_nano=period[0], to_unix_nano=period[1]).population
    kept = found.select([name for name in _SHOWN if name in found.column_names])
    times = pc.cast(pc.divide(found.column("time_unix_nano"), 1_000), pa.timestamp("us"))
    kept = kept.add_column(0, "time", times)
    kept = kept.add_column(1, "approved", pc.fill_null(found.column("ok"), False))
    kept = kept.add_column(2, "exception", found.column("exception"))
    return kept.take(pa.array(range(kept.num_rows - 1, -1, -1), pa.int64()))


def agent_row(each: AgentRecord) -> dict[str, Any]:
    """A registered agent as its page lists it."""
    profile = each.profile
    return {
        "agent": each.id,
        "name": profile.name,
        "state": each.state.value,
        "owner": profile.owner,
        "on call": profile.on_call,
        "purpose": profile.purpose,
        "risk class": profile.risk_class,
        "models": ", ".join(profile.models),
        "providers": ", ".join(profile.providers),
        "tools": ", ".join(profile.tools),
    }
