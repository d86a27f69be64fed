"""Reads SLOs: service, indicator, time window, budgeting method, objectives and alert policies of OpenSLO's kind SLO.

A condition that an objective's target can never reach is refused with its derivation (`pipelines.slo.burn`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipelines.slo.alerting import read_inline_policy
from pipelines.slo.burn import why_unreachable
from pipelines.slo.definitions import (
    DEFAULT_MINIMUM_EVENTS,
    SLICE_UNIT_SECONDS,
    WINDOW_SECONDS,
    AlertPolicy,
    BurnCondition,
    Indicator,
    Method,
    Objective,
    Operator,
    Series,
    Slo,
)
from pipelines.slo.durations import Rolling, TimeWindow, duration_text, parse_calendar, parse_duration, parse_rolling
from pipelines.slo.indicators import read_inline_indicator
from pipelines.slo.keys import Keys
from pipelines.slo.openslo import Definition
from warehouse.errors import NameRuleError
from warehouse.names import LAKE_TENANT, check_name
from warehouse.policies import Problem

METHODS: Mapping[str, Method] = {
    "Occurrences": "Occurrences",
    "Timeslices": "Timeslices",
    "RatioTimeslices": "RatioTimeslices",
}
OPERATORS: Mapping[str, Operator] = {"lt": "lt", "lte": "lte", "gt": "gt", "gte": "gte"}
LEAST_PERIOD_SECONDS = 3_600
_DEFAULT_WINDOW = Rolling(30 * 86_400)


@dataclass
class Known:
    """What an SLO can refer to, by name, and where to put what cannot be computed here."""

    indicators: Mapping[str, Indicator] = field(default_factory=dict)
    policies: Mapping[str, AlertPolicy] = field(default_factory=dict)
    conditions: Mapping[str, BurnCondition] = field(default_factory=dict)
    targets: Mapping[str, str] = field(default_factory=dict)
    notes: list[Problem] = field(default_factory=list)


def read_slo(definition: Definition, known: Known) -> Slo:
    """An object of kind SLO."""
    metadata, spec = definition.metadata, definition.spec
    description, service = spec.text("description", ""), spec.text("service")
    indicator = _indicator(spec, known)
    window = _window(spec)
    method = METHODS[spec.text("budgetingMethod", among=tuple(METHODS)) or "Occurrences"]
    objectives: list[Objective] = []
    for keys in spec.children("objectives", required=True):
        objectives.append(_objective(keys, indicator, method, len(objectives)))
        keys.finish()
    if not objectives:
        spec.report(("objectives",), "got none, expected one or more")
    names = [objective.name for objective in objectives]
    if len(set(names)) < len(names):
        spec.report(("objectives",), f"got the names {', '.join(names)}, expected each displayName once")
    policies = _policies(spec, known)
    spec.finish()
    _check_reachable(spec, policies, objectives, window)
    _check_slices(spec, policies, objectives)
    tenants, minimum, watched = _annotations(definition)
    return Slo(
        metadata.name,
        metadata.title,
        service,
        description,
        method,
        window,
        _with_one_length(objectives),
        tuple(policy for _, policy in policies),
        tenants=tenants,
        minimum_events=minimum,
        watched=watched,
        labels=metadata.labels,
        file=definition.file,
    )


def _indicator(spec: Keys, known: Known) -> Indicator:
    inline, named = spec.child("indicator"), spec.has("indicatorRef")
    if (inline is None) == (not named):
        spec.report((), f"got {'both' if named else 'neither'} of indicator and indicatorRef, expected one of them")
    if inline is not None:
        return read_inline_indicator(inline, known.notes) or Indicator("", {})
    name = spec.text("indicatorRef", "")
    if named and name not in known.indicators:
        expected = ", ".join(sorted(known.indicators)) or "one to be defined"
        spec.report(("indicatorRef",), f"got {name!r}, which is not defined, expected {expected}")
    return known.indicators.get(name) or Indicator(name, {})


def _window(spec: Keys) -> TimeWindow:
    found: list[TimeWindow] = []
    for keys in spec.children("timeWindow", required=True):
        found.append(_one_window(keys))
        keys.finish()
    if len(found) != 1:
        spec.report(("timeWindow",), f"got {len(found)}, expected exactly one")
    return found[0] if found else _DEFAULT_WINDOW


def _one_window(keys: Keys) -> TimeWindow:
    text, rolling, by_calendar = keys.text("duration"), keys.flag("isRolling", default=False), keys.child("calendar")
    if rolling == (by_calendar is not None):
        got = "both" if rolling else "neither"
        keys.report((), f"got {got} of isRolling: true and calendar, expected one of them")
    try:
        if by_calendar is None:
            window: TimeWindow = parse_rolling(text)
        else:
            zone, start = by_calendar.text("timeZone"), _start(by_calendar)
            by_calendar.finish()
            window = parse_calendar(text, start, zone)
    except ValueError as exc:
        keys.report(("duration",), str(exc))
        return _DEFAULT_WINDOW
    if window.period_seconds < LEAST_PERIOD_SECONDS:
        keys.report(("duration",), f"got {text!r}, expected an hour or more")
    return window


def _start(keys: Keys) -> datetime:
    value = keys.raw("startTime")
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is not None:
        keys.report(
            ("startTime",), "expected a date and time such as 2026-01-01 00:00:00, without a time zone of its own"
        )
        return datetime(2026, 1, 1)  # noqa: DTZ001 - local time of the calendar's own zone
    return value


def _objective(keys: Keys, indicator: Indicator, method: Method, at: int) -> Objective:
    for key in ("indicator", "indicatorRef", "compositeWeight"):
        keys.unsupported(key, "an SLO has one indicator; write another SLO for another one")
    target = _target(keys)
    operator = OPERATORS[keys.text("op", among=tuple(OPERATORS))] if keys.has("op") else None
    value = keys.number("value") if keys.has("value") else None
    series = Series(indicator)
    if not indicator.sources:
        pass  # reported where it was looked for; nobody knows what it is
    elif indicator.is_threshold:
        if operator is None or value is None:
            keys.report((), "expected op and value: they say which values of a thresholdMetric are good")
        series = Series(indicator, operator or "lt", value or 0.0)
    else:
        if value is not None:
            keys.report(("value",), "got a value for a ratioMetric, expected none: its rows say which are good")
        if operator in {"lt", "lte"}:
            keys.report(("op",), f"got {operator!r}, expected gt or gte: the share of good is held against the target")
    seconds, slice_target = _slices(keys, method)
    strict = operator == "gt" and not indicator.is_threshold
    name = keys.text("displayName", f"objective-{at + 1}")
    return Objective(name, target, series, seconds, slice_target, strict=strict)


def _target(keys: Keys) -> float:
    percent = keys.has("targetPercent")
    if percent and keys.has("target"):
        keys.report(("targetPercent",), "got it beside target, expected one of them")
    target = keys.number("targetPercent") / 100 if percent else keys.number("target")
    if not 0 < target < 1:
        keys.report(
            ("targetPercent" if percent else "target",),
            f"got {target:g}, expected a share over 0 and under 1: a target of 1 has no error budget",
        )
        return 0.99
    return round(target, 12)


def _slices(keys: Keys, method: Method) -> tuple[int | None, float | None]:
    if method == "Occurrences":
        for key in ("timeSliceTarget", "timeSliceWindow"):
            keys.unsupported(key, "budgetingMethod Occurrences has no time slices")
        return None, None
    target = None
    if method == "Timeslices":
        target = keys.number("timeSliceTarget")
        if not 0 < target <= 1:
            keys.report(("timeSliceTarget",), f"got {target:g}, expected a share over 0 and at most 1")
    else:
        keys.unsupported("timeSliceTarget", "budgetingMethod RatioTimeslices takes the slices' mean")
    text = keys.text("timeSliceWindow")
    try:
        seconds = parse_duration(text)
    except ValueError as exc:
        keys.report(("timeSliceWindow",), str(exc))
        return WINDOW_SECONDS, target
    if seconds % SLICE_UNIT_SECONDS or (seconds % WINDOW_SECONDS and WINDOW_SECONDS % seconds):
        keys.report(("timeSliceWindow",), f"got {text!r}, expected 1m, 5m or a multiple of 5m")
        return WINDOW_SECONDS, target
    return seconds, target


def _policies(spec: Keys, known: Known) -> list[tuple[int, AlertPolicy]]:
    found: list[tuple[int, AlertPolicy]] = []
    for at, entry in spec.entries("alertPolicies"):
        policy: AlertPolicy | None = None
        name = entry if isinstance(entry, str) else None
        if name is None:
            keys = spec.below("alertPolicies", at, entry)
            if keys.has("alertPolicyRef"):
                name = keys.text("alertPolicyRef")
                keys.finish()
            else:
                policy = read_inline_policy(keys, known.conditions, known.targets)
        if name is not None:
            policy = known.policies.get(name)
            if policy is None:
                expected = ", ".join(sorted(known.policies)) or "one to be defined"
                spec.report(("alertPolicies", at), f"got {name!r}, which is not defined, expected {expected}")
        if policy is not None:
            found.append((at, policy))
    return found


def _check_reachable(
    spec: Keys, policies: list[tuple[int, AlertPolicy]], objectives: list[Objective], window: TimeWindow
) -> None:
    for at, policy in policies:
        for condition in policy.conditions:
            for objective in objectives:
                why = why_unreachable(
                    condition.threshold, objective.target, condition.long_seconds, window.period_seconds
                )
                if why is not None:
                    spec.report(("alertPolicies", at), f"condition {condition.name}, objective {objective.name}: {why}")


def _check_slices(spec: Keys, policies: list[tuple[int, AlertPolicy]], objectives: list[Objective]) -> None:
    longest = max((objective.slice_seconds or 0 for objective in objectives), default=0)
    for at, policy in policies:
        for condition in policy.conditions:
            if condition.short_seconds % max(longest, WINDOW_SECONDS):
                spec.report(
                    ("alertPolicies", at),
                    f"condition {condition.name}: got a short window of {duration_text(condition.short_seconds)} for time slices "
                    f"of {duration_text(longest)}, expected whole slices",
                )


def _with_one_length(objectives: list[Objective]) -> tuple[Objective, ...]:
    """Windows are as long as the shortest slice where that is under five minutes, the same for every objective."""
    shortest = min([WINDOW_SECONDS, *(objective.slice_seconds or WINDOW_SECONDS for objective in objectives)])
    return tuple(
        replace(objective, series=replace(objective.series, window_seconds=shortest)) for objective in objectives
    )


def _annotations(definition: Definition) -> tuple[frozenset[str], int, bool]:
    given, keys = definition.metadata.annotations, definition.keys
    place = ("metadata", "annotations")
    tenants = frozenset(word.strip() for word in given.get("muniment/tenants", "").split(",") if word.strip())
    for tenant in sorted(tenants - {LAKE_TENANT}):
        try:
            check_name(tenant, "tenant")
        except NameRuleError as exc:
            keys.report((*place, "muniment/tenants"), str(exc))
    minimum = DEFAULT_MINIMUM_EVENTS
    if "muniment/minimum-events" in given:
        text = given["muniment/minimum-events"]
        if text.isdecimal() and int(text) > 0:
            minimum = int(text)
        else:
            keys.report(
                (*place, "muniment/minimum-events"), f'got {text!r}, expected a number over 0 in quotes, such as "20"'
            )
    watched = given.get("muniment/watched", "false")
    if watched not in {"true", "false"}:
        keys.report((*place, "muniment/watched"), f'got {watched!r}, expected "true" or "false"')
    return tenants, minimum, watched == "true"
