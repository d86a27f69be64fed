"""Policies that take two principals: how long records are kept is not one person's to shorten, where two hold the right.

Asked for by one, under the hash of the files; approved and put in force by another, who sees the same files under the same hash. What
`init` puts in force, the package's own policy on an empty lake, takes one.
"""

from collections.abc import Mapping
from typing import Any

from governance.access import Action
from muniment import approvals
from muniment.approvals import Approvable
from muniment.four_eyes import four_eyes
from muniment.policies import apply_bundle
from muniment.policy_kinds import PolicyKind
from muniment.wiring import CommandContext
from warehouse.control import RequestRecord
from warehouse.policies import AppliedBundle, Bundle

KIND = "policy.apply"


def put_in_force(
    context: CommandContext,
    kind: PolicyKind,
    bundle: Bundle,
    *,
    replacing: str | None,
    approve: bool,
    attributes: Mapping[str, Any] | None = None,
) -> AppliedBundle | RequestRecord:
    """Put a bundle in force, or ask for the approval that it needs first; with `approve` give it and put the bundle in force.

    `attributes` are more of the event that says so.

    Raises:
        DeniedError: the principal may not, or approves what it asked for itself.
        NotFoundError: there is nothing to approve: nobody asked, or the files are not those that were asked for.
        PolicyError: the bundle cannot be used.
        ConflictError: something else is in force than `replacing`, another principal asked for it already, or this very bundle is in
            force.
        UnavailableError: it cannot be recorded, and so was not applied.
    """
    decision = context.access.check(context.principal, Action.POLICY_APPLY)
    kind.validate(bundle)
    kind.admit(bundle, context.access)
    what = Approvable(KIND, f"{kind.name} {bundle.content_hash}", "policy")
    asked: RequestRecord | None = None
    if approve:
        asked = approvals.approve(context, what, decision)
    elif kind.takes_two and replacing is not None:
        eyes = four_eyes(context.settings, context.access, Action.POLICY_APPLY, context.principal)
        if eyes.needed:
            return approvals.ask(context, what, decision)
    applied = apply_bundle(
        context.control,
        context.access,
        context.principal,
        context.record,
        kind=kind,
        bundle=bundle,
        replacing=replacing,
        attributes=attributes,
    )
    if asked is not None:
        context.control.close_request(asked.id)
    return applied
