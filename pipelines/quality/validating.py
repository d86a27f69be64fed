"""Runs suites with Great Expectations over samples of a day's records, as pandas batches.

The one module that imports it, and inside a function: that costs seconds of CPU, which no other command shall pay.

Invariants:
- What leaves here is counts and places. Great Expectations holds the values that it found unexpected, and quotes them in its messages and
  tracebacks; all of that ends with the call.
- An expectation that could not be evaluated makes its check errored, whatever the others of the check said.
- It writes no file, sends nothing, and says nothing on its own.
"""

import datetime as dt
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.quality.counting import CheckResult, SenderCount, allowed_count
from pipelines.quality.sampling import INDEX, SAMPLE_ROWS, SENDER, SHARD, applies_column, read_sample
from pipelines.quality.suites import Suite, SuiteCheck
from warehouse.errors import QueryError, UnavailableError
from warehouse.query import QuerySession

POSITIONS = 5
"""So many places of unexpected records a result names one by one."""

_ERROR = "ExpectationError"
_FORMAT = {"result_format": "COMPLETE", "include_unexpected_rows": False}


def run_suites(
    open_table: Callable[[str], AbstractContextManager[QuerySession]],
    suites: Iterable[Suite],
    day: dt.date,
    now_unix_nano: int,
    *,
    rows: int = SAMPLE_ROWS,
) -> tuple[CheckResult, ...]:
    """Look at a sample of at most `rows` records of each suite's table; one that cannot be read does not keep the others from it.

    `open_table` opens a session over one table, by its name.
    """
    found: list[CheckResult] = []
    for suite in suites:
        try:
            with open_table(suite.table) as session:
                sample = read_sample(session, suite, day, now_unix_nano, rows=rows)
        except (QueryError, UnavailableError) as exc:
            # only the kind: what an engine says may quote a value
            kind = type(exc.__cause__ or exc).__name__
            found += [CheckResult(check, "errored", error=kind) for check in suite.checks]
        else:
            found += validate(sample, suite)
    return tuple(found)


def validate(sample: pa.Table, suite: Suite) -> list[CheckResult]:
    """What each check of the suite says of a sample that `read_sample` made."""
    applying = {check.name: _applies(sample, check) for check in suite.checks}
    asked = [check for check in suite.checks if applying[check.name].any()]
    found = _evaluate(sample, asked) if asked else {}
    return [_result(sample, check, applying[check.name], found.get(check.name, _ERROR)) for check in suite.checks]


def _applies(sample: pa.Table, check: SuiteCheck) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if check.applies is None:
        return np.ones(sample.num_rows, dtype=bool)
    applies: np.ndarray[Any, np.dtype[np.bool_]] = np.asarray(pc.fill_null(sample.column(applies_column(check)), False))
    return applies


def _result(
    sample: pa.Table,
    check: SuiteCheck,
    applies: np.ndarray[Any, np.dtype[np.bool_]],
    found: tuple[bool, Sequence[int]] | str,
) -> CheckResult:
    total = int(applies.sum())
    if not total:
        return CheckResult(check, "empty", 0, 0, 0)
    if isinstance(found, str):
        return CheckResult(check, "errored", error=found)
    good, places = found
    unexpected = np.zeros(sample.num_rows, dtype=bool)
    unexpected[list(places)] = True
    return CheckResult(
        check,
        "passed" if good else "failed",
        total,
        int(unexpected.sum()),
        allowed_count(total, check.allowed_share),
        _senders(sample, applies, unexpected),
        positions=_positions(sample, unexpected),
    )


def _senders(sample: pa.Table, applies: Any, unexpected: Any) -> tuple[SenderCount, ...]:
    """Of each sender and shard with unexpected records: how many, and the range of log indices they lie in."""
    at = sample.select([SENDER, SHARD, INDEX])
    at = at.append_column("unexpected", pa.array(unexpected)).filter(pa.array(applies))
    at = at.append_column("place", pc.if_else(at["unexpected"], at[INDEX], None))
    counts = at.group_by([SENDER, SHARD]).aggregate(
        [("unexpected", "count"), ("unexpected", "sum"), ("place", "min"), ("place", "max")]
    )
    counts = counts.filter(pc.greater(counts["unexpected_sum"], 0)).sort_by(
        [(SHARD, "ascending"), (SENDER, "ascending")]
    )
    names = (SENDER, SHARD, "unexpected_count", "unexpected_sum", "place_min", "place_max")
    return tuple(SenderCount(*row) for row in zip(*(counts[name].to_pylist() for name in names), strict=True))


def _positions(sample: pa.Table, unexpected: Any) -> tuple[tuple[str, int | None], ...]:
    few = sample.select([SHARD, INDEX]).filter(pa.array(unexpected)).slice(0, POSITIONS)
    return tuple(zip(few[SHARD].to_pylist(), few[INDEX].to_pylist(), strict=True))


def _evaluate(sample: pa.Table, checks: Sequence[SuiteCheck]) -> dict[str, tuple[bool, Sequence[int]] | str]:
    """By name of each check: whether it holds, and the rows of the sample that are not as expected; or the kind of error.

    Checks that could not be evaluated alone are left out.
    """
    with _quiet():
        try:
            results = _validate(sample, checks)
        except Exception as exc:  # noqa: BLE001 - whatever it stumbles over, nothing is known then, and its message may quote a value
            return {check.name: type(exc).__name__ for check in checks}
    found: dict[str, tuple[bool, Sequence[int]] | str] = {}
    for check in checks:
        own = [each for each in results if each.expectation_config.meta["check"] == check.name]
        places = [each.result.get("unexpected_index_list") for each in own]
        if len(own) == len(check.expectations) and all(place is not None for place in places):
            found[check.name] = all(each.success for each in own), sorted({at for place in places for at in place})
    return found


def _validate(sample: pa.Table, checks: Sequence[SuiteCheck]) -> Sequence[Any]:
    import great_expectations as gx
    import pandas as pd

    context = gx.get_context(mode="ephemeral", project_config=_config())
    # Arrow's own types: through NumPy's a column of nanoseconds with a NULL becomes floats, which know them to 256 ns only
    frame = sample.to_pandas(types_mapper=pd.ArrowDtype)
    asset = context.data_sources.add_pandas("samples").add_dataframe_asset("sample")
    batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
    made = [each for check in checks for each in _made(check)]
    return list(batch.validate(gx.ExpectationSuite(name="suite", expectations=made), result_format=_FORMAT).results)


def _config() -> Any:
    """A context that keeps all in memory, without the folder for pages that it makes otherwise, statistics or bars of progress."""
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )


def _made(check: SuiteCheck) -> Iterator[Any]:
    """The check's expectations; where one cannot be made it is left out, and the check counts as errored."""
    import great_expectations.expectations as gxe

    only: dict[str, object] = {}
    if check.applies is not None:
        only = {"row_condition": f"{applies_column(check)} == True", "condition_parser": "pandas"}
    for each in check.expectations:
        try:
            yield getattr(gxe, each.kind)(**each.arguments, **only, meta={"check": check.name})
        except (AttributeError, ValueError):
            continue


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's log and warnings from whoever listens: they may quote values."""
    logger = logging.getLogger("great_expectations")
    propagates, logger.propagate = logger.propagate, False
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
