"""Answers whether a principal may do something, by the access policies in force.

- The operating-system user who owns the lake's folder, and root, hold the role `operator`: they could change the files anyway.
- Other local users have the roles that settings give them, none by default.
- An API key is a sender of its own tenant, never more.
- A job of Muniment's own has the role `job`, in every tenant.

What a role may do is said by policies alone.
"""

import os
import pwd
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from governance.access.actions import Action
from governance.access.asking import Question, ask
from governance.access.decision import Decision
from governance.access.explanation import Explanation, deciding_policies
from governance.access.grants import ASSIGNABLE_ROLES, Grant, Role, stand
from governance.access.groups import NO_GROUPS, Groups
from governance.access.identity import UserClaim, signed_in
from governance.access.in_force import shipped_policy
from governance.access.policy import AccessPolicy
from warehouse.clock import NANOS_PER_SECOND, Clock, system_clock
from warehouse.errors import DeniedError, SettingsError
from warehouse.policies import PolicyError
from warehouse.principals import Principal, PrincipalKind

if TYPE_CHECKING:  # at run time it would make every command wait for the query engine
    from warehouse.query.limits import ReadLimits

ROOT_UID = 0
_REPAIR = frozenset({Action.POLICY_READ, Action.POLICY_APPLY})
_SOMEBODY = "*"
"""Stands for a user of whom only the role is known: no operating-system user is called so."""


