"""The checks: what every record of a table should be like, as conditions in SQL.

Plain data. A condition stands on its own line of SQL and holds no value from anywhere; the day and the present are bound as `$day`
and `$now`. NULL counts as unexpected, so a condition says itself where a column may be missing.
"""

from dataclasses import dataclass

from warehouse.catalogue import CATALOGUE
from warehouse.questions.senders import DIALECTS


@dataclass(frozen=True)
class Check:
    """What the records of one table should be like.

    Attributes:
        name: `<table>-<what is right>`.
        table: whose records.
        title: the rule, in words.
        expected: SQL condition that a record as it should be fulfils.
        applies: SQL condition that says which records it is asked of.
        allowed_share: of the records that it is asked of, how many may be otherwise before the check fails.
    """

    name: str
    table: str
    title: str
    expected: str
    applies: str = "true"
    allowed_share: float = 0.0


_TRACE_ID = f"regexp_full_match(trace_id, '[0-9a-f]{{32}}') and trace_id <> '{'0' * 32}'"
_SPAN_ID = f"regexp_full_match(span_id, '[0-9a-f]{{16}}') and span_id <> '{'0' * 16}'"
_IDS_OR_NONE = f"(trace_id is null or {_TRACE_ID}) and (span_id is null or {_SPAN_ID})"
CLOCK_SKEW_NANOS = 300_000_000_000
_NOT_AHEAD = f"time_unix_nano <= received_unix_nano + {CLOCK_SKEW_NANOS}"
MOST_TOKENS = 100_000_000
TOKEN_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")
HAS_TOKENS = " or ".join(f"{name} is not null" for name in TOKEN_COUNTS)
_SANE_TOKENS = " and ".join(f"coalesce({name}, 0) between 0 and {MOST_TOKENS}" for name in TOKEN_COUNTS)
PARENT = """exists (
    select 1 from spans as parent
    where parent.trace_id = rows.trace_id and parent.span_id = rows.parent_span_id
      and parent.day between $day - interval 1 day and $day + interval 1 day
)"""
PARENT_APPLIES = "parent_span_id is not null and received_unix_nano < $now - 3600000000000"
_DIALECT = " or ".join(DIALECTS.values())
_NAMED = ", ".join(f"'{name}'" for name in sorted(CATALOGUE))
CATALOGUED = f"event_name in ({_NAMED})"
SPAN_TEXTS = ("name", "status_message", "attributes", "events", "links", "resource")
EVENT_TEXTS = ("body", "reason", "attributes", "resource")
LOG_TEXTS = ("body", "attributes", "resource")
METRIC_TEXTS = ("name", "description", "attributes", "exemplars", "resource", "envelope")
MAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
# A number of its own, as redaction tells it: what goes on in letters, digits or a point is an id or a fraction, such as
# `call-5136149400003670`, of which one in thousands looks like a card. RE2 cannot look around: what is before it is matched and left
# away by the group, what is joined to its end is in the group, and no card.
_CARD = r"(?:^|[^\w.+-]|\\[nrt]|[^\d.]\.)((?:[3-6]\d{3}|2[2-7]\d{2})(?:[ -]?\d){9,15}(?:-\w+)*)\b"
_HEX_IDS = r'"(?:trace|span)_id":"[0-9a-f]+"'
_WITH_HEX_IDS = frozenset({"links", "exemplars"})
"""Columns that name spans by 16 hex digits, of which one in two thousand has no letter."""
# Luhn's check (ISO/IEC 7812-1, annex B): from the right, every second digit doubled and its digits added
_LUHN = """list_sum(list_transform(range(1, length(digits) + 1), lambda place:
        case when (length(digits) - place) % 2 = 0 then digits[place]::bigint
             when digits[place]::bigint < 5 then digits[place]::bigint * 2
             else digits[place]::bigint * 2 - 9 end)) % 10 = 0"""


def _no_mail(*columns: str) -> str:
    return " and ".join(f"not regexp_matches(coalesce({name}, ''), '{MAIL}')" for name in columns)


def card_shaped(*columns: str) -> str:
    """SQL list of the numbers in some columns that are shaped like a card's, with the separators that they are written with."""
    texts = [f"regexp_replace({name}, '{_HEX_IDS}', '', 'g')" if name in _WITH_HEX_IDS else name for name in columns]
    # the separator is one that a card's number may not hold
    return f"regexp_extract_all(concat_ws(' | ', {', '.join(texts)}), '{_CARD}', 1)"


