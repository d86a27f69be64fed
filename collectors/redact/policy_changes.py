"""What a new redaction policy changes for whom, in words: read before it is applied."""

from collections.abc import Iterator

from collectors.redact.policy import KeyedRule, RedactionPolicy, TenantPolicy
from warehouse.tables import TABLES

EVERYBODY_ELSE = "every other tenant"


def describe_changes(old: RedactionPolicy, new: RedactionPolicy) -> list[str]:
    """A line for each thing that changes for a tenant named in either, and for all others; none where nothing does."""
    tenants = sorted({*old.tenants, *new.tenants})
    lines = [
        f"{tenant}: {change}"
        for tenant in tenants
        for change in _tenant_changes(old.for_tenant(tenant), new.for_tenant(tenant))
    ]
    return lines + [f"{EVERYBODY_ELSE}: {change}" for change in _tenant_changes(old.others, new.others)]


def _tenant_changes(old: TenantPolicy, new: TenantPolicy) -> Iterator[str]:
    if old.name != new.name:
        yield f"policy {old.name} → {new.name}"
    for what, before, after in (
        ("identity", old.identity.value, new.identity.value),
        ("contents", old.contents.value, new.contents.value),
        ("default_class", old.default_class.label, new.default_class.label),
        ("contents_class", old.contents_class.label, new.contents_class.label),
    ):
        if before != after:
            yield f"{what} {before} → {after}"
    for detector in dict.fromkeys([*old.detectors, *new.detectors]):
        yield from _detector_changes(detector, old, new)
    yield from _rule_changes(old.rules, new.rules)


def _detector_changes(detector: str, old: TenantPolicy, new: TenantPolicy) -> Iterator[str]:
    if detector not in old.detectors or detector not in new.detectors:
        yield f"detector {detector} " + ("added" if detector in new.detectors else "removed")
        return
    if old.detectors[detector] is not new.detectors[detector]:
        yield from _search_changes(detector, old, new)
    tables: dict[str, list[str]] = {}
    for table in TABLES:
        before, after = old.action(detector, table), new.action(detector, table)
        if before is not after:
            tables.setdefault(f"{before} → {after}", []).append(table)
    for change, where in tables.items():
        yield f"{detector} {change}" + ("" if len(where) == len(TABLES) else f" in {', '.join(where)}")
    before_class, after_class = old.data_class(detector), new.data_class(detector)
    if before_class is not after_class:
        yield f"class of {detector} {before_class.label} → {after_class.label}"


def _search_changes(detector: str, old: TenantPolicy, new: TenantPolicy) -> Iterator[str]:
    """A detector of the organisation's own that is searched for in another way."""
    before, after = old.searches.get(detector), new.searches.get(detector)
    if before != after:
        yield f"detector {detector} searches for something else"


def _rule_changes(old: tuple[KeyedRule, ...], new: tuple[KeyedRule, ...]) -> Iterator[str]:
    removed, added = [rule for rule in old if rule not in new], [rule for rule in new if rule not in old]
    yield from (f"attribute rule for {', '.join(rule.keys)} removed" for rule in removed)
    yield from (f"attribute rule for {', '.join(rule.keys)} added" for rule in added)
    if not removed and not added and old != new:
        yield "attribute rules stand in another order"
