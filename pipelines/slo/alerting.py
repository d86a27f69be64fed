"""Reads alert conditions, policies and targets: OpenSLO's kinds AlertCondition, AlertPolicy and AlertNotificationTarget.

OpenSLO gives a condition one `lookbackWindow`. Here it is the long one; the short one beside it is a twelfth of it, as in the
workbook, or what the annotation `muniment/short-window` says.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from pipelines.slo.burn import SHORT_PART, Severity
from pipelines.slo.definitions import WINDOW_SECONDS, AlertPolicy, BurnCondition
from pipelines.slo.durations import duration_text, parse_duration
from pipelines.slo.keys import Keys
from pipelines.slo.openslo import KNOWN_ANNOTATIONS, Metadata, read_metadata

T = TypeVar("T")

SEVERITIES: Mapping[str, Severity] = {"page": "page", "ticket": "ticket", "info": "info"}


def read_condition(metadata: Metadata, spec: Keys) -> BurnCondition:
    """An object of kind AlertCondition."""
    severity = SEVERITIES[spec.text("severity", among=tuple(SEVERITIES)) or "info"]
    description = spec.text("description", "")
    condition = spec.child("condition", required=True)
    spec.finish()
    if condition is None:
        return BurnCondition(metadata.name, severity, 1.0, SHORT_PART * WINDOW_SECONDS, WINDOW_SECONDS)
    condition.text("kind", among=("burnrate",))
    operator = condition.text("op", "gt", among=("gt", "gte"))
    threshold = condition.number("threshold")
    if threshold <= 0:
        condition.report(("threshold",), f"got {threshold:g}, expected a burn rate over 0")
    long = _seconds(condition, "lookbackWindow", SHORT_PART * WINDOW_SECONDS)
    hold = _seconds(condition, "alertAfter", 0, zero=True) if condition.has("alertAfter") else 0
    short = _short(metadata, condition, long)
    condition.finish()
    runbook = metadata.annotations.get("muniment/runbook")
    return BurnCondition(
        metadata.name,
        severity,
        threshold,
        long,
        short,
        inclusive=operator == "gte",
        hold_seconds=hold,
        description=description,
        runbook=runbook,
    )


def read_target(spec: Keys) -> str:
    """The name of the target that an object of kind AlertNotificationTarget stands for."""
    spec.text("description", "")
    target = spec.text("target")
    spec.finish()
    return target


def read_alert_policy(
    metadata: Metadata, spec: Keys, conditions: Mapping[str, BurnCondition], targets: Mapping[str, str]
) -> AlertPolicy:
    """An object of kind AlertPolicy; what it refers to is among `conditions` and `targets`."""
    spec.text("description", "")
    breaching = spec.flag("alertWhenBreaching", default=True)
    no_data = spec.flag("alertWhenNoData", default=False)
    # resolved alerts end at their targets by themselves; there is no message of its own to leave out
    spec.flag("alertWhenResolved", default=True)
    found = [
        _one(each, "conditionRef", conditions, _inline_condition) for each in spec.children("conditions", required=True)
    ]
    told = [_one(each, "targetRef", targets, _inline_target) for each in spec.children("notificationTargets")]
    if not spec.has("conditions") or not found:
        spec.report(("conditions",), "got none, expected one condition or more")
    spec.finish()
    return AlertPolicy(
        metadata.name,
        tuple(each for each in found if each is not None),
        tuple(dict.fromkeys(each for each in told if each)),
        when_breaching=breaching,
        when_no_data=no_data,
    )


def read_inline_policy(
    keys: Keys, conditions: Mapping[str, BurnCondition], targets: Mapping[str, str]
) -> AlertPolicy | None:
    """A policy that stands within an SLO."""
    keys.text("kind", "AlertPolicy", among=("AlertPolicy",))
    keys.text("apiVersion", "")
    metadata = read_metadata(keys.child("metadata", required=True), ())
    spec = keys.child("spec", required=True)
    keys.finish()
    return None if spec is None else read_alert_policy(metadata, spec, conditions, targets)


def _one(keys: Keys, reference: str, known: Mapping[str, T], inline: Callable[[Keys], T | None]) -> T | None:
    if not keys.has(reference):
        return inline(keys)
    name = keys.text(reference)
    keys.finish()
    if name not in known:
        expected = ", ".join(sorted(known)) or "one to be defined"
        keys.report((reference,), f"got {name!r}, which is not defined, expected {expected}")
    return known.get(name)


def _inline_condition(keys: Keys) -> BurnCondition | None:
    keys.text("kind", "AlertCondition", among=("AlertCondition",))
    keys.text("apiVersion", "")
    metadata = read_metadata(keys.child("metadata", required=True), KNOWN_ANNOTATIONS["AlertCondition"])
    spec = keys.child("spec", required=True)
    keys.finish()
    return None if spec is None else read_condition(metadata, spec)


def _inline_target(keys: Keys) -> str | None:
    keys.text("kind", "AlertNotificationTarget", among=("AlertNotificationTarget",))
    keys.text("apiVersion", "")
    read_metadata(keys.child("metadata", required=True), ())
    spec = keys.child("spec", required=True)
    keys.finish()
    return None if spec is None else read_target(spec)


def _short(metadata: Metadata, keys: Keys, long: int) -> int:
    text = metadata.annotations.get("muniment/short-window")
    try:
        short = long // SHORT_PART if text is None else parse_duration(text)
    except ValueError as exc:
        keys.report((), f"annotation muniment/short-window: {exc}")
        return WINDOW_SECONDS
    if short < WINDOW_SECONDS or short % WINDOW_SECONDS or short > long:
        keys.report(
            ("lookbackWindow",),
            f"got {duration_text(long)} with a short window of {duration_text(short)}, expected the short one to be a multiple of "
            f"{duration_text(WINDOW_SECONDS)} and no longer than the other",
        )
        return WINDOW_SECONDS
    return short


def _seconds(keys: Keys, key: str, default: int, *, zero: bool = False) -> int:
    text = keys.text(key)
    if zero and text.rstrip("smh") == "0":
        return 0
    try:
        seconds = parse_duration(text)
    except ValueError as exc:
        keys.report((key,), str(exc))
        return default
    if seconds % WINDOW_SECONDS:
        keys.report((key,), f"got {text!r}, expected a multiple of {duration_text(WINDOW_SECONDS)}")
        return default
    return seconds
