"""Samples of a day's records: which they are is decided by where they stand in the ledger, never by what is in them or by chance.

A row is taken where the MD5 of a fixed word and its place is among the lowest of the day: as good as at random, and the same rows for
whoever asks again, on any machine, while the day's records stay the same.
"""

import datetime as dt
import hashlib
import json
from dataclasses import asdict

import pyarrow as pa
from stdnum import luhn

from pipelines.quality.counting import index_sql, sender_sql
from pipelines.quality.suites import CARD_SHAPED, CARDS, Suite, SuiteCheck
from warehouse.query import QuerySession

SAMPLE_ROWS = 10_000
"""Rows of a table and day that are looked at; a day with no more is looked at whole."""

SENDER, SHARD, INDEX = "at_sender", "at_shard", "at_index"
"""Columns of a sample that say where a row is: who recorded it, in which shard, at which log index."""

_SEED = "muniment-sample-1"
_CARD_DIGITS = range(13, 20)
_SQL = """\
with picked as (
    select {key} from {table}
    where day = $day
    order by md5(concat_ws('/', $seed, {key})), {key}
    limit $rows
)
select {columns}
from {table} as rows semi join picked on {same}
where rows.day = $day
order by {order}
"""


def applies_column(check: SuiteCheck) -> str:
    """Name of the sample's column that says whether a check applies to a row."""
    return f"applies_{check.name}".replace("-", "_")


def sample_sql(suite: Suite) -> str:
    """The query that samples a table; it binds `$day`, `$rows`, `$seed`, and `$now` where a condition needs it."""
    columns = {SENDER: sender_sql(suite.table), SHARD: "rows.shard", INDEX: index_sql(suite.table), **suite.columns}
    columns |= {applies_column(check): check.applies for check in suite.checks if check.applies is not None}
    return _SQL.format(
        table=suite.table,
        key=", ".join(f'"{name}"' for name in suite.key),
        same=" and ".join(f'rows."{name}" is not distinct from picked."{name}"' for name in suite.key),
        columns=",\n    ".join(f"({sql}) as {name}" for name, sql in columns.items()),
        order=", ".join(f'rows."{name}"' for name in suite.key),
    )


def suite_hash(suite: Suite, check: SuiteCheck) -> str:
    """SHA-256 in hex of how a check looks at its sample: results with the same one were found alike."""
    made = json.dumps([sample_sql(suite), asdict(check)], sort_keys=True)
    return hashlib.sha256(made.encode()).hexdigest()


def read_sample(
    session: QuerySession, suite: Suite, day: dt.date, now_unix_nano: int, *, rows: int = SAMPLE_ROWS
) -> pa.Table:
    """At most `rows` records of a UTC day as the suite's columns, with where each is, in the order of their places.

    Raises:
        QueryError: the table cannot be read, or lacks a column.
    """
    sql = sample_sql(suite)
    values: dict[str, object] = {"day": day, "rows": rows, "seed": _SEED}
    sample = session.query(sql, values | ({"now": now_unix_nano} if "$now" in sql else {}))
    if CARD_SHAPED not in sample.column_names:
        return sample
    place = sample.column_names.index(CARD_SHAPED)
    counts = [_count_cards(text) if text else 0 for text in sample.column(CARD_SHAPED).to_pylist()]
    return sample.set_column(place, CARDS, pa.array(counts, pa.int64()))


def _count_cards(text: str) -> int:
    """Numbers of 13 to 19 digits, with a card's check digit, among those that `|` parts."""
    numbers = (each.replace(" ", "").replace("-", "") for each in text.split("|"))
    return sum(len(each) in _CARD_DIGITS and luhn.is_valid(each) for each in numbers)
