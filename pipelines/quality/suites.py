"""The suites: what a sample of a table's records is expected to be like, one suite a table, as data.

They say in the vocabulary of Great Expectations what `checks` says in SQL, check for check and under the same name: two engines that
share neither a regular expression's machine nor a rule for NULL, so that one that is wrong is noticed. Nothing here imports it.

Invariant: a sample holds no more of a text than what might be an address or a card's number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.quality.checks import (
    CATALOGUED,
    CHECKS,
    CLOCK_SKEW_NANOS,
    EVENT_TEXTS,
    HAS_TOKENS,
    LOG_TEXTS,
    MAIL,
    METRIC_TEXTS,
    MOST_TOKENS,
    PARENT,
    PARENT_APPLIES,
    SPAN_TEXTS,
    TOKEN_COUNTS,
    card_shaped,
)
from warehouse.questions.senders import DIALECTS

PREFIX = "suite-"
METHOD = "suite"
CARDS = "cards"
"""Column of a sample that is counted after reading: how many of `card_shaped` carry a card's check digit."""
CARD_SHAPED = "card_shaped"


@dataclass(frozen=True)
class Expectation:
    """One expectation: the name of its class in Great Expectations, and what it is given."""

    kind: str
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class SuiteCheck:
    """What the sampled records of one table should be like: a record is unexpected where one of the expectations says so.

    Attributes:
        name: `suite-` and the name of the check that counts the same in SQL.
        table: whose records.
        title: the rule, in words.
        expectations: what must hold.
        applies: SQL condition that says of which records; None: of all.
        allowed_share: of the records that it applies to, how many may be otherwise before the check fails.
    """

    name: str
    table: str
    title: str
    expectations: tuple[Expectation, ...]
    applies: str | None = None
    allowed_share: float = 0.0


@dataclass(frozen=True)
class Suite:
    """The checks of one table, and the columns of the sample that they look at, each with its SQL.

    `key` are the columns that tell a row from all others of the table: they decide whether it is sampled, whatever is in it.
    """

    table: str
    columns: Mapping[str, str]
    checks: tuple[SuiteCheck, ...] = field(repr=False)
    key: tuple[str, ...] = ("shard", "log_index")


def _mail_sql(*columns: str) -> str:
    return f"array_to_string(regexp_extract_all({_joined(columns)}, '[^\\s\"]*@[^\\s\"]*'), ' ')"


def _card_sql(*columns: str) -> str:
    return f"array_to_string({card_shaped(*columns)}, '|')"


def _joined(columns: tuple[str, ...]) -> str:
    # the separator is one that an address may not hold
    return f"concat_ws(' | ', {', '.join(columns)})"


def _not_null(column: str) -> Expectation:
    return Expectation("ExpectColumnValuesToNotBeNull", {"column": column})


def _at_most(lower: str, upper: str) -> Expectation:
    pair = {"column_A": upper, "column_B": lower, "or_equal": True, "ignore_row_if": "either_value_is_missing"}
    return Expectation("ExpectColumnPairValuesAToBeGreaterThanB", pair)


def _hex_id(column: str, digits: int) -> tuple[Expectation, ...]:
    return (
        Expectation("ExpectColumnValueLengthsToEqual", {"column": column, "value": digits}),
        Expectation("ExpectColumnValuesToMatchRegex", {"column": column, "regex": "^[0-9a-f]+$"}),
        Expectation("ExpectColumnValuesToNotMatchRegex", {"column": column, "regex": "^0+$"}),
    )


_IDS = (*_hex_id("trace_id", 32), *_hex_id("span_id", 16))
_NOT_AHEAD = (
    _not_null("time_unix_nano"),
    _not_null("latest_unix_nano"),
    _at_most("time_unix_nano", "latest_unix_nano"),
)
_NO_MAIL = Expectation("ExpectColumnValuesToNotMatchRegex", {"column": "mail_shaped", "regex": MAIL})
_NO_CARD = Expectation("ExpectColumnValuesToBeBetween", {"column": CARDS, "max_value": 0})
_TOKENS: dict[str, object] = {"min_value": 0, "max_value": MOST_TOKENS}
_TITLES = {check.name: check.title for check in CHECKS}
_TIMES = {"time_unix_nano": "time_unix_nano", "latest_unix_nano": f"received_unix_nano + {CLOCK_SKEW_NANOS}"}
_DIALECT = "case " + " ".join(f"when {told} then '{name}'" for name, told in DIALECTS.items()) + " end"
_ID_COLUMNS = {"trace_id": "trace_id", "span_id": "span_id"}


def _texts(*columns: str) -> dict[str, str]:
    return {"mail_shaped": _mail_sql(*columns), CARD_SHAPED: _card_sql(*columns)}


