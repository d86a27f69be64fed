"""The questions of pages whose answers the desk keeps, and how they are asked before anybody looks.

Invariant: an answer is told from the tables that its question needs and no others, so that what comes into another table, as the
record that somebody looks does, does not have it read again.
"""

from dataclasses import dataclass

import pyarrow as pa

from muniment.desk_agents import CHANGE_TABLES, change_control, read_changes
from muniment.desk_answers import Answers
from muniment.wiring import CommandContext
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND
from warehouse.questions.activity import (
    DAILY_EVENT_TABLES,
    RUN_TABLES,
    daily_activity,
    daily_events,
    daily_runs,
    recent_traces,
)
from warehouse.questions.agents import AGENT_TABLES, data_map, seen_agents
from warehouse.questions.audit_events import EVENT_TABLES, EventFilter, event_names, find_events

_HOUR_NANOS = 3_600 * NANOS_PER_SECOND
_FIRST_DAYS, _FIRST_TRACES, _FIRST_AGENT_DAYS = 14, 200, 30
"""What pages ask before anybody chooses something else."""


@dataclass
class LakeAnswers(Answers):
    """The answers about one lake."""

    def activity(self, context: CommandContext, tenant: str, days: int) -> pa.Table:
        """Per day since so many days: records, runs, errors, tokens, cost."""
        first = (context.clock() // NANOS_PER_DAY - days) * NANOS_PER_DAY
        runs = self.ask(
            context, tenant, RUN_TABLES, ("daily runs", first), lambda session: daily_runs(session, first_unix_nano=first)
        )  # fmt: skip
        events = self.ask(
            context, tenant, DAILY_EVENT_TABLES, ("daily events", first), lambda session: daily_events(session, first_unix_nano=first)
        )  # fmt: skip
        return daily_activity(runs, events)

    def traces(self, context: CommandContext, tenant: str, limit: int) -> pa.Table:
        """The newest runs."""
        return self.ask(
            context, tenant, RUN_TABLES, ("traces", limit), lambda session: recent_traces(session, limit=limit)
        )

    def events(self, context: CommandContext, tenant: str, wanted: EventFilter) -> pa.Table:
        """Audit events, newest first."""
        return self.ask(context, tenant, EVENT_TABLES, ("events", wanted), lambda session: find_events(session, wanted))

    def event_names(self, context: CommandContext, tenant: str) -> list[str]:
        """Names of events that the tenant has."""
        return self.ask(context, tenant, EVENT_TABLES, ("event names",), event_names)

    def agents(self, context: CommandContext, tenant: str, days: int) -> pa.Table:
        """Who was seen within so many days, to the hour."""
        first = whole_hour_before(context, days)
        return self.ask(
            context, tenant, AGENT_TABLES, ("agents", first), lambda session: seen_agents(session, first_unix_nano=first)
        )  # fmt: skip

    def data_map(self, context: CommandContext, tenant: str, days: int) -> pa.Table:
        """Which classes of data went through which agents to which providers within so many days, to the hour."""
        first = whole_hour_before(context, days)
        return self.ask(
            context, tenant, AGENT_TABLES, ("data map", first), lambda session: data_map(session, first_unix_nano=first)
        )  # fmt: skip

    def changes(self, context: CommandContext, tenant: str, days: int) -> pa.Table:
        """Changes of agents with their approvals within so many days, by the controls in force."""
        control = change_control(context)
        first = whole_hour_before(context, days)
        last = first + days * NANOS_PER_DAY + _HOUR_NANOS  # the end of this hour: the same question until then
        return self.ask(
            context, tenant, CHANGE_TABLES, ("changes", control, first), lambda session: read_changes(session, control, (first, last))
        )  # fmt: skip

    def prepare(self, context: CommandContext, tenant: str, until_unix_nano: int) -> None:
        """Ask what pages ask first, for the principal of `context`; begin no question at or after that instant.

        Raises:
            MunimentError: as the questions.
        """
        questions = (
            lambda: self.activity(context, tenant, _FIRST_DAYS),
            lambda: self.agents(context, tenant, _FIRST_AGENT_DAYS),
            lambda: self.data_map(context, tenant, _FIRST_AGENT_DAYS),
            lambda: self.traces(context, tenant, _FIRST_TRACES),
            lambda: self.event_names(context, tenant),
            lambda: self.events(context, tenant, EventFilter()),
        )
        for ask in questions:
            if context.clock() >= until_unix_nano:
                return
            ask()


def whole_hour_before(context: CommandContext, days: int) -> int:
    """The whole hour so many days ago, nanoseconds since 1970: a period that stays the same for an hour, as its answer does."""
    return context.clock() // _HOUR_NANOS * _HOUR_NANOS - days * NANOS_PER_DAY
