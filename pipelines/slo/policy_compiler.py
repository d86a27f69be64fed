"""From OpenSLO files to a lake's SLOs, or to a list of everything that is wrong with them.

An error in one object does not hide those of the others; nothing is compiled unless all of it is right.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TypeVar

from pipelines.slo.alerting import read_alert_policy, read_condition, read_target
from pipelines.slo.definitions import WINDOW_SECONDS, Maintenance, SloPolicy
from pipelines.slo.indicators import read_indicator
from pipelines.slo.objectives import Known, read_slo
from pipelines.slo.openslo import Definition, read_definitions
from pipelines.slo.shipped import default_bundle
from warehouse.clock import NANOS_PER_SECOND
from warehouse.policies import Bundle, PolicyError, Problem

T = TypeVar("T")


def compile_policy(bundle: Bundle) -> SloPolicy:
    """Compile a lake's SLOs. The order of files and objects does not matter; no files give no SLOs.

    Raises:
        PolicyError: they cannot be used; `problems` names everything that is wrong, by file, line and key.
    """
    policy, problems, notes = read_policy(bundle)
    if problems or notes:
        raise PolicyError([*problems, *notes])
    return policy


def read_policy(bundle: Bundle) -> tuple[SloPolicy, list[Problem], list[Problem]]:
    """The SLOs as far as they can be read, what is wrong with them, and what is right but cannot be computed here."""
    problems: list[Problem] = []
    by_kind: dict[str, list[Definition]] = defaultdict(list)
    for definition in read_definitions(bundle, problems):
        by_kind[definition.kind].append(definition)
    known = Known()
    known.indicators = _named(by_kind["SLI"], lambda each: read_indicator(each, known.notes))
    known.conditions = _named(by_kind["AlertCondition"], lambda each: read_condition(each.metadata, each.spec))
    known.targets = _named(by_kind["AlertNotificationTarget"], lambda each: read_target(each.spec))
    services = _named(by_kind["Service"], _read_service)
    known.policies = _named(
        by_kind["AlertPolicy"],
        lambda each: read_alert_policy(each.metadata, each.spec, known.conditions, known.targets),
    )
    slos = _named(by_kind["SLO"], lambda each: read_slo(each, known))
    maintenance = _named(by_kind["Maintenance"], _read_maintenance)
    policy = SloPolicy(
        bundle.content_hash, tuple(slos.values()), tuple(maintenance.values()), tuple(services), dict(known.targets)
    )
    if services:
        _check_services(by_kind["SLO"], policy)
    return policy, list(dict.fromkeys(problems)), list(dict.fromkeys(known.notes))


@cache
def default_policy() -> SloPolicy:
    """The SLOs that come with the package, compiled: what is in force where none was applied."""
    return compile_policy(default_bundle())


def _named(definitions: Iterable[Definition], read: Callable[[Definition], T]) -> dict[str, T]:
    """What was read of each, by name; a name that is there twice is reported."""
    found: dict[str, T] = {}
    for definition in definitions:
        name = definition.metadata.name
        if name in found:
            definition.keys.report(("metadata", "name"), f"got {name!r} twice, expected each {definition.kind} once")
        found[name] = read(definition)
    return found


def _read_service(definition: Definition) -> str:
    definition.spec.text("description", "")
    definition.spec.finish()
    return definition.metadata.name


def _read_maintenance(definition: Definition) -> Maintenance:
    spec = definition.spec
    begin, end = (_instant(definition, key) for key in ("from", "to"))
    if begin >= end:
        spec.report(("to",), "expected a later time than that of from")
    found = Maintenance(
        definition.metadata.name,
        begin,
        end,
        spec.text("reason"),
        frozenset(spec.words("tenants")),
        frozenset(spec.words("slos")),
    )
    spec.finish()
    return found


def _instant(definition: Definition, key: str) -> int:
    """Nanoseconds since 1970 of a time with its zone, on the border of a window."""
    value = definition.spec.raw(key)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or (value.tzinfo is None):
        definition.spec.report((key,), "expected a time with its zone, such as 2026-11-08T02:00:00Z")
        return 0
    seconds = int(value.astimezone(UTC).timestamp())
    if seconds % WINDOW_SECONDS:
        definition.spec.report(
            (key,), f"got {value.isoformat()}, expected a whole five minutes: windows are excluded whole"
        )
    return seconds * NANOS_PER_SECOND


def _check_services(definitions: Iterable[Definition], policy: SloPolicy) -> None:
    by_name: Mapping[str, str] = {slo.name: slo.service for slo in policy.slos}
    for definition in definitions:
        service = by_name.get(definition.metadata.name, "")
        if service and service not in policy.services:
            expected = ", ".join(sorted(policy.services))
            definition.spec.report(("service",), f"got {service!r}, which is not defined, expected {expected}")
