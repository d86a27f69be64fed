"""Judges what the checks are about. Pure: states and a clock in, problems out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.findings import Outcome, QualityOutcome
from pipelines.jobs import Overdue, PurgeState, TenantState

GRACE_SECONDS = 26 * 3600
"""A daily run, and two hours for it to start late and end."""
GRAVE = frozenset({"critical", "high"})
"""Severities of incidents that somebody must look at now."""
_NANOS = 1_000_000_000


@dataclass(frozen=True)
class Skipped:
    """A tenant whose purges do not happen as they should, and why."""

    tenant: str
    why: str


def skipped_purges(
    tenants: Sequence[TenantState],
    last_run_unix_nano: Mapping[str, int],
    states: Mapping[str, PurgeState],
    now_unix_nano: int,
) -> list[Skipped]:
    """Tenants whose last successful run is older than the grace, or that have a purge begun and not finished.

    A run counts by its own time in Dagster or by its certificate's, so that purges by the command line count. A tenant that is
    younger than the grace need not have had one.
    """
    found = []
    for tenant in tenants:
        state = states[tenant.id]
        found += [Skipped(tenant.id, f"purge {purge} was begun and is not finished") for purge in state.unfinished]
        last = max(last_run_unix_nano.get(tenant.id, 0), state.last_certificate_unix_nano or 0)
        if now_unix_nano - max(last, tenant.created_unix_nano) > GRACE_SECONDS * _NANOS:
            hours = (now_unix_nano - last) // (3600 * _NANOS)
            ago = f"the last run ended {hours} h ago" if last else "no run is known"
            found.append(Skipped(tenant.id, f"{ago}; expected one within {GRACE_SECONDS // 3600} h"))
    return found


def is_only_expected(overdue: Mapping[str, Sequence[Overdue]]) -> bool:
    """Whether nothing of what is overdue went wrong."""
    return all(each.expected for found in overdue.values() for each in found)


@dataclass(frozen=True)
class Standing:
    """How the records of a table stand on a day: `failed` and `errored` name the checks as `tenant: check`.

    `unexpected` is by check, summed over tenants, and holds those above zero. `only_shares` says that of the failed ones each lets some
    share of the records be otherwise.
    """

    outcome: Outcome
    failed: tuple[str, ...] = ()
    errored: tuple[str, ...] = ()
    unexpected: Mapping[str, int] = field(default_factory=dict)
    only_shares: bool = False


def judge_day(found: Sequence[QualityOutcome], shared: Collection[str]) -> Standing:
    """What the checks of one table found in every tenant, put together; `shared` names checks that let a share be otherwise.

    One that failed makes it failed. Else one that errored makes it errored, as then nobody can say that all is well. Where there was
    nothing to look at it is empty, which is no pass either.
    """
    failed = [each for each in found if each.outcome == "failed"]
    errored = [each for each in found if each.outcome == "errored"]
    outcome: Outcome = "empty"
    if failed:
        outcome = "failed"
    elif errored:
        outcome = "errored"
    elif any(each.outcome == "passed" for each in found):
        outcome = "passed"
    unexpected: dict[str, int] = {}
    for each in found:
        if each.unexpected:
            unexpected[each.name] = unexpected.get(each.name, 0) + each.unexpected
    named, unknown = (tuple(f"{each.tenant}: {each.name}" for each in some) for some in (failed, errored))
    return Standing(outcome, named, unknown, unexpected, bool(failed) and all(each.name in shared for each in failed))
