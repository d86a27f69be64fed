"""Shipped policies taken over by a lake that applied its own copy: what waits, and putting it in force, on record.

Adopting is applying a policy, with the same right, check, approval and event; what is put in force is written into the folder first.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from governance.access import Action
from muniment.policy_approval import put_in_force
from muniment.policy_kinds import PolicyKind, policy_kind
from muniment.wiring import CommandContext
from warehouse.control import ControlStore, RequestRecord
from warehouse.durable import replace_file
from warehouse.errors import ConflictError
from warehouse.policies import AppliedBundle, Bundle, PolicyError, in_force, read_folder
from warehouse.policies.adoption import Adoption, Standing, entries, plan_adoption
from warehouse.policies.blocks import Where

SOURCE = "shipped"
"""What `muniment.policy.source` of the event says."""


@dataclass(frozen=True)
class Adopted:
    """What adopting did: `applied` is in force now, None where nothing waits or `asked` waits for a second principal."""

    adoption: Adoption
    applied: AppliedBundle | None = None
    asked: RequestRecord | None = None


def read_adoption(context: CommandContext, kind: PolicyKind) -> Adoption:
    """How the policies of a kind that are in force stand to those that this version ships.

    Raises:
        DeniedError: the principal may not read policies.
        PolicyError: what is in force was written for another version, or cannot be changed line by line.
    """
    context.check(Action.POLICY_READ)
    return adoption_of(context.control, kind)


def adoption_of(control: ControlStore, kind: PolicyKind) -> Adoption:
    """As `read_adoption`, for whoever has decided already who may ask.

    Raises:
        PolicyError: as there.
    """
    found = in_force(control, kind.name)
    if found is None or found.content_hash == kind.defaults().content_hash:
        return plan_adoption(kind.family(), None, frozenset())
    return _planned(kind, found.bundle, _known(control, kind))


def what_waits(control: ControlStore, kind: PolicyKind) -> str:
    """In a sentence what this version ships and is not in force; empty where nothing waits, or it cannot be told."""
    try:
        found = in_force(control, kind.name)
        if found is None or found.content_hash == kind.defaults().content_hash:
            return ""
        adoption = adoption_of(control, kind)
    except PolicyError:
        return ""  # what is wrong with it is said where policies are checked
    return adoption.summary() if adoption.waits else ""


def adopt_shipped(context: CommandContext, kind: PolicyKind, *, approve: bool = False) -> Adopted:
    """Put what this version ships in force and into the folder, and keep what is the organisation's own.

    Of a kind whose changes take two principals this asks for the second; with `approve` it is the second.

    Raises:
        DeniedError: the principal may not apply policies, or approves what it asked for itself.
        NotFoundError: there is nothing to approve.
        ConflictError: this kind is never adopted, the folder holds changes that were not applied, or the policy was changed meanwhile.
        PolicyError: as `read_adoption`, or what was put together cannot be used.
        UnavailableError: it cannot be recorded, and so was not applied: the folder holds it, for `muniment policy apply`.
    """
    context.check(Action.POLICY_APPLY)
    if kind.never_adopted:
        raise ConflictError(
            f"policy adopt: expected another kind, got {kind.name}: {kind.never_adopted}",
            hint=f"`muniment policy shipped {kind.name} --diff` shows the difference: copy what you want, and apply it",
        )
    adoption = read_adoption(context, kind)
    if not adoption.waits:
        return Adopted(adoption)
    _check_folder(context, kind, adoption)
    kind.validate(adoption.after)
    for name in adoption.before.files.keys() - adoption.after.files.keys():
        (context.lake.policies / kind.name / name).unlink(missing_ok=True)
    for name, text in adoption.after.files.items():
        replace_file(context.lake.policies / kind.name / name, text.encode())
    done = put_in_force(
        context,
        kind,
        adoption.after,
        replacing=adoption.before.content_hash,
        approve=approve,
        attributes={
            "muniment.policy.source": SOURCE,
            "muniment.policy.adopted": adoption.named(Standing.NEW, Standing.CHANGED, Standing.WITHDRAWN),
        },
    )
    return Adopted(adoption, asked=done) if isinstance(done, RequestRecord) else Adopted(adoption, applied=done)


def _check_folder(context: CommandContext, kind: PolicyKind, adoption: Adoption) -> None:
    found = read_folder(context.lake, kind.name)
    if found.files and found.content_hash not in {adoption.before.content_hash, adoption.after.content_hash}:
        raise ConflictError(
            f"{kind.name}: expected the folder to be what is in force, got changes in it that were not applied",
            hint=f"`muniment policy diff {kind.name}` shows them; apply them, or put back what is in force, and adopt again",
        )


def _known(control: ControlStore, kind: PolicyKind) -> AbstractSet[Where]:
    """Every entry that was ever in force; what was written for another version names none."""
    found: set[Where] = set()
    for each in control.policy_revisions(kind.name):
        found |= _named(kind.name, each.bundle or "", each.hash)
    return frozenset(found)


@lru_cache(maxsize=256)
def _named(kind: str, files: str, content_hash: str) -> AbstractSet[Where]:
    try:
        return frozenset(entries(policy_kind(kind).family(), Bundle.from_json(kind, files, content_hash=content_hash)))
    except PolicyError:
        return frozenset()


@lru_cache(maxsize=32)
def _planned(kind: PolicyKind, in_force: Bundle, known: AbstractSet[Where]) -> Adoption:
    return plan_adoption(kind.family(), in_force, known)