class Access:
    """Answers whether a principal may do something.

    `users` maps a role to the names of the local users who have it; `owner` is the name of the user who owns the lake. `policies`
    gives the policies in force, the package's own by default, and is asked each time: it keeps what it has parsed.

    Raises:
        SettingsError: a role that no local user can have.
    """

    def __init__(
        self,
        *,
        owner: str,
        users: Mapping[str, Collection[str]] | None = None,
        policies: Callable[[], AccessPolicy] = shipped_policy,
        clock: Clock = system_clock,
    ) -> None:
        self.owner = owner
        given: dict[str, frozenset[str]] = {role: frozenset(names) for role, names in (users or {}).items()}
        if not given.keys() <= ASSIGNABLE_ROLES:
            raise SettingsError(
                f"roles of local users: expected {', '.join(sorted(ASSIGNABLE_ROLES))}, got {', '.join(sorted(given))}"
            )
        given[Role.OPERATOR] = given.get(Role.OPERATOR, frozenset()) | {owner}
        self._users = users
        self._named = {Role(role): names for role, names in given.items()}
        self._policies = policies
        self._clock = clock

    @classmethod
    def for_lake(cls, lake: Path, users: Mapping[str, Collection[str]] | None = None) -> Self:
        """Access to the lake in that folder, with the `users` of its settings, under the package's own policies.

        Of a folder that is not there yet, whoever runs this will be the owner.
        """
        try:
            uid = lake.stat().st_uid
        except FileNotFoundError:
            uid = os.geteuid()
        return cls(owner=user_name(uid), users=users)

    def under(self, policies: Callable[[], AccessPolicy], clock: Clock | None = None) -> "Access":
        """The same people under other policies."""
        return Access(owner=self.owner, users=self._users, policies=policies, clock=clock or self._clock)

    def grants(self, principal: Principal) -> tuple[Grant, ...]:
        """What a principal holds: roles, where, and until when; nothing for one that nothing names.

        Raises:
            PolicyError: the policies in force cannot be used.
            ControlUnavailableError: the control database does not answer.
        """
        return self._grants(principal, self._usable().groups)

    def _grants(self, principal: Principal, groups: Groups) -> tuple[Grant, ...]:
        match principal.kind:
            case PrincipalKind.LOCAL_USER:
                given = [grant for name, grant in groups.by_user if name == principal.id]
                return (*self._local_grants(principal.id), *given)
            case PrincipalKind.API_KEY:
                # A key without its tenant would be a key to all of them: whoever made it made a mistake.
                return (Grant(Role.SENDER, principal.tenants, source="an API key"),) if principal.tenants else ()
            case PrincipalKind.JOB:
                return (Grant(Role.JOB, source="a job of Muniment's own"),)
            case PrincipalKind.OIDC_USER:
                return tuple(grant for name, grant in groups.by_group if name in principal.groups)

    def _local_grants(self, name: str) -> Iterator[Grant]:
        for role, names in self._named.items():
            if name in names:
                owner = role is Role.OPERATOR and name == self.owner
                yield Grant(role, source="owns the lake's folder" if owner else "setting users")
        if name == user_name(ROOT_UID) and name not in self._named[Role.OPERATOR]:
            yield Grant(Role.OPERATOR, source="root")

    def held(self) -> list[tuple[str, Grant]]:
        """Everybody whom the lake names with what each holds: `user:NAME` and `group:NAME`, root last.

        Raises:
            PolicyError: the policies in force cannot be used.
            ControlUnavailableError: the control database does not answer.
        """
        groups = self._usable().groups
        names = sorted({*frozenset().union(*self._named.values()), *(name for name, _ in groups.by_user)})
        root = user_name(ROOT_UID)
        users = [
            Principal(PrincipalKind.LOCAL_USER, name) for name in [*(name for name in names if name != root), root]
        ]
        found = [(user.recorded_by, grant) for user in users for grant in self._grants(user, groups)]
        return [*found, *((f"group:{name}", grant) for name, grant in groups.by_group)]

    def explain(self, principal: Principal, action: Action, tenant: str | None = None) -> Explanation:
        """Decide as `decide` does, and say by which policies and from what the principal holds.

        Raises:
            PolicyError: the policies in force cannot be used.
            ControlUnavailableError: the control database does not answer.
        """
        policy, now = self._usable(), self._clock() // NANOS_PER_SECOND
        grants = self._grants(principal, policy.groups)
        standing = stand(principal, grants, tenant, now)
        decision = ask(policy, standing, [Question(action, tenant)], now)[0]
        deciding = deciding_policies(policy, decision)
        others = policy.groups.accounts(principal.recorded_by) - {principal.recorded_by}
        return Explanation(principal, action, tenant, decision, deciding, grants, standing, others)

    def explain_reading(self, principal: Principal, action: str, tenant: str) -> dict[str, Decision]:
        """Each decision about what of a tenant's tables is shown, of one of `governance.access.limits.READING`, by what it is about.

        Raises:
            PolicyError: the policies in force cannot be used.
            ControlUnavailableError: the control database does not answer.
        """
        from governance.access.limits import explain_limits

        policy, now = self._usable(), self._clock() // NANOS_PER_SECOND
        standing = stand(principal, self._grants(principal, policy.groups), tenant, now)
        return explain_limits(policy, standing, tenant, now, action)

    def signed_in(
        self, claims: Mapping[str, object], *, session_hours: float, user_claim: UserClaim = "sub"
    ) -> Principal:
        """The principal of a provider's user, by claims whose signature was checked; its groups by the claim that `groups.yaml` names.

        Raises:
            DeniedError: the claims do not say who it is, or the session has ended: they hold for `session_hours`.
            PolicyError: the policies in force cannot be used.
            ControlUnavailableError: the control database does not answer.
        """
        now = self._clock() / NANOS_PER_SECOND
        claim = self._usable().groups.claim
        return signed_in(claims, claim, now=now, session_hours=session_hours, user_claim=user_claim)

    def roles(self, principal: Principal) -> frozenset[Role]:
        """The roles of a principal, wherever it has them now; none for one that nothing names, or whose roles ended.

        Raises:
            PolicyError: the policies in force cannot be used.
            ControlUnavailableError: the control database does not answer.
        """
        now = self._clock() // NANOS_PER_SECOND
        return frozenset(grant.role for grant in self.grants(principal) if grant.lasts(now))

    def holders(self, action: Action, tenant: str | None = None) -> frozenset[str]:
        """Who has a right in a tenant, or in the whole lake, as `recorded_by` columns name them, and groups of `groups.yaml` as `group:NAME`.

        Of people those count whom the lake names: its owner, and local users of the settings and of `groups.yaml`. Root counts only where it is one of these: it is a way of acting that several people may share, or one person have besides
        their own name, and so no second pair of eyes.
        """
        groups = self._groups()
        named = {*frozenset().union(*self._named.values()), *(name for name, _ in groups.by_user)}
        people = {f"user:{name}": Principal(PrincipalKind.LOCAL_USER, name) for name in named}
        for name, _ in groups.by_group:
            people[group_name(name)] = Principal(PrincipalKind.OIDC_USER, _SOMEBODY, groups=frozenset({name}))
        return frozenset(name for name, person in people.items() if self._holds(person, action, tenant))

    def accounts(self, principal: Principal) -> frozenset[str]:
        """Every account of the person whose one this is, by `same_person` of `groups.yaml`, as `recorded_by` columns name them."""
        return self._groups().accounts(principal.recorded_by)

    def persons(self, holders: Collection[str]) -> int:
        """How many persons at least these `holders` are: accounts of one person count once, a group as one person more."""
        groups = self._groups()
        return len({groups.accounts(name) for name in holders})

    def _groups(self) -> Groups:
        try:
            return self._policies().groups
        except PolicyError:
            return NO_GROUPS

    def _holds(self, person: Principal, action: Action, tenant: str | None) -> bool:
        try:
            return self.decide(person, action, tenant).allowed
        except PolicyError:
            return False

    def decide(self, principal: Principal, action: Action, tenant: str | None = None) -> Decision:
        """Whether `principal` may do `action` in `tenant`; None means the whole lake.

        Raises:
            PolicyError: the policies in force cannot be used.
            ControlUnavailableError: the control database does not answer, so that nobody can say which policies are in force.
        """
        return self.decide_all(principal, [Question(action, tenant)])[0]

    def decide_all(self, principal: Principal, questions: Sequence[Question]) -> list[Decision]:
        """As `decide`, for many questions at once: those about one tenant are one call of the engine."""
        policy, now = self._policy_for(principal, questions), self._clock() // NANOS_PER_SECOND
        grants = self._grants(principal, policy.groups)
        answers: dict[Question, Decision] = {}
        for tenant in dict.fromkeys(question.tenant for question in questions):
            asked = list(dict.fromkeys(question for question in questions if question.tenant == tenant))
            decisions = ask(policy, stand(principal, grants, tenant, now), asked, now)
            answers |= zip(asked, decisions, strict=True)
        return [answers[question] for question in questions]

    def _policy_for(self, principal: Principal, questions: Sequence[Question]) -> AccessPolicy:
        try:
            return self._usable()
        except PolicyError:
            # Who owns the folder could put any policies into it: better they do so by a command that is recorded.
            owns = principal.kind is PrincipalKind.LOCAL_USER and principal.id in {self.owner, user_name(ROOT_UID)}
            if owns and all(question.action in _REPAIR for question in questions):
                return shipped_policy()
            raise

    def _usable(self) -> AccessPolicy:
        try:
            return self._policies()
        except PolicyError as exc:
            exc.hint = (
                f"the access policies in force cannot be used: until {self.owner}, who owns the lake, runs "
                "`muniment policy apply access` with others, everything else is denied"
            )
            raise

    def limits(self, principal: Principal, tenants: Collection[str]) -> "ReadLimits":
        """Which rows and columns a principal may read in a session over all of `tenants`: what it may read in each of them.

        Raises:
            PolicyError: the policies in force cannot be used.
            ControlUnavailableError: the control database does not answer.
        """
        from governance.access.limits import common_limits, read_limits

        policy, now = self._usable(), self._clock() // NANOS_PER_SECOND
        grants = self._grants(principal, policy.groups)
        return common_limits(
            [read_limits(policy, stand(principal, grants, tenant, now), tenant, now) for tenant in sorted(set(tenants))]
        )

    def check(self, principal: Principal, action: Action, tenant: str | None = None) -> Decision:
        """As `decide`, raising where the answer is no.

        Raises:
            DeniedError: it is; the message says who, what, where and why, the hint who can help.
        """
        decision = self.decide(principal, action, tenant)
        if not decision.allowed:
            raise self.denial(principal, action, tenant, decision)
        return decision

    def denial(self, principal: Principal, action: Action, tenant: str | None, decision: Decision) -> DeniedError:
        """The error that says a denial: who, what, where and why, and who can help."""
        where = "the whole lake" if tenant is None else f"tenant {tenant}"
        return DeniedError(
            f"{principal.recorded_by} may not {action.value} in {where}: {decision.reason}",
            hint=self._hint(principal, action, tenant),
        )

    def _hint(self, principal: Principal, action: Action, tenant: str | None) -> str:
        if principal.kind is PrincipalKind.API_KEY:
            return "an API key only sends records to its own tenant: use the command line for anything else"
        helpful = [role.value for role in sorted(ASSIGNABLE_ROLES) if self._allows(role, action, tenant)]
        if not helpful:
            return f"no role that a local user can have allows it: {self.owner}, who owns the lake, can change the policies"
        return (
            f"run it as {self.owner}, who owns the lake, or have them give you one of the roles: {', '.join(helpful)}"
        )

    def _allows(self, role: Role, action: Action, tenant: str | None) -> bool:
        somebody = Principal(PrincipalKind.LOCAL_USER, _SOMEBODY)
        now = self._clock() // NANOS_PER_SECOND
        return ask(self._policies(), stand(somebody, [Grant(role)], tenant, now), [Question(action, tenant)], now)[
            0
        ].allowed


def group_name(group: str) -> str:
    """What stands for the members of a provider's group among those who hold a right."""
    return f"group:{group}"


def local_principal(uid: int | None = None) -> Principal:
    """The principal of an operating-system user: by default the one whose rights this process has."""
    return Principal(kind=PrincipalKind.LOCAL_USER, id=user_name(os.geteuid() if uid is None else uid))


def user_name(uid: int) -> str:
    """The name of an operating-system user, or `uid-<number>` for one without a name, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
