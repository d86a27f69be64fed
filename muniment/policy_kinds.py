"""The kinds of policy that this version knows: one line a kind, as each lives in a room of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from governance.access import Access, Action
from warehouse.errors import NotFoundError
from warehouse.policies import Bundle, PolicyError, Problem
from warehouse.policies.family import Family

Policy = TypeVar("Policy")
_OTHER_VERSION = "what is in force was written for another version: this one cannot say what it means"


@dataclass(frozen=True)
class PolicyKind:
    """One kind of policy.

    Attributes:
        name: its folder in `LAKE/policies/`.
        validate: raises `PolicyError` for a bundle that cannot be used.
        changes: says in words what a valid bundle changes against another one, None for what holds where none is applied.
        defaults: the bundle that comes with the package.
        examples: name and content of files to choose from, which `init` puts into the folder `examples` beside the policies,
            where nothing reads them.
        admit: raises `PolicyError` for a valid bundle that must not be put in force in this lake, given who may do what in it.
        takes_two: whether a change waits for a second principal where two hold the right (setting `four_eyes`).
        family: its policies entry by entry, so that what a newer version ships is told from what somebody wrote.
        never_adopted: why what is shipped is shown beside what is in force, and never taken over; empty where it may be.
    """

    name: str
    validate: Callable[[Bundle], object]
    changes: Callable[[Bundle | None, Bundle], list[str]]
    defaults: Callable[[], Bundle]
    family: Callable[[], Family]
    examples: Callable[[], Mapping[str, bytes]] = dict
    admit: Callable[[Bundle, Access], None] = lambda _bundle, _access: None
    takes_two: bool = False
    never_adopted: str = ""


def _compared(
    old: Bundle | None,
    new: Bundle,
    *,
    read: Callable[[Bundle], Policy],
    defaults: Callable[[], Bundle],
    describe: Callable[[Policy, Policy], list[str]],
) -> list[str]:
    """What a bundle changes, in words; where what is in force was written for another version, only that."""
    after = read(new)
    try:
        before = read(old or defaults())
    except PolicyError:
        return [_OTHER_VERSION]
    return describe(before, after)


def _redaction_validate(bundle: Bundle) -> object:
    from collectors.redact.detectors import BY_NAME
    from collectors.redact.policy_compiler import compile_policy

    return compile_policy(bundle, BY_NAME)


def _redaction_changes(old: Bundle | None, new: Bundle) -> list[str]:
    from collectors.redact.detectors import BY_NAME
    from collectors.redact.policy_changes import describe_changes
    from collectors.redact.policy_compiler import compile_policy

    read = partial(compile_policy, known=BY_NAME)
    return _compared(old, new, read=read, defaults=_redaction_defaults, describe=describe_changes)


def _redaction_defaults() -> Bundle:
    from collectors.redact.policy_compiler import default_bundle

    return default_bundle()


def _redaction_family() -> Family:
    from collectors.redact.policy_compiler import FAMILY

    return FAMILY


REDACTION = PolicyKind("redaction", _redaction_validate, _redaction_changes, _redaction_defaults, _redaction_family)


def _retention_validate(bundle: Bundle) -> object:
    from retention.policy_compiler import compile_policy

    return compile_policy(bundle)


def _retention_changes(old: Bundle | None, new: Bundle) -> list[str]:
    from retention.policy_changes import describe_changes
    from retention.policy_compiler import compile_policy

    return _compared(old, new, read=compile_policy, defaults=_retention_defaults, describe=describe_changes)


def _retention_defaults() -> Bundle:
    from retention.policy_compiler import default_bundle

    return default_bundle()


def _retention_examples() -> Mapping[str, bytes]:
    from retention.policy_compiler import example_files

    return example_files()


def _retention_family() -> Family:
    from retention.policy_compiler import FAMILY

    return FAMILY


RETENTION = PolicyKind(
    "retention",
    _retention_validate,
    _retention_changes,
    _retention_defaults,
    _retention_family,
    _retention_examples,
    takes_two=True,
    never_adopted="how long records are kept is for their owner to say, and no update may shorten it",
)


def _slo_validate(bundle: Bundle) -> object:
    from pipelines.slo.policy_compiler import compile_policy

    return compile_policy(bundle)


def _slo_changes(old: Bundle | None, new: Bundle) -> list[str]:
    from pipelines.slo.policy_changes import describe_changes
    from pipelines.slo.policy_compiler import compile_policy

    return _compared(old, new, read=compile_policy, defaults=_slo_defaults, describe=describe_changes)


def _slo_defaults() -> Bundle:
    from pipelines.slo.shipped import default_bundle

    return default_bundle()


def _slo_family() -> Family:
    from pipelines.slo.shipped import FAMILY

    return FAMILY


SLO = PolicyKind("slo", _slo_validate, _slo_changes, _slo_defaults, _slo_family)


def _incidents_validate(bundle: Bundle) -> object:
    from pipelines.incidents.compiler import compile_rules

    # the package's own rules are tried by its tests: half of what `init` took was to try them again
    return compile_rules(bundle, try_sql=bundle.content_hash != _incidents_defaults().content_hash)


def _incidents_changes(old: Bundle | None, new: Bundle) -> list[str]:
    from pipelines.incidents.changes import describe_changes
    from pipelines.incidents.compiler import compile_rules

    return _compared(
        old, new, read=partial(compile_rules, try_sql=False), defaults=_incidents_defaults, describe=describe_changes
    )


def _incidents_defaults() -> Bundle:
    from pipelines.incidents.compiler import default_bundle

    return default_bundle()


def _incidents_family() -> Family:
    from pipelines.incidents.compiler import FAMILY

    return FAMILY


INCIDENTS = PolicyKind("incidents", _incidents_validate, _incidents_changes, _incidents_defaults, _incidents_family)


def _access_validate(bundle: Bundle) -> object:
    from governance.access.in_force import parsed
    from governance.access.role_table import require_appliers

    policy = parsed(bundle)
    require_appliers(policy)
    return policy


def _access_changes(old: Bundle | None, new: Bundle) -> list[str]:
    from governance.access.in_force import parsed
    from governance.access.role_table import describe_changes

    return _compared(old, new, read=parsed, defaults=_access_defaults, describe=describe_changes)


def _access_defaults() -> Bundle:
    from governance.access.policy_compiler import default_bundle

    return default_bundle()


def _access_examples() -> Mapping[str, bytes]:
    from governance.access.policy_compiler import example_files

    return example_files()


def _access_admit(bundle: Bundle, access: Access) -> None:
    from governance.access.in_force import parsed

    policy = parsed(bundle)
    if not access.under(lambda: policy).holders(Action.POLICY_APPLY):
        message = (
            f"got policies that let nobody apply policies again whom this lake names, expected one that lets {access.owner}, "
            "who owns it, or somebody in the setting users"
        )
        raise PolicyError([Problem("access/*.cedar", 1, Action.POLICY_APPLY.value, message)])


def _access_family() -> Family:
    from governance.access.adoption import FAMILY

    return FAMILY


ACCESS = PolicyKind(
    "access",
    _access_validate,
    _access_changes,
    _access_defaults,
    _access_family,
    _access_examples,
    _access_admit,
    takes_two=True,
)


def _controls_validate(bundle: Bundle) -> object:
    from governance.controls.framework import compile_controls
    from governance.controls.queries import check_queries

    controls = compile_controls(bundle)
    check_queries(bundle)
    return controls


def _controls_changes(old: Bundle | None, new: Bundle) -> list[str]:
    from governance.controls.framework import compile_controls, describe_changes

    return _compared(old, new, read=compile_controls, defaults=_controls_defaults, describe=describe_changes)


def _controls_defaults() -> Bundle:
    from governance.controls.framework import default_bundle

    return default_bundle()


def _controls_family() -> Family:
    from governance.controls.adoption import FAMILY

    return FAMILY


CONTROLS = PolicyKind("controls", _controls_validate, _controls_changes, _controls_defaults, _controls_family)

KINDS: Mapping[str, PolicyKind] = {kind.name: kind for kind in (REDACTION, RETENTION, SLO, INCIDENTS, ACCESS, CONTROLS)}
"""Every kind that can be checked and applied."""


def policy_kind(name: str) -> PolicyKind:
    """The kind of that name.

    Raises:
        NotFoundError: there is none, or not yet.
    """
    if name not in KINDS:
        raise NotFoundError(f"policy kind: expected {', '.join(KINDS)}, got {name!r}")
    return KINDS[name]
