"""Checks of a day's assets: what was found there that should not be, told apart from what could not be found out.

A check that has nothing to look at gives no evaluation, as that shows nothing. They ask the lake, not the outcome of the run: each says how
its day stands, over all tenants.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from pipelines.daily import DAYS, day_of, incidents, quality_results, slo_windows, tenants_of
from pipelines.findings import Outcome, QualityOutcome
from pipelines.judging import GRAVE, Standing, judge_day
from pipelines.lake import LakeResource, failing_plainly
from pipelines.quality.checks import CHECKS, Check
from pipelines.quality.completeness import CHECKS as COMPLETENESS
from pipelines.quality.suites import SUITES, SuiteCheck

_MOST_SHOWN = 50
_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
EVERY_CHECK = "every_check_ran"
EVERY_SUITE = "every_suite_ran"
NOTHING_MISSING = "nothing_missing"
_UNCOUNTED = frozenset(each.name for each in COMPLETENESS if not each.by_counters)
"""Checks of completeness that rest on no sender's own counts: what they miss may be another system's."""
SUITE_CHECKS: tuple[SuiteCheck, ...] = tuple(each for suite in SUITES for each in suite.checks)
_ALL: tuple[Check | SuiteCheck, ...] = (*CHECKS, *SUITE_CHECKS)
_TABLE_OF = {each.name: each.table for each in _ALL}
_SHARED = frozenset(each.name for each in _ALL if each.allowed_share)


def sound(table: str) -> str:
    """The name of the check of a table's records, every one counted."""
    return f"{table}_sound"


def sample_sound(table: str) -> str:
    """The name of the check of a table's suite over a sample."""
    return f"{table}_sample_sound"


def _tables(checks: Iterable[Check | SuiteCheck]) -> list[str]:
    return sorted({each.table for each in checks})


def _titles(checks: Iterable[Check | SuiteCheck], table: str) -> str:
    return "; ".join(each.title for each in checks if each.table == table)


def _spec(name: str, asset: dg.AssetsDefinition, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=asset.key, description=description, partitions_def=DAYS)


with warnings.catch_warnings(action="ignore", category=dg.PreviewWarning):
    _SILENT = _spec(
        "no_indicator_silent",
        slo_windows,
        "Indicators that were counted in the week before are counted on the day too, where any was.",
    )
    _QUALITY = [
        *(_spec(sound(table), quality_results, _titles(CHECKS, table)) for table in _tables(CHECKS)),
        _spec(
            NOTHING_MISSING,
            quality_results,
            "; ".join(dict.fromkeys(each.title for each in COMPLETENESS)),
        ),
        _spec(EVERY_CHECK, quality_results, "Every check could be counted: of what errored nothing is known."),
    ]
    _SUITES = [
        *(
            _spec(sample_sound(table), quality_results, f"In a sample: {_titles(SUITE_CHECKS, table)}")
            for table in _tables(SUITE_CHECKS)
        ),
        _spec(EVERY_SUITE, quality_results, "Every suite could be evaluated: of what errored nothing is known."),
    ]


