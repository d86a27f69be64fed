"""Shipped controls taken over by a lake that applied its own copy: what waits, and putting it in force, on record.

Adopting is applying a policy, with the same right, check and event; what is put in force is written into the folder first.
"""

from collections.abc import Set as AbstractSet
from functools import lru_cache

from governance.access import Action
from governance.controls.adoption import Adoption, Standing, Where, plan_adoption
from governance.controls.framework import KIND, compile_controls
from governance.controls.shipped import parts
from muniment.policies import apply_bundle
from muniment.policy_kinds import CONTROLS
from muniment.wiring import CommandContext
from warehouse.control import ControlStore
from warehouse.durable import replace_file
from warehouse.errors import ConflictError
from warehouse.policies import AppliedBundle, Bundle, PolicyError, in_force, read_folder

SOURCE = "shipped"
"""What `muniment.policy.source` of the event says."""


def read_adoption(context: CommandContext) -> Adoption:
    """How the controls in force stand to those that this version ships.

    Raises:
        DeniedError: the principal may not read policies.
        PolicyError: what is in force was written for another version, or cannot be changed line by line.
    """
    context.check(Action.POLICY_READ)
    return adoption_of(context.control)


def adoption_of(control: ControlStore) -> Adoption:
    """As `read_adoption`, for whoever has decided already who may ask.

    Raises:
        PolicyError: as there.
    """
    found = in_force(control, KIND)
    if found is None or found.content_hash == CONTROLS.defaults().content_hash:
        return plan_adoption(None, frozenset())
    return _planned(found.bundle.to_json(), found.content_hash, _known(control))


def adopt_controls(context: CommandContext) -> tuple[Adoption, AppliedBundle | None]:
    """Put what this version ships in force and into the folder, and keep what is the organisation's own; None where nothing waits.

    Raises:
        DeniedError: the principal may not apply policies.
        ConflictError: the folder holds changes that were not applied, or the policy was changed meanwhile.
        PolicyError: as `read_adoption`.
        UnavailableError: it cannot be recorded, and so was not applied: the folder holds it, for `muniment policy apply controls`.
    """
    context.check(Action.POLICY_APPLY)
    adoption = read_adoption(context)
    if not adoption.waits:
        return adoption, None
    _check_folder(context, adoption)
    for name in adoption.before.files.keys() - adoption.after.files.keys():
        (context.lake.policies / KIND / name).unlink(missing_ok=True)
    for name, text in adoption.after.files.items():
        replace_file(context.lake.policies / KIND / name, text.encode())
    applied = apply_bundle(
        context.control,
        context.access,
        context.principal,
        context.record,
        kind=CONTROLS,
        bundle=adoption.after,
        replacing=adoption.before.content_hash,
        attributes={
            "muniment.policy.source": SOURCE,
            "muniment.policy.adopted": adoption.named(Standing.NEW, Standing.CHANGED, Standing.WITHDRAWN),
        },
    )
    return adoption, applied


def _check_folder(context: CommandContext, adoption: Adoption) -> None:
    found = read_folder(context.lake, KIND)
    if found.files and found.content_hash not in {adoption.before.content_hash, adoption.after.content_hash}:
        raise ConflictError(
            "controls: expected the folder to be what is in force, got changes in it that were not applied",
            hint="`muniment policy diff controls` shows them; apply them, or put back what is in force, and adopt again",
        )


def _known(control: ControlStore) -> AbstractSet[Where]:
    """Every control that was ever in force; what was written for another version names none."""
    found: set[Where] = set()
    for each in control.policy_revisions(KIND):
        found |= _named(each.bundle or "", each.hash)
    return frozenset(found)


@lru_cache(maxsize=64)
def _named(files: str, content_hash: str) -> AbstractSet[Where]:
    try:
        return frozenset(parts(compile_controls(Bundle.from_json(KIND, files, content_hash=content_hash))))
    except PolicyError:
        return frozenset()


@lru_cache(maxsize=8)
def _planned(files: str, content_hash: str, known: AbstractSet[Where]) -> Adoption:
    return plan_adoption(Bundle.from_json(KIND, files, content_hash=content_hash), known)
