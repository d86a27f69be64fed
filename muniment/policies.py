"""Policies as a principal changes them: allowed, checked, recorded, then put in force.

What lies in the folder changes nothing until it is applied. A change is recorded first (`policy.changed` in the lake's own log,
with the new hash as its policy version); one that cannot be recorded is not made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from governance.access import Access, Action
from muniment.policy_kinds import KINDS, PolicyKind
from muniment.tenancy import Record, recording
from warehouse.clock import utc_text
from warehouse.control import ControlStore
from warehouse.durable import make_folder, replace_file
from warehouse.errors import MunimentError
from warehouse.lake import Lake
from warehouse.names import LAKE_TENANT
from warehouse.policies import (
    AppliedBundle,
    Bundle,
    Difference,
    PolicyError,
    Problem,
    apply,
    compare,
    in_force,
    read_folder,
)
from warehouse.principals import Principal

EXAMPLES = "examples"
"""Folder beside the policies of a kind, with files to choose from."""


@dataclass(frozen=True)
class Pending:
    """What lies in the folder beside what is in force.

    Attributes:
        kind: the kind's name.
        old: what is in force; None where none was ever applied.
        new: what lies in the folder.
        difference: how the files differ.
        problems: what is wrong with the folder; empty when it could be applied.
        changes: what applying would change, in words; empty where something is wrong.
    """

    kind: str
    old: AppliedBundle | None
    new: Bundle
    difference: Difference
    problems: tuple[Problem, ...]
    changes: tuple[str, ...]

    @property
    def old_hash(self) -> str | None:
        """The hash of what is in force."""
        return None if self.old is None else self.old.content_hash

    @property
    def differs(self) -> bool:
        """Whether the folder is not what is in force."""
        return self.old_hash != self.new.content_hash


def find_problems(kind: PolicyKind, bundle: Bundle) -> tuple[Problem, ...]:
    """What is wrong with a bundle; empty when it can be applied."""
    try:
        kind.validate(bundle)
    except PolicyError as exc:
        return exc.problems
    return ()


def read_pending(lake: Lake, control: ControlStore, kind: PolicyKind) -> Pending:
    """Compare the folder of a kind with what is in force.

    Raises:
        PolicyError: a file of the folder is no text.
    """
    old, new = in_force(control, kind.name), read_folder(lake, kind.name)
    problems = find_problems(kind, new)
    before = None if old is None else old.bundle
    return Pending(
        kind.name,
        old,
        new,
        compare(before or Bundle(kind.name), new),
        problems,
        () if problems else tuple(kind.changes(before, new)),
    )


def apply_bundle(
    control: ControlStore,
    access: Access,
    principal: Principal,
    record: Record,
    *,
    kind: PolicyKind,
    bundle: Bundle,
    replacing: str | None,
    attributes: Mapping[str, Any] | None = None,
) -> AppliedBundle:
    """Put a bundle in force in place of the one with the hash `replacing`, None for none; the event has `attributes` besides.

    Raises:
        DeniedError: the principal may not.
        PolicyError: it cannot be used.
        ConflictError: something else is in force than `replacing`, or this very bundle.
        UnavailableError: it cannot be recorded, and so was not applied.
    """
    decision = access.check(principal, Action.POLICY_APPLY)
    kind.validate(bundle)
    kind.admit(bundle, access)
    with recording(
        record,
        "policy.changed",
        LAKE_TENANT,
        decision,
        action="apply",
        resource_type="policy",
        resource_id=kind.name,
        policy_id=kind.name,
        policy_version=bundle.content_hash,
    ) as announce:
        more = {"muniment.policy.old_hash": replacing or "none", **(attributes or {})}
        return apply(
            control,
            bundle,
            principal.recorded_by,
            replacing=replacing,
            announce=lambda _applied: announce(attributes=more),
        )


def apply_defaults(
    lake: Lake, control: ControlStore, access: Access, principal: Principal, record: Record
) -> list[AppliedBundle]:
    """Put the package's policies in force, of each kind of which none was ever applied, and into the folder where it is empty.

    A folder that holds files already keeps them: they are somebody's, and in force once that somebody applies them.

    Raises:
        UnavailableError: it cannot be recorded, and so was not applied.
    """
    applied = []
    for kind in KINDS.values():
        if control.policy_hash(kind.name) is not None:
            continue
        bundle = kind.defaults()
        if not read_folder(lake, kind.name).files:
            for name, text in bundle.files.items():
                replace_file(lake.policies / kind.name / name, text.encode())
            for name, content in kind.examples().items():
                make_folder(lake.policies / kind.name / EXAMPLES)
                replace_file(lake.policies / kind.name / EXAMPLES / name, content)
        applied.append(apply_bundle(control, access, principal, record, kind=kind, bundle=bundle, replacing=None))
    return applied


def policy_status(lake: Lake, control: ControlStore) -> list[dict[str, Any]]:
    """What `status` and `doctor` say: of each kind what is in force, since when, and whether the folder differs from it."""
    return [_kind_status(lake, control, kind) for kind in KINDS.values()]


def _kind_status(lake: Lake, control: ControlStore, kind: PolicyKind) -> dict[str, Any]:
    status: dict[str, Any] = {"kind": kind.name, "hash": None, "problem": None, "folder_differs": None}
    try:
        found = in_force(control, kind.name)
        bundle = kind.defaults() if found is None else found.bundle
        if found is not None:
            status |= {
                "hash": found.content_hash,
                "revision": found.revision,
                "applied_unix_nano": found.applied_unix_nano,
                "applied_by": found.applied_by,
                "problem": _problem(kind, bundle),
            }
        status["folder_differs"] = _differs(lake, kind, bundle)
    except MunimentError as exc:
        status["problem"] = str(exc)
    return status


def _problem(kind: PolicyKind, bundle: Bundle) -> str | None:
    """Why a bundle in force cannot be used. What comes with the package can, and compiling it takes as long as all else that is shown."""
    if bundle.content_hash == kind.defaults().content_hash:
        return None
    return _problem_words(kind, bundle)


@lru_cache(maxsize=64)
def _problem_words(kind: PolicyKind, bundle: Bundle) -> str | None:
    """Asked once a process: the same files have the same problems."""
    return "; ".join(map(str, find_problems(kind, bundle))) or None


def _differs(lake: Lake, kind: PolicyKind, bundle: Bundle) -> bool:
    try:
        return read_folder(lake, kind.name).content_hash != bundle.content_hash
    except PolicyError:
        return True


def policy_text(status: Mapping[str, Any]) -> str:
    """One kind of `policy_status` as a line."""
    kind = status["kind"]
    if status["hash"] is None:
        said = f"{kind} policy: the package's own holds, as none was applied"
    else:
        when = utc_text(status["applied_unix_nano"])
        said = f"{kind} policy: revision {status['revision']} in force since {when} ({status['hash'][:19]}…)"
    if status["folder_differs"]:
        said += f"; the folder differs: `muniment policy diff {kind}` shows how"
    return said
