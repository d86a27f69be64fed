"""Applied policies: what was put in force, when and by whom. Rows are only ever added; the newest of a kind is in force."""

from collections.abc import Callable
from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, insert, select

from warehouse.control.part import Part, announce_nothing, check_text
from warehouse.control.records import AppliedPolicy
from warehouse.control.schema import APPLIED_POLICIES
from warehouse.errors import ConflictError

_WITHOUT_BUNDLE = [column for column in APPLIED_POLICIES.c if column.name != "bundle"]


class AppliedPolicies(Part):
    """The policies' part of the control store. What the texts say is not its concern."""

    def apply_policy(
        self,
        kind: str,
        content_hash: str,
        bundle: str,
        *,
        by: str,
        replacing: str | None,
        announce: Callable[[AppliedPolicy], None] = announce_nothing,
    ) -> AppliedPolicy:
        """Put policy files in force in place of those with the hash `replacing`; None where none of this kind is in force.

        `by` is the principal, as `recorded_by` columns have it.

        Raises:
            ConflictError: another policy of this kind is in force than the one that is to be replaced, or this very one.
        """
        check_text(by, "principal")
        with self._database.read() as connection:
            last = _expect_last(connection, kind, replacing)
        revision = 1 if last is None else last.revision + 1
        if last is not None and last.hash == content_hash:
            raise ConflictError(f"policy {kind}: {content_hash} is in force already")
        # The clock may stand behind that of the host that applied the last one; the history stays in order.
        now = self._clock() if last is None else max(self._clock(), last.applied_unix_nano)
        applied = AppliedPolicy(kind, revision, content_hash, now, by, bundle)
        announce(applied)
        with self._database.write() as connection:
            _expect_last(connection, kind, replacing)
            # Of two that come this far on PostgreSQL, the primary key lets one through.
            connection.execute(insert(APPLIED_POLICIES).values(asdict(applied)))
        return applied

    def policy_in_force(self, kind: str) -> AppliedPolicy | None:
        """The newest policy of a kind, with its bundle; None where none was ever applied."""
        newest = select(APPLIED_POLICIES).where(APPLIED_POLICIES.c.kind == kind)
        with self._database.read() as connection:
            row = connection.execute(newest.order_by(APPLIED_POLICIES.c.revision.desc()).limit(1)).mappings().first()
        return None if row is None else _applied_of(row)

    def policy_hash(self, kind: str) -> str | None:
        """The hash of what is in force, without reading it: cheap enough to ask every second."""
        with self._database.read() as connection:
            last = _last(connection, kind)
        return None if last is None else last.hash

    def policy_history(self, kind: str | None = None) -> list[AppliedPolicy]:
        """Every policy ever applied, or those of a kind, newest first, without bundles."""
        wanted = select(*_WITHOUT_BUNDLE).order_by(
            APPLIED_POLICIES.c.applied_unix_nano.desc(), APPLIED_POLICIES.c.kind, APPLIED_POLICIES.c.revision.desc()
        )
        if kind is not None:
            wanted = wanted.where(APPLIED_POLICIES.c.kind == kind)
        with self._database.read() as connection:
            return [_applied_of(row) for row in connection.execute(wanted).mappings()]

    def policy_revisions(self, kind: str) -> list[AppliedPolicy]:
        """Every policy of a kind that was ever applied, newest first, with its bundle: for questions about what was once in force."""
        wanted = select(APPLIED_POLICIES).where(APPLIED_POLICIES.c.kind == kind)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(APPLIED_POLICIES.c.revision.desc())).mappings()
            return [_applied_of(row) for row in rows]


def _expect_last(connection: Connection, kind: str, replacing: str | None) -> AppliedPolicy | None:
    last = _last(connection, kind)
    found = None if last is None else last.hash
    if found != replacing:
        raise ConflictError(
            f"policy {kind}: expected {replacing or 'none'} in force, got {found or 'none'}: it was changed meanwhile",
            hint=f"look at `muniment policy diff {kind}` and apply again",
        )
    return last


def _last(connection: Connection, kind: str) -> AppliedPolicy | None:
    newest = select(*_WITHOUT_BUNDLE).where(APPLIED_POLICIES.c.kind == kind)
    row = connection.execute(newest.order_by(APPLIED_POLICIES.c.revision.desc()).limit(1)).mappings().first()
    return None if row is None else _applied_of(row)


def _applied_of(row: RowMapping) -> AppliedPolicy:
    return AppliedPolicy(**row)