def _no_card(*columns: str) -> str:
    numbers = f"list_transform({card_shaped(*columns)}, lambda each: regexp_replace(each, '[ -]', '', 'g'))"
    found = f"list_filter({numbers}, lambda digits: regexp_full_match(digits, '[0-9]{{13,19}}'))"
    return f"len(list_filter({found}, lambda digits: {_LUHN})) = 0"


CHECKS: tuple[Check, ...] = (
    Check(
        "spans-ids-well-formed",
        "spans",
        "trace and span ids are 32 and 16 hex digits, not all zero",
        f"{_TRACE_ID} and {_SPAN_ID}",
    ),
    Check(
        "spans-times-ordered",
        "spans",
        "a span does not end before it starts, nor starts over five minutes after it was received",
        f"coalesce(end_unix_nano, time_unix_nano) >= time_unix_nano and {_NOT_AHEAD}",
    ),
    Check(
        "spans-parents-present",
        "spans",
        "the parent that a span names is there an hour after the span came",
        PARENT,
        PARENT_APPLIES,
        0.01,
    ),
    Check(
        "spans-tokens-sane",
        "spans",
        "token counts are between zero and 100 million, and reasoning is no more than output",
        f"{_SANE_TOKENS} and coalesce(reasoning_tokens <= output_tokens, true)",
        HAS_TOKENS,
    ),
    Check("spans-dialect-known", "spans", "a span speaks a dialect that is understood", _DIALECT, allowed_share=0.2),
    Check(
        "spans-no-mail",
        "spans",
        "no e-mail address stands in the clear",
        _no_mail(*SPAN_TEXTS),
    ),
    Check(
        "spans-no-card",
        "spans",
        "no card number stands in the clear",
        _no_card(*SPAN_TEXTS),
    ),
    Check(
        "audit-events-actor-and-outcome",
        "audit_events",
        "an event of the catalogue says who did it and how it ended",
        "length(actor_id) > 0 and length(outcome) > 0",
        CATALOGUED,
    ),
    Check(
        "audit-events-ids-well-formed",
        "audit_events",
        "a trace or span id that an event names is 32 or 16 hex digits, not all zero",
        _IDS_OR_NONE,
    ),
    Check(
        "audit-events-times-ordered",
        "audit_events",
        "an event does not lie over five minutes after it was received",
        _NOT_AHEAD,
    ),
    Check(
        "audit-events-no-mail",
        "audit_events",
        "no e-mail address stands in the clear",
        _no_mail(*EVENT_TEXTS),
    ),
    Check(
        "audit-events-no-card",
        "audit_events",
        "no card number stands in the clear",
        _no_card(*EVENT_TEXTS),
    ),
    Check(
        "logs-ids-well-formed",
        "logs",
        "a trace or span id that a record names is 32 or 16 hex digits, not all zero",
        _IDS_OR_NONE,
    ),
    Check("logs-times-ordered", "logs", "a record does not lie over five minutes after it was received", _NOT_AHEAD),
    Check("logs-no-mail", "logs", "no e-mail address stands in the clear", _no_mail(*LOG_TEXTS)),
    Check("logs-no-card", "logs", "no card number stands in the clear", _no_card(*LOG_TEXTS)),
    Check(
        "contents-owner-known",
        "contents",
        "a part names its owner's table and index",
        "owner_table in ('spans', 'audit_events', 'logs') and owner_index >= 0 and length(part) > 0",
    ),
    Check("contents-no-mail", "contents", "no e-mail address stands in the clear", _no_mail("body")),
    Check("contents-no-card", "contents", "no card number stands in the clear", _no_card("body")),
    Check(
        "metrics-times-ordered",
        "metrics",
        "a point's interval does not end before it starts, nor does it lie over five minutes after it was received",
        f"coalesce(start, time_unix_nano) <= time_unix_nano and {_NOT_AHEAD}",
    ),
    Check(
        "metrics-no-mail",
        "metrics",
        "no e-mail address stands in the clear",
        _no_mail(*METRIC_TEXTS),
    ),
    Check("metrics-no-card", "metrics", "no card number stands in the clear", _no_card(*METRIC_TEXTS)),
)
"""Every check, in the order in which they are shown."""