def _check(
    table: str, rule: str, *expectations: Expectation, applies: str | None = None, share: float = 0.0
) -> SuiteCheck:
    name = f"{table.replace('_', '-')}-{rule}"
    return SuiteCheck(PREFIX + name, table, _TITLES[name], expectations, applies, share)


def _mostly(expectation: Expectation, allowed_share: float) -> Expectation:
    return Expectation(expectation.kind, {**expectation.arguments, "mostly": 1 - allowed_share})


_PARENTS_SHARE = 0.01
_DIALECT_SHARE = 0.2

SUITES: tuple[Suite, ...] = (
    Suite(
        "spans",
        _ID_COLUMNS
        | _TIMES
        | {"last_unix_nano": "coalesce(end_unix_nano, time_unix_nano)", "parent_there": f"({PARENT})::bigint"}
        | {name: name for name in TOKEN_COUNTS}
        | {"dialect": _DIALECT}
        | _texts(*SPAN_TEXTS),
        (
            _check("spans", "ids-well-formed", _not_null("trace_id"), _not_null("span_id"), *_IDS),
            _check("spans", "times-ordered", *_NOT_AHEAD, _at_most("time_unix_nano", "last_unix_nano")),
            _check(
                "spans",
                "parents-present",
                _mostly(
                    Expectation("ExpectColumnValuesToBeInSet", {"column": "parent_there", "value_set": [1]}),
                    _PARENTS_SHARE,
                ),
                applies=PARENT_APPLIES,
                share=_PARENTS_SHARE,
            ),
            _check(
                "spans",
                "tokens-sane",
                *(Expectation("ExpectColumnValuesToBeBetween", {"column": name} | _TOKENS) for name in TOKEN_COUNTS),
                _at_most("reasoning_tokens", "output_tokens"),
                applies=HAS_TOKENS,
            ),
            _check("spans", "dialect-known", _mostly(_not_null("dialect"), _DIALECT_SHARE), share=_DIALECT_SHARE),
            _check("spans", "no-mail", _NO_MAIL),
            _check("spans", "no-card", _NO_CARD),
        ),
    ),
    Suite(
        "audit_events",
        _ID_COLUMNS | _TIMES | {"actor_id": "actor_id", "outcome": "outcome"} | _texts(*EVENT_TEXTS),
        (
            _check(
                "audit_events",
                "actor-and-outcome",
                *(_not_null(name) for name in ("actor_id", "outcome")),
                *(
                    Expectation("ExpectColumnValueLengthsToBeBetween", {"column": name, "min_value": 1})
                    for name in ("actor_id", "outcome")
                ),
                applies=CATALOGUED,
            ),
            _check("audit_events", "ids-well-formed", *_IDS),
            _check("audit_events", "times-ordered", *_NOT_AHEAD),
            _check("audit_events", "no-mail", _NO_MAIL),
            _check("audit_events", "no-card", _NO_CARD),
        ),
    ),
    Suite(
        "logs",
        _ID_COLUMNS | _TIMES | _texts(*LOG_TEXTS),
        (
            _check("logs", "ids-well-formed", *_IDS),
            _check("logs", "times-ordered", *_NOT_AHEAD),
            _check("logs", "no-mail", _NO_MAIL),
            _check("logs", "no-card", _NO_CARD),
        ),
    ),
    Suite(
        "contents",
        {name: name for name in ("owner_table", "owner_index", "part")} | _texts("body"),
        (
            _check(
                "contents",
                "owner-known",
                *(_not_null(name) for name in ("owner_table", "owner_index", "part")),
                Expectation(
                    "ExpectColumnValuesToBeInSet",
                    {"column": "owner_table", "value_set": ["spans", "audit_events", "logs"]},
                ),
                Expectation("ExpectColumnValuesToBeBetween", {"column": "owner_index", "min_value": 0}),
                Expectation("ExpectColumnValueLengthsToBeBetween", {"column": "part", "min_value": 1}),
            ),
            _check("contents", "no-mail", _NO_MAIL),
            _check("contents", "no-card", _NO_CARD),
        ),
        key=("shard", "owner_index", "part"),
    ),
    Suite(
        "metrics",
        _TIMES | {"first_unix_nano": "coalesce(start, time_unix_nano)"} | _texts(*METRIC_TEXTS),
        (
            _check("metrics", "times-ordered", *_NOT_AHEAD, _at_most("first_unix_nano", "time_unix_nano")),
            _check("metrics", "no-mail", _NO_MAIL),
            _check("metrics", "no-card", _NO_CARD),
        ),
        key=("shard", "segment", "row"),
    ),
)
"""Every suite; together they have one check for each of `CHECKS`."""