@dg.multi_asset_check(name="quality_checks", specs=_QUALITY, can_subset=True)
def quality_checks(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
    """Table by table what the checks of quality found in the day's records, and what is missing of them, of every tenant."""
    with failing_plainly():
        jobs = lake.jobs
        found, complete = jobs.quality_of(day_of(context)), jobs.completeness_of(day_of(context))
    yield from _by_table(context, [*found, *complete], sound, EVERY_CHECK)
    if NOTHING_MISSING in {key.name for key in context.selected_asset_check_keys}:
        yield from missing_result(complete)


def missing_result(found: Sequence[QualityOutcome]) -> Iterator[dg.AssetCheckResult]:
    """What the checks of completeness say of a day; nothing where no sender was measured, as that shows nothing.

    Less than a sender counted is an error; what is missing by no sender's count, as the root of a trace, a warning.
    """
    standing = judge_day(found, _UNCOUNTED)
    if standing.outcome != "empty":
        yield _quality_result(NOTHING_MISSING, standing)


@dg.multi_asset_check(name="suite_checks", specs=_SUITES, can_subset=True)
def suite_checks(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
    """Table by table what a suite finds in a sample of the day, of each tenant of the run that has records; the engine loads here alone."""
    day = day_of(context)
    with failing_plainly():
        jobs = lake.jobs
        busy = {each.tenant for each in jobs.quality_of(day) if each.outcome != "empty"}
        found = [
            QualityOutcome(tenant, each.name, each.outcome, each.sampled, each.unexpected, each.detail)
            for tenant in tenants_of(context, jobs)
            if tenant in busy
            for each in jobs.check_suites(tenant, day)
        ]
    yield from _by_table(context, found, sample_sound, EVERY_SUITE)


def _by_table(
    context: dg.AssetCheckExecutionContext, found: Sequence[QualityOutcome], name_of: Callable[[str], str], every: str
) -> Iterator[dg.AssetCheckResult]:
    """A result for each table that there was something to look at of, and one that says whether all could be looked at."""
    wanted = {key.name for key in context.selected_asset_check_keys}
    for table in sorted({_TABLE_OF[each.name] for each in found if each.name in _TABLE_OF}):
        standing = judge_day([each for each in found if _TABLE_OF.get(each.name) == table], _SHARED)
        if standing.outcome != "empty" and name_of(table) in wanted:
            yield _quality_result(name_of(table), standing)
    if every in wanted and found:
        errored = [f"{each.tenant}: {each.name}: {each.error}" for each in found if each.outcome == "errored"]
        yield dg.AssetCheckResult(
            passed=not errored,
            check_name=every,
            asset_key=quality_results.key,
            metadata={
                "checks": len({each.name for each in found}),
                "errored": dg.MetadataValue.json(errored[:_MOST_SHOWN]),
            },
        )


def _quality_result(name: str, standing: Standing) -> dg.AssetCheckResult:
    """A standing as Dagster has it.

    Failed is an error, and a warning where each check that failed lets a share be otherwise. Errored is a warning with that outcome:
    nothing is known of the records, and the check that everything ran is the error.
    """
    is_error = standing.outcome == "failed" and not standing.only_shares
    return dg.AssetCheckResult(
        passed=standing.outcome == "passed",
        check_name=name,
        asset_key=quality_results.key,
        severity=_ERROR if is_error else _WARN,
        description=_WORDS[standing.outcome],
        metadata={
            "outcome": standing.outcome,
            "failed": dg.MetadataValue.json(list(standing.failed[:_MOST_SHOWN])),
            "errored": dg.MetadataValue.json(list(standing.errored[:_MOST_SHOWN])),
            "unexpected": _json(standing.unexpected),
        },
    )


_WORDS: Mapping[Outcome, str] = {
    "passed": "as it should be",
    "failed": "more records are otherwise than may be: `muniment quality show` names their sender and place",
    "errored": "could not be counted: nothing is known of the records",
    "empty": "there was nothing to look at",
    "unmeasured": "no sender says how much there should be",
}


@dg.multi_asset_check(name="silence", specs=[_SILENT])
def no_indicator_silent(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
    """Whether what was measured before is measured still; a day on which nothing was counted is the rules' of incidents."""
    day = day_of(context)
    with failing_plainly():
        jobs = lake.jobs
        days = {tenant.id: jobs.slo_day(tenant.id, day) for tenant in jobs.tenants()}
    silent = {tenant: list(each.silent) for tenant, each in days.items() if each.silent}
    covered = {tenant: round(each.covered, 4) for tenant, each in days.items() if each.events}
    yield dg.AssetCheckResult(
        passed=not silent, severity=_WARN, metadata={"silent": _json(silent), "covered": _json(covered)}
    )


@dg.asset_check(asset=incidents, description="No rule of incidents fails, in any tenant.")
def every_rule_evaluated(lake: LakeResource) -> dg.AssetCheckResult:
    """A rule that fails finds nothing: what it looks for is not known."""
    with failing_plainly():
        jobs = lake.jobs
        failing = {tenant.id: dict(jobs.failing_rules(tenant.id)) for tenant in jobs.tenants()}
    failing = {tenant: each for tenant, each in failing.items() if each}
    return dg.AssetCheckResult(
        passed=not failing,
        metadata={"rules": sum(len(each) for each in failing.values()), "problems": _json(failing)},
    )


@dg.asset_check(asset=incidents, description="No incident of severity high or critical is open, in any tenant.")
def no_grave_incident_open(lake: LakeResource) -> dg.AssetCheckResult:
    """As it stands now, whichever day a run is about; one that is mitigated and not closed is a warning."""
    with failing_plainly():
        found = [each for each in lake.jobs.running_incidents() if each.severity in GRAVE]
    mitigated = all(each.state == "mitigated" for each in found)
    shown = [
        {"id": each.id, "tenant": each.tenant, "rule": each.rule, "state": each.state, "runbook": each.runbook}
        for each in found[:_MOST_SHOWN]
    ]
    return dg.AssetCheckResult(
        passed=not found,
        severity=_WARN if mitigated else _ERROR,
        metadata={"count": len(found), "open": dg.MetadataValue.json(shown)},
    )


def _json(found: Mapping[str, Any]) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.json(dict(list(found.items())[:_MOST_SHOWN]))


CHECKS_OF_A_DAY = (quality_checks, suite_checks, no_indicator_silent, every_rule_evaluated, no_grave_incident_open)
