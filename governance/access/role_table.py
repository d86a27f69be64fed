"""Which role may do which action under given policies: the table in the reference, and what a change of policies changes.

Asked as for a local user (a key or job for their roles) who holds that role alone, about a tenant that they are bound to only where
the role needs one. Policies that look at a person's name, groups or at a time can say otherwise for that person.
"""

import re
from collections.abc import Iterator, Mapping

from governance.access.actions import Action
from governance.access.asking import Question, ask
from governance.access.grants import ASSIGNABLE_ROLES, Grant, Role, Standing, stand
from governance.access.policy import AccessPolicy
from warehouse.clock import NANOS_PER_SECOND, utc_text
from warehouse.policies import PolicyError, Problem
from warehouse.principals import Principal, PrincipalKind

SOMEBODY = "*"
"""Stands for one of whom only the role is known: nobody is called so."""

ANY_TENANT = "*"
"""Stands for a tenant of whom nothing is known."""
_KINDS = {Role.SENDER: PrincipalKind.API_KEY, Role.JOB: PrincipalKind.JOB}
_NAMED = re.compile(r'\bUser::"((?:\\.|[^"\\])*)"')


def role_table(policy: AccessPolicy) -> Mapping[Role, frozenset[Action]]:
    """What each role may do in a tenant."""
    questions = [Question(action, ANY_TENANT) for action in Action]
    table = {}
    for role in Role:
        decisions = ask(policy, standing_of(role), questions, 0)
        allowed = (each.action for each, decision in zip(questions, decisions, strict=True) if decision.allowed)
        table[role] = frozenset(allowed)
    return table


def describe_changes(old: AccessPolicy, new: AccessPolicy) -> list[str]:
    """What another set of policies changes: for each role what it may do more and less, and which policies are new, gone or other."""
    return [*_role_changes(old, new), *_grant_changes(old, new), *_policy_changes(old, new)]


def standing_of(role: Role) -> Standing:
    """How somebody stands towards a tenant who holds this role alone."""
    bound = None if role in ASSIGNABLE_ROLES or role is Role.JOB else frozenset({ANY_TENANT})
    return stand(Principal(_KINDS.get(role, PrincipalKind.LOCAL_USER), SOMEBODY), [Grant(role, bound)], ANY_TENANT, 0)


def _role_changes(old: AccessPolicy, new: AccessPolicy) -> Iterator[str]:
    before, after = role_table(old), role_table(new)
    for role in Role:
        for word, actions in (("gains", after[role] - before[role]), ("loses", before[role] - after[role])):
            if actions:
                yield f"{role.value} {word}: {', '.join(sorted(action.value for action in actions))}"


def _grant_changes(old: AccessPolicy, new: AccessPolicy) -> Iterator[str]:
    before, after = _given_texts(old), _given_texts(new)
    yield from (f"no longer: {text}" for text in sorted(before - after))
    yield from (f"from now on: {text}" for text in sorted(after - before))


def _given(policy: AccessPolicy) -> Iterator[tuple[str, Grant]]:
    yield from ((f"group {name}", grant) for name, grant in policy.groups.by_group)
    yield from ((f"user {name}", grant) for name, grant in policy.groups.by_user)


def _grant_text(name: str, grant: Grant) -> str:
    where = "every tenant" if grant.tenants is None else ", ".join(sorted(grant.tenants))
    until = "" if grant.until is None else f" until {utc_text(grant.until * NANOS_PER_SECOND)}"
    return f"{name} is {grant.role.value} in {where}{until}"


def _given_texts(policy: AccessPolicy) -> set[str]:
    persons = (f"{' and '.join(sorted(accounts))} are one person" for accounts in policy.groups.same_person)
    return {*(_grant_text(*each) for each in _given(policy)), *persons}


def _policy_changes(old: AccessPolicy, new: AccessPolicy) -> Iterator[str]:
    before = {statement.id: statement.text for statement in old.statements}
    after = {statement.id: statement.text for statement in new.statements}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            word = "added" if name not in before else "removed" if name not in after else "changed"
            yield f"policy {name} {word}"


def require_appliers(policy: AccessPolicy) -> None:
    """Refuse policies under which no local user could apply policies again: an operator, or somebody whom a policy names.

    Raises:
        PolicyError: there is none.
    """
    named = {name for statement in policy.statements for name in _NAMED.findall(statement.text)}
    question = Question(Action.POLICY_APPLY)
    for name in (SOMEBODY, *sorted(named)):
        for role in (Role.OPERATOR, *sorted(ASSIGNABLE_ROLES - {Role.OPERATOR})):
            standing = stand(Principal(PrincipalKind.LOCAL_USER, name), [Grant(role)], None, 0)
            if ask(policy, standing, [question], 0)[0].allowed:
                return
    message = (
        'got policies that let nobody apply policies again, expected one such as: @id("operator-applies-policies") '
        'permit (principal in Role::"operator", action == Action::"policy.apply", resource);'
    )
    first = policy.statements[0]
    raise PolicyError([Problem(first.file, first.line, Action.POLICY_APPLY.value, message)])
