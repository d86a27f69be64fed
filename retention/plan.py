"""Plans what is due: a pure function of a lake's snapshot, the policy, the holds and the clock.

A plan's inputs are the hashes of policy and holds, the files that it would drop or rewrite, and the horizons: the instants up to
which records are due. New files change none of them, so ingest and compaction elsewhere don't make a plan stale
(`stale_reasons`). Canonical JSON (RFC 8785) and its SHA-256 name a plan; nanoseconds stand in it as text, since JSON's numbers
are exact to 2^53 alone.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import rfc8785

from retention.holding import Holding
from retention.lake_state import Cohort, FileState, LakeSnapshot
from retention.policy import AUDIT_TABLE, RetentionPolicy
from retention.verdict import Due, foresee, judge
from warehouse.errors import InputError

FORMAT = "muniment/retention-plan@v1"


class DueFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of which something is to go. `rows_due` is None where only reading it will tell; `rules` say for which rows."""

    path: str
    size_bytes: int
    rows: int | None
    rows_due: int | None
    rules: dict[str, int]


class DuePartition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant's day in one table. `drop` are files all of whose rows go, `rewrite` those that keep some.

    `whole` says that nothing else was live in it: the partition goes without any file being written.
    """

    table: str
    tenant: str
    day: str
    whole: bool
    drop: tuple[DueFile, ...]
    rewrite: tuple[DueFile, ...]


class KeptBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that are due by their rule and stay. `by` is `hold` or `minimum`, `name` which one, `reason` a minimum's citation.

    `exact` is false where some of the rows may not be due at all.
    """

    by: str
    name: str
    table: str
    tenant: str
    first_day: str
    last_day: str
    rows: int
    exact: bool
    reason: str = ""


class Horizon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to which instant records are due by a rule, or free by a minimum; this instant included, later ones not."""

    kind: str
    name: str
    keep: str
    counts_from: str
    through_unix_nano: str


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is due. `tenant` None means all of them."""

    tenant: str | None
    now_unix_nano: str
    policy_hash: str
    holds_hash: str
    horizons: tuple[Horizon, ...]
    partitions: tuple[DuePartition, ...]
    kept: tuple[KeptBack, ...]

    @property
    def canonical(self) -> bytes:
        """Canonical JSON: the same bytes for the same plan."""
        return rfc8785.dumps({"format": FORMAT, **msgspec.to_builtins(self)})

    @property
    def content_hash(self) -> str:
        """`sha256:` and the SHA-256, in hexadecimal, of the canonical JSON."""
        return f"sha256:{hashlib.sha256(self.canonical).hexdigest()}"

    @property
    def files(self) -> dict[str, frozenset[str]]:
        """By table the files that it would drop or rewrite."""
        found: dict[str, set[str]] = {}
        for partition in self.partitions:
            found.setdefault(partition.table, set()).update(file.path for file in (*partition.drop, *partition.rewrite))
        return {table: frozenset(paths) for table, paths in found.items()}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to go."""
        return not self.partitions


def plan(
    snapshot: LakeSnapshot,
    policy: RetentionPolicy,
    holds: Holding,
    now_unix_nano: int,
    *,
    tenant: str | None = None,
) -> Plan:
    """What of a lake is due now."""
    partitions, kept = [], _Kept()
    for family in snapshot.families.values():
        due = foresee(family, policy, holds, now_unix_nano)
        by_table: dict[str, list[FileState]] = {}
        for file in family:
            by_table.setdefault(file.table, []).append(file)
        for files in by_table.values():
            found = _partition(files, due, policy, now_unix_nano, kept)
            if found is not None:
                partitions.append(found)
    return Plan(
        tenant,
        str(now_unix_nano),
        policy.content_hash,
        holds.content_hash,
        _horizons(policy, now_unix_nano),
        tuple(sorted(partitions, key=lambda each: (each.table, each.tenant, each.day))),
        kept.listed(),
    )


def stale_reasons(of: Plan, *, policy_hash: str, holds_hash: str, live: Mapping[str, Collection[str]]) -> list[str]:
    """Why a plan is not to be applied any more; empty where its inputs are what they were. `live` are paths by table."""
    reasons = []
    if of.policy_hash != policy_hash:
        reasons.append(f"another retention policy is in force: expected {of.policy_hash}, got {policy_hash}")
    if of.holds_hash != holds_hash:
        reasons.append(f"holds were placed or released: expected {of.holds_hash}, got {holds_hash}")
    for table, paths in sorted(of.files.items()):
        gone = sorted(paths - set(live.get(table, ())))
        if gone:
            reasons.append(f"{table}: {len(gone)} of {len(paths)} files are not live any more, such as {gone[0]}")
    return reasons


def encode_plan(of: Plan) -> bytes:
    """The plan's file: its canonical JSON and a newline."""
    return of.canonical + b"\n"


