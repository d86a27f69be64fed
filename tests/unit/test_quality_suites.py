"""The suites' expectations one by one: each holds for a row as it should be, and fails for a row gone wrong in what it looks at."""

import dataclasses

import pyarrow as pa
import pytest

from pipelines.quality.sampling import CARD_SHAPED, INDEX, SENDER, SHARD, applies_column, sample_sql, suite_hash
from pipelines.quality.suites import CARDS, SUITES
from pipelines.quality.validating import POSITIONS, validate

GOOD = {
    SENDER: "key:k1",
    SHARD: "main-1",
    "trace_id": "a" * 32,
    "span_id": "b" * 16,
    "time_unix_nano": 7,
    "latest_unix_nano": 7,
    "last_unix_nano": 7,
    "first_unix_nano": 7,
    "parent_there": 1,
    "input_tokens": 0,
    "output_tokens": 3,
    "cache_read_tokens": 0,
    "reasoning_tokens": 3,
    "dialect": "langfuse",
    "mail_shaped": "one@two",
    CARDS: 0,
    "actor_id": "x",
    "outcome": "success",
    "owner_table": "logs",
    "owner_index": 0,
    "part": "body",
}
EACH = [
    pytest.param(suite, check, expectation, id=f"{check.name}-{number}")
    for suite in SUITES
    for check in suite.checks
    for number, expectation in enumerate(check.expectations)
]


def rows_gone_wrong(expectation):
    """What makes a row fail an expectation: one or two changes of `GOOD`."""
    given = dict(expectation.arguments)
    column = given.get("column")
    if expectation.kind == "ExpectColumnPairValuesAToBeGreaterThanB":
        return [{given["column_A"]: 5, given["column_B"]: 6}]
    low, high = given.get("min_value"), given.get("max_value")
    wrong = {
        "ExpectColumnValuesToNotBeNull": [None],
        "ExpectColumnValueLengthsToEqual": ["a" * (given.get("value", 0) + step) for step in (-1, 1)],
        "ExpectColumnValueLengthsToBeBetween": [""],
        "ExpectColumnValuesToMatchRegex": ["A" * 32, "a-b"],
        "ExpectColumnValuesToNotMatchRegex": ["say jane@example.org" if column == "mail_shaped" else "0" * 32],
        "ExpectColumnValuesToBeBetween": [
            at for at in (None if low is None else low - 1, None if high is None else high + 1) if at is not None
        ],
        "ExpectColumnValuesToBeInSet": [0 if isinstance(GOOD[column], int) else "elsewhere"],
    }
    return [{column: value} for value in wrong[expectation.kind]]


def sample_of(suite, rows):
    """Rows as `read_sample` gives them, each at its number."""
    names = [SENDER, SHARD, *(CARDS if name == CARD_SHAPED else name for name in suite.columns)]
    columns = {
        name: pa.array([(GOOD | row)[name] for row in rows], pa.int64() if isinstance(GOOD[name], int) else pa.string())
        for name in names
    }
    columns[INDEX] = pa.array(range(len(rows)), pa.int64())
    return pa.table(columns)


@pytest.mark.parametrize(("suite", "check", "expectation"), EACH)
def test_each_expectation_can_fail(suite, check, expectation):
    """Alone in its check it holds for a row as it should be, and finds each that has gone wrong in what it looks at."""
    alone = dataclasses.replace(check, expectations=(expectation,), applies=None)
    one = dataclasses.replace(suite, checks=(alone,))
    (good,) = validate(sample_of(suite, [{}]), one)
    assert (good.outcome, good.unexpected, good.positions) == ("passed", 0, ())
    wrong = rows_gone_wrong(expectation)
    (bad,) = validate(sample_of(suite, [{}, *wrong]), one)
    assert (bad.outcome, bad.total, bad.unexpected) == ("failed", 1 + len(wrong), len(wrong))
    assert bad.positions == tuple(("main-1", 1 + number) for number in range(len(wrong)))


def test_a_check_looks_at_what_it_applies_to_alone():
    """Rows that it does not apply to are neither counted nor found, and a NULL condition is none."""
    suite = next(each for each in SUITES if each.table == "spans")
    check = next(each for each in suite.checks if each.name == "suite-spans-tokens-sane")
    rows = [{"input_tokens": -1} for _ in range(8)]
    sample = sample_of(suite, rows).append_column(
        applies_column(check), pa.array([True, False, None, True, True, True, True, True])
    )
    (found,) = validate(sample, dataclasses.replace(suite, checks=(check,)))
    assert (found.outcome, found.total, found.unexpected, found.allowed) == ("failed", 6, 6, 0)
    assert found.positions == tuple(("main-1", number) for number in (0, 3, 4, 5, 6))
    assert len(found.positions) == POSITIONS
    (sender,) = found.senders
    assert (sender.total, sender.unexpected, sender.first_index, sender.last_index) == (6, 6, 0, 7)


def test_the_hash_names_how_a_check_looks():
    """It differs between checks and follows what is expected and of what; the sample's SQL alone does not decide it."""
    hashes = [suite_hash(suite, check) for suite in SUITES for check in suite.checks]
    assert len(set(hashes)) == len(hashes)
    suite = SUITES[0]
    other = dataclasses.replace(suite.checks[0], expectations=suite.checks[0].expectations[:1])
    assert suite_hash(suite, other) != suite_hash(suite, suite.checks[0])
    assert "$now" in sample_sql(suite)
