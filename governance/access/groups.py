"""`groups.yaml`: which groups of a provider and which local users hold which role, where and until when; and whose accounts are one person's.

It lies among the access policies and is applied with them, so that a change of who has a role is checked, compared, recorded and,
where two hold the right, approved like a change of what a role may do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec

from governance.access.grants import ASSIGNABLE_ROLES, Grant, Role
from warehouse.errors import NameRuleError
from warehouse.names import check_name
from warehouse.policies import PolicyError, Problem
from warehouse.policies.yaml_lines import Document, convert, read_document
from warehouse.principals import PrincipalKind

GROUPS_FILE = "groups.yaml"
DEFAULT_CLAIM = "groups"
_GIVABLE = ASSIGNABLE_ROLES | {Role.TENANT_ADMIN}
_PEOPLE = {PrincipalKind.LOCAL_USER.value, PrincipalKind.OIDC_USER.value}
_TWO = 2


class GrantConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One grant as users write it; `until` is the last day on which it holds, in UTC."""

    role: str
    group: str | None = None
    user: str | None = None
    tenants: list[str] | None = None
    until: str | None = None


class GroupsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file. `claim` names the claim of the provider's token that lists a user's groups."""

    version: int
    grants: list[GrantConfig]
    claim: str = DEFAULT_CLAIM
    same_person: list[list[str]] = msgspec.field(default_factory=list)


@dataclass(frozen=True)
class Groups:
    """Who holds what by the file: grants of groups and of local users, by their names, in the order of the file.

    `same_person` are accounts of one person each, as `recorded_by` columns name them; no account is in two of them.
    """

    claim: str = DEFAULT_CLAIM
    by_group: tuple[tuple[str, Grant], ...] = ()
    by_user: tuple[tuple[str, Grant], ...] = ()
    same_person: tuple[frozenset[str], ...] = ()

    def accounts(self, account: str) -> frozenset[str]:
        """Every account of the person who has this one, itself among them."""
        return next((each for each in self.same_person if account in each), frozenset({account}))


NO_GROUPS = Groups()


def read_groups(text: str, file: str = GROUPS_FILE) -> Groups:
    """Read the file.

    Raises:
        PolicyError: it cannot be used; every problem that can be found at once is named by line and key.
    """
    document = read_document(file, text)
    config = convert(document, GroupsConfig)
    problems = [] if config.version == 1 else [document.problem(("version",), f"got {config.version}, expected 1")]
    for number, entry in enumerate(config.grants):
        problems += _problems(document, number, entry)
    problems += _person_problems(document, config.same_person)
    if problems:
        raise PolicyError(problems)
    grants = [(entry, _grant(entry)) for entry in config.grants]
    return Groups(
        config.claim,
        tuple((entry.group, grant) for entry, grant in grants if entry.group is not None),
        tuple((entry.user, grant) for entry, grant in grants if entry.user is not None),
        tuple(map(frozenset, config.same_person)),
    )


def _problems(document: Document, number: int, entry: GrantConfig) -> Iterator[Problem]:
    place = ("grants", number)
    if entry.role not in _GIVABLE:
        yield document.problem((*place, "role"), f"got {entry.role!r}, expected {', '.join(sorted(_GIVABLE))}")
    if bool(entry.group) == bool(entry.user):
        yield document.problem(place, f"got {'both' if entry.group else 'neither'}, expected group or user")
    for position, tenant in enumerate(entry.tenants or ()):
        try:
            check_name(tenant, "tenant")
        except NameRuleError as exc:
            yield document.problem((*place, "tenants", position), str(exc))
    if entry.tenants == []:
        yield document.problem(
            (*place, "tenants"), "got none, expected at least one; without the key it means every tenant"
        )
    if entry.until is not None and _end(entry.until) is None:
        yield document.problem((*place, "until"), f"got {entry.until!r}, expected the last day, such as '2027-03-31'")
    yield from _bound_problems(document, number, entry)


def _bound_problems(document: Document, number: int, entry: GrantConfig) -> Iterator[Problem]:
    """An auditor who comes from outside sees one tenant for a time; a tenant admin is one of named tenants."""
    place = ("grants", number)
    if entry.role == Role.TENANT_ADMIN and not entry.tenants:
        yield document.problem((*place, "tenants"), "got none, expected the tenants that a tenant admin runs")
    if entry.role == Role.AUDITOR and entry.group:
        if len(entry.tenants or ()) != 1:
            yield document.problem((*place, "tenants"), "expected exactly one tenant for auditors who sign in")
        if entry.until is None:
            yield document.problem((*place, "until"), "got none, expected the last day for auditors who sign in")


def _person_problems(document: Document, persons: Sequence[Sequence[str]]) -> Iterator[Problem]:
    """Each person has two accounts or more, of people, and shares none."""
    seen: set[str] = set()
    for number, accounts in enumerate(persons):
        if len(set(accounts)) < _TWO:
            yield document.problem(
                ("same_person", number), f"got {len(set(accounts))}, expected two accounts or more of one person"
            )
        for position, account in enumerate(accounts):
            place = ("same_person", number, position)
            kind, _, name = account.partition(":")
            if kind not in _PEOPLE or not name:
                yield document.problem(place, f"got {account!r}, expected user:NAME or oidc:SUBJECT")
            elif account in seen:
                yield document.problem(place, f"got {account} twice, expected each account once")
            seen.add(account)


def _grant(entry: GrantConfig) -> Grant:
    source = f"{GROUPS_FILE}: " + (f"group {entry.group}" if entry.group else f"user {entry.user}")
    tenants = None if entry.tenants is None else frozenset(entry.tenants)
    return Grant(Role(entry.role), tenants, None if entry.until is None else _end(entry.until), source)


def _end(text: str) -> int | None:
    """The first second after a day, UTC; None for what is no day."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + int(timedelta(days=1).total_seconds())
