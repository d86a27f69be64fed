"""Whether records are due: of a cohort exactly, of a file that was not read as far as its bounds tell. Pure.

Rules count from a record's age, minimums from its receipt. Contents go when their own rule says so, when a rule for their
records' contents does, or with their record.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from retention.holding import Holding
from retention.lake_state import Bounds, Cohort, FileState, Owner
from retention.policy import AUDIT_TABLE, OWNER_TABLES, Combination, Minimum, RetentionPolicy, Rule
from retention.policy_config import Action

CONTENTS = "contents"


class Due(Enum):
    """How much of something is due."""

    NONE = "none"
    SOME = "some"
    """Part of it, or nobody can tell without reading."""
    ALL = "all"


@dataclass(frozen=True)
class Verdict:
    """What is to happen to some rows.

    Attributes:
        due: how much of them is to go.
        rule: the rule that says so; None where none does.
        refused: how much of them that rule would let go and `minimum` keeps.
        minimum: the longest minimum, where it keeps any.
    """

    due: Due
    rule: Rule | None = None
    refused: Due = Due.NONE
    minimum: Minimum | None = None


NOT_DUE = Verdict(Due.NONE)


def judge(cohort: Cohort, policy: RetentionPolicy, now_unix_nano: int) -> Verdict:
    """What the policy says about a cohort, holds aside."""
    if cohort.combination.table == CONTENTS:
        return _judge_contents(cohort, policy, now_unix_nano)
    return _judge_records(cohort.combination, cohort.age, cohort.received, policy, now_unix_nano)


def foresee(
    family: Sequence[FileState], policy: RetentionPolicy, holds: Holding, now_unix_nano: int
) -> dict[tuple[str, str], Due]:
    """How much of each file of a family is due, by (table, path), as far as can be told without its rows."""
    found = {
        (file.table, file.path): _foresee_file(file, policy, holds, now_unix_nano)
        for file in family
        if file.table != CONTENTS
    }
    owners = [file for file in family if file.table in OWNER_TABLES]
    touched = any(
        found[file.table, file.path] is not Due.NONE or _takes_contents(file, policy, now_unix_nano) for file in owners
    )
    gone = bool(owners) and all(found[file.table, file.path] is Due.ALL for file in owners)
    for file in family:
        if file.table == CONTENTS:
            alone = _foresee_file(file, policy, holds, now_unix_nano)
            if alone is not Due.ALL and touched and file.settled:
                alone = Due.ALL if gone and _may_go_with_owners(file, policy, holds, now_unix_nano) else Due.SOME
            found[file.table, file.path] = alone
    return found


def due_of(bounds: Bounds, horizon_unix_nano: int) -> Due:
    """How much lies at or before a horizon."""
    if bounds.most <= horizon_unix_nano:
        return Due.ALL
    return Due.NONE if bounds.least > horizon_unix_nano else Due.SOME


def _judge_records(
    combination: Combination, age: Bounds, received: Bounds, policy: RetentionPolicy, now_unix_nano: int
) -> Verdict:
    answer = policy.answer(combination)
    if answer.rule is None:
        return NOT_DUE
    due = due_of(age, answer.rule.keep.horizon(now_unix_nano))
    return _floored(due, answer.rule, received, answer.floor(now_unix_nano), now_unix_nano)


def _judge_contents(cohort: Cohort, policy: RetentionPolicy, now_unix_nano: int) -> Verdict:
    answer = policy.answer(cohort.combination)
    asked = [(due_of(cohort.age, answer.rule.keep.horizon(now_unix_nano)), answer.rule)] if answer.rule else []
    if cohort.owner is not None:
        asked += _asked_by_owner(cohort.owner, policy, now_unix_nano)
    due, rule = max(asked, key=lambda each: _ORDER[each[0]])
    return _floored(due, rule, cohort.received, answer.floor(now_unix_nano), now_unix_nano)


def _asked_by_owner(owner: Owner, policy: RetentionPolicy, now_unix_nano: int) -> list[tuple[Due, Rule]]:
    """What the rules of their record say about contents: the one for its contents, and the one that deletes it."""
    with_owner = _judge_records(owner.combination, owner.age, owner.received, policy, now_unix_nano)
    found = [] if with_owner.rule is None else [(with_owner.due, with_owner.rule)]
    rule = policy.answer(owner.combination).contents_rule
    if rule is not None:
        found.append((due_of(owner.age, rule.keep.horizon(now_unix_nano)), rule))
    return found


_ORDER = {Due.NONE: 0, Due.SOME: 1, Due.ALL: 2}


def _floored(due: Due, rule: Rule, received: Bounds, floor: Minimum | None, now_unix_nano: int) -> Verdict:
    if due is Due.NONE:
        return NOT_DUE
    if floor is None:
        return Verdict(due, rule)
    passed = due_of(received, floor.keep.horizon(now_unix_nano))
    if passed is Due.ALL:
        return Verdict(due, rule)
    if passed is Due.NONE:
        return Verdict(Due.NONE, rule, due, floor)
    return Verdict(Due.SOME, rule, Due.SOME, floor)


def _foresee_file(file: FileState, policy: RetentionPolicy, holds: Holding, now_unix_nano: int) -> Due:
    if not file.settled:
        return Due.NONE
    rules = policy.rules_for(file.table, file.tenant_id)
    horizons = [rule.keep.horizon(now_unix_nano) for rule in rules]
    least, most = _age_bounds(file)
    if least is not None and least > max(horizons):
        return Due.NONE
    # Records that never expire are told by their names alone.
    if file.table == AUDIT_TABLE or most is None or most > min(horizons):
        return Due.SOME
    if not _past_minimums(file, policy.minimums_for(file.table, file.tenant_id), now_unix_nano):
        return Due.SOME
    return Due.SOME if holds.may_keep(file.table, file.tenant_id, file.day) else Due.ALL


def _age_bounds(file: FileState) -> tuple[int | None, int | None]:
    """Bounds of a file's ages, None where nothing is known: an age is never later than the own time or the receipt."""
    if file.table == AUDIT_TABLE:
        return (None, None) if file.received is None else file.received
    if file.received is None:
        return None, file.own.most
    return min(file.own.least, file.received.least), min(file.own.most, file.received.most)


def _past_minimums(file: FileState, minimums: Iterable[Minimum], now_unix_nano: int) -> bool:
    return all(
        file.received is not None and file.received.most <= minimum.keep.horizon(now_unix_nano) for minimum in minimums
    )


def _takes_contents(file: FileState, policy: RetentionPolicy, now_unix_nano: int) -> bool:
    """Whether a rule may take contents of a file's records and leave the records."""
    least, _ = _age_bounds(file)
    rules = policy.rules_for(file.table, file.tenant_id, Action.CONTENTS)
    return any(least is None or least <= rule.keep.horizon(now_unix_nano) for rule in rules)


def _may_go_with_owners(file: FileState, policy: RetentionPolicy, holds: Holding, now_unix_nano: int) -> bool:
    minimums = policy.minimums_for(file.table, file.tenant_id)
    return _past_minimums(file, minimums, now_unix_nano) and not holds.may_keep(file.table, file.tenant_id, file.day)


def horizons_of(policy: RetentionPolicy, tables: Collection[str], tenant_id: str, now_unix_nano: int) -> list[int]:
    """The instants at which rules of some tables, of whichever action, divide a tenant's records, in order."""
    found = {
        rule.keep.horizon(now_unix_nano)
        for table in tables
        for action in Action
        for rule in policy.rules_for(table, tenant_id, action)
    }
    return sorted(found)
