"""What another set of SLOs changes, in words."""

from pipelines.slo.definitions import Slo, SloPolicy
from warehouse.clock import utc_text


def describe_changes(before: SloPolicy, after: SloPolicy) -> list[str]:
    """One line a change, SLO by SLO, then planned maintenance."""
    old, new = ({slo.name: slo for slo in policy.slos} for policy in (before, after))
    lines = [f"SLO {name}: begins" for name in new if name not in old]
    lines += [f"SLO {name}: ends; what was counted for it stays" for name in old if name not in new]
    for name in old.keys() & new.keys():
        lines += [f"SLO {name}: {change}" for change in _changes(old[name], new[name])]
    planned = ({each.name: each for each in policy.maintenance} for policy in (before, after))
    was, is_now = planned
    for name, each in is_now.items():
        if was.get(name) != each:
            span = f"{utc_text(each.begin_unix_nano)} to {utc_text(each.end_unix_nano)}"
            lines.append(f"maintenance {name}: {span} is excluded ({each.reason})")
    lines += [f"maintenance {name}: is excluded no more" for name in was if name not in is_now]
    return sorted(lines)


def _changes(old: Slo, new: Slo) -> list[str]:
    changes = []
    targets = tuple({objective.name: objective.target for objective in slo.objectives} for slo in (old, new))
    for name in dict.fromkeys([*targets[0], *targets[1]]):
        before, after = targets[0].get(name), targets[1].get(name)
        if before != after:
            changes.append(f"objective {name}: target {_or_none(before)}, now {_or_none(after)}")
    for what, before_text, after_text in (
        ("window", str(old.window), str(new.window)),
        ("budgeting method", old.method, new.method),
        ("minimum of events", str(old.minimum_events), str(new.minimum_events)),
    ):
        if before_text != after_text:
            changes.append(f"{what} {before_text}, now {after_text}")
    hashes = tuple({objective.series.query_hash for objective in slo.objectives} for slo in (old, new))
    if hashes[0] != hashes[1]:
        changes.append(
            "is counted by another query, from what the lake still holds; counts of the old one stay beside it"
        )
    if old.policies != new.policies:
        changes.append("alerts under other conditions")
    if old.tenants != new.tenants:
        changes.append(f"is for {', '.join(sorted(new.tenants)) or 'every tenant'}")
    if old.watched != new.watched:
        changes.append("is watched only" if new.watched else "is held to its target")
    return changes


def _or_none(target: float | None) -> str:
    return "none" if target is None else f"{target:g}"
