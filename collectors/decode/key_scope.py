"""What a scoped key may send.

A key scoped to an agent may send only what names that agent, or names none (then the agent id is filled in). A record's agent
id decides; its agent name only where it has no id. A key scoped to event names may send only log records whose event name matches one of its patterns; a record without
a name matches none. Event names do not restrict spans and metrics.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collectors.decode.refusals import Checks, Reason
from collectors.decode.texts import Flags, Ints, repeated, when
from collectors.exports import Export


def scoped_agents(exports: Sequence[Export], export_of: Ints) -> pa.StringArray | None:
    """The agent that each record's key is scoped to; None where no key of the group is."""
    agents = [export.sender.agent for export in exports]
    return None if not any(agents) else pa.array(agents, pa.string()).take(pa.array(export_of))


def apply_agent_scope(
    scope: pa.StringArray, checks: Checks, columns: dict[str, pa.Array], actors: pa.StringArray | None = None
) -> None:
    """Refuse records that name another agent and fill `agent_id` where none is named.

    `actors` are the ids of actors that are agents, or may be: they name an agent too.
    """
    rows = len(scope)
    agent_id, agent_name = (columns.get(name, repeated(None, rows)) for name in ("agent_id", "agent_name"))
    matches = pc.if_else(pc.is_valid(agent_id), _equal(agent_id, scope), _equal(agent_name, scope))
    named = pc.or_(pc.is_valid(agent_id), pc.is_valid(agent_name))
    wrong = pc.and_(named, pc.invert(matches))
    if actors is not None:
        wrong = pc.or_(wrong, pc.and_(pc.is_valid(actors), pc.invert(_equal(actors, scope))))
    wrong = pc.and_(wrong, pc.is_valid(scope))
    checks.mark(wrong.to_numpy(zero_copy_only=False), Reason.OUT_OF_SCOPE)
    columns["agent_id"] = pc.coalesce(agent_id, when(pc.invert(named), scope))


def _equal(left: pa.StringArray, right: pa.StringArray) -> pa.BooleanArray:
    return pc.equal(left, right).fill_null(False)


def apply_event_scope(exports: Sequence[Export], export_of: Ints, checks: Checks, names: pa.StringArray) -> Flags:
    """Refuse log records outside their key's event patterns; returns which records such a key may send."""
    patterns = [export.sender.event_patterns for export in exports]
    scoped = np.zeros(len(export_of), np.bool_)
    for wanted in {entry for entry in patterns if entry is not None}:
        rows = np.isin(export_of, [number for number, entry in enumerate(patterns) if entry == wanted])
        distinct = pc.unique(names).to_pylist()
        fitting = [name for name in distinct if name and any(fnmatchcase(name, pattern) for pattern in wanted)]
        matches = pc.is_in(names, pa.array(fitting, pa.string())).to_numpy(zero_copy_only=False)
        checks.mark(rows & ~matches, Reason.OUT_OF_SCOPE)
        scoped |= rows & matches
    return scoped