def read_plan(content: bytes) -> Plan:
    """A plan out of its file.

    Raises:
        InputError: it is none, or none that this version knows, or not spelled canonically.
    """
    try:
        document = msgspec.json.decode(content)
        if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
            raise InputError(f"plan: expected a JSON object with the format {FORMAT}")
        found = msgspec.convert(document, Plan)
        canonical = found.canonical
    except (msgspec.MsgspecError, ValueError) as exc:
        raise InputError(f"plan: {exc}", hint="`muniment retention plan --out FILE` writes such files") from exc
    if canonical != content.removesuffix(b"\n"):
        raise InputError(
            "plan: expected canonical JSON (RFC 8785), got another spelling: it was changed after it was made"
        )
    return found


def _partition(
    files: Sequence[FileState],
    due: Mapping[tuple[str, str], Due],
    policy: RetentionPolicy,
    now_unix_nano: int,
    kept: "_Kept",
) -> DuePartition | None:
    drop: list[DueFile] = []
    rewrite: list[DueFile] = []
    for file in files:
        found = _due_file(file, due[file.table, file.path], policy, now_unix_nano, kept)
        if found is not None:
            (drop if found.rows_due == found.rows else rewrite).append(found)
    if not drop and not rewrite:
        return None
    whole = len(drop) == len(files)
    first = files[0]
    return DuePartition(first.table, first.tenant_id, first.day, whole, tuple(drop), tuple(rewrite))


def _due_file(
    file: FileState, foreseen: Due, policy: RetentionPolicy, now_unix_nano: int, kept: "_Kept"
) -> DueFile | None:
    if foreseen is Due.NONE:
        return None
    if foreseen is Due.ALL:
        names = {rule.name for rule in policy.rules_for(file.table, file.tenant_id)}
        rules = {names.pop(): file.rows} if len(names) == 1 and file.rows is not None else {}
        return DueFile(file.path, file.size_bytes, file.rows, file.rows, rules)
    if file.cohorts is None:
        return DueFile(file.path, file.size_bytes, file.rows, None, {})
    count = _Count()
    for cohort in file.cohorts:
        _judge_cohort(file, cohort, policy, now_unix_nano, count, kept)
    if not count.rows and not count.unknown:
        return None
    return DueFile(file.path, file.size_bytes, file.rows, None if count.unknown else count.rows, count.rules)


def _judge_cohort(
    file: FileState, cohort: Cohort, policy: RetentionPolicy, now_unix_nano: int, count: "_Count", kept: "_Kept"
) -> None:
    verdict = judge(cohort, policy, now_unix_nano)
    if verdict.refused is not Due.NONE and verdict.minimum is not None:
        minimum = verdict.minimum
        exact = verdict.refused is Due.ALL
        kept.add(file, "minimum", minimum.name, cohort.rows, exact=exact, reason=minimum.citation)
    if verdict.due is Due.NONE or verdict.rule is None:
        return
    if cohort.holds:
        for hold in cohort.holds:
            kept.add(file, "hold", hold, cohort.rows, exact=verdict.due is Due.ALL)
        return
    count.unknown |= verdict.due is Due.SOME
    count.rows += cohort.rows if verdict.due is Due.ALL else 0
    if verdict.due is Due.ALL:
        count.rules[verdict.rule.name] = count.rules.get(verdict.rule.name, 0) + cohort.rows


def _horizons(policy: RetentionPolicy, now_unix_nano: int) -> tuple[Horizon, ...]:
    rules = [
        Horizon(
            "rule", rule.name, str(rule.keep), _counts_from(rule.scope.tables), str(rule.keep.horizon(now_unix_nano))
        )
        for rule in policy.rules
    ]
    minimums = [
        Horizon("minimum", minimum.name, str(minimum.keep), "receipt", str(minimum.keep.horizon(now_unix_nano)))
        for minimum in policy.minimums
    ]
    return (*rules, *minimums)


def _counts_from(tables: Iterable[str]) -> str:
    own = "own time, or receipt where that is earlier"
    named = set(tables)
    if named == {AUDIT_TABLE}:
        return "receipt"
    return f"{own}; in {AUDIT_TABLE} receipt" if AUDIT_TABLE in named else own


@dataclass
class _Count:
    rows: int = 0
    unknown: bool = False
    rules: dict[str, int] = field(default_factory=dict)


class _Kept:
    """Adds up what is kept back, by what and where."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str, str, str], tuple[set[str], int, bool]] = {}

    def add(self, file: FileState, by: str, name: str, rows: int, *, exact: bool, reason: str = "") -> None:
        """Rows of a file stay."""
        key = (by, name, file.table, file.tenant_id, reason)
        days, before, all_exact = self._found.get(key, (set(), 0, True))
        self._found[key] = ({*days, file.day}, before + rows, all_exact and exact)

    def listed(self) -> tuple[KeptBack, ...]:
        """All of it, in order."""
        return tuple(
            KeptBack(by, name, table, tenant, min(days), max(days), rows, exact, reason)
            for (by, name, table, tenant, reason), (days, rows, exact) in sorted(self._found.items())
        )
