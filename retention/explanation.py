"""Explains retention to people: for one record, or a kind of record, which rule applies, why, and until when it is kept. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retention.policy import AUDIT_TABLE, OWNER_TABLES, QUARANTINE, Combination, Minimum, RetentionPolicy, Rule
from retention.policy_changes import minimum_text, rule_text
from retention.policy_config import Action
from retention.verdict import CONTENTS
from warehouse.clock import NANOS_PER_DAY, utc_text


@dataclass(frozen=True)
class Times:
    """A record's own time and its receipt, nanoseconds since 1970."""

    own_unix_nano: int
    received_unix_nano: int


@dataclass(frozen=True)
class RuleExplanation:
    """A rule, and until when it keeps the record; None where the record's times are not known."""

    rule: Rule
    until_unix_nano: int | None


@dataclass(frozen=True)
class Explanation:
    """What applies to a record.

    Attributes:
        combination: what of it decides.
        counts_from: what rules count from, in words.
        since_unix_nano: that instant; None where the record's times are not known.
        rule: the rule that deletes; None for records that never expire.
        less_specific: other rules that match, from the most specific on.
        contents: the rule under which its contents go; None without one of its own.
        minimums: every minimum that it falls under, with the instant until which each keeps it, longest first.
        holds: ids of the holds that keep it.
        until_unix_nano: when it may go; None where it is not known, or never.
    """

    combination: Combination
    counts_from: str
    since_unix_nano: int | None
    rule: RuleExplanation | None
    less_specific: tuple[Rule, ...]
    contents: RuleExplanation | None
    minimums: tuple[tuple[Minimum, int | None], ...]
    holds: tuple[str, ...]
    until_unix_nano: int | None

    def is_due(self, now_unix_nano: int) -> bool | None:
        """Whether it would go now; None where its times are not known."""
        if self.rule is None or self.holds:
            return False
        return None if self.until_unix_nano is None else self.until_unix_nano <= now_unix_nano

    def to_json(self, now_unix_nano: int) -> dict[str, Any]:
        """The explanation for machines; instants in nanoseconds since 1970."""
        return {
            "table": self.combination.table,
            "tenant": self.combination.tenant_id,
            "counts_from": self.counts_from,
            "since_unix_nano": self.since_unix_nano,
            "rule": None if self.rule is None else _rule_json(self.rule),
            "less_specific": [rule.name for rule in self.less_specific],
            "contents": None if self.contents is None else _rule_json(self.contents),
            "minimums": [
                {
                    "name": minimum.name,
                    "place": minimum.place,
                    "keep": str(minimum.keep),
                    "citation": minimum.citation,
                    "until_unix_nano": until,
                }
                for minimum, until in self.minimums
            ],
            "holds": list(self.holds),
            "until_unix_nano": self.until_unix_nano,
            "due": self.is_due(now_unix_nano),
            "never": self.rule is None,
        }

    def lines(self, now_unix_nano: int) -> list[str]:
        """The explanation for people."""
        lines = [f"{self.combination.table} of {_tenant_text(self.combination)}"]
        if self.rule is None:
            return [
                *lines,
                "kept for ever: evidence of deletion, keys and logs outlives every record; no rule can match it",
            ]
        lines.append(f"rule {self.rule.rule.name} ({self.rule.rule.place}): {rule_text(self.rule.rule)}")
        lines += [f"  more specific than {rule.name} ({rule.place}): {rule_text(rule)}" for rule in self.less_specific]
        lines.append(
            f"counts from {self.counts_from}{_at(self.since_unix_nano, ': ')}{_until(self.rule.until_unix_nano)}"
        )
        for minimum, until in self.minimums:
            lines.append(f"minimum {minimum.name} ({minimum.place}): {minimum_text(minimum)}{_until(until)}")
        lines += [f"hold {hold}: kept until it is released" for hold in self.holds]
        if self.contents is not None:
            contents = self.contents
            lines.append(
                f"contents: rule {contents.rule.name} ({contents.rule.place}): {rule_text(contents.rule)}"
                f"{_until(contents.until_unix_nano)}"
            )
        if self.until_unix_nano is not None:
            state = "due now" if self.is_due(now_unix_nano) else "kept back by a hold" if self.holds else "not due yet"
            lines.append(f"kept until {utc_text(self.until_unix_nano)}: {state}")
        return lines


def explain(
    policy: RetentionPolicy, combination: Combination, *, times: Times | None = None, holds: Sequence[str] = ()
) -> Explanation:
    """What applies to a record with this combination, and with its times until when."""
    answer = policy.answer(combination)
    counts_from, since = _since(combination.table, times)
    received = None if times is None else times.received_unix_nano
    minimums = sorted(
        ((each, None if received is None else each.keep.deadline(received)) for each in answer.minimums),
        key=lambda each: (-(each[1] or 0), -each[0].keep.most_days, each[0].name),
    )
    rule = None if answer.rule is None else _explained(answer.rule, since)
    until = None
    if rule is not None and rule.until_unix_nano is not None:
        until = max([rule.until_unix_nano, *(end for _, end in minimums if end is not None)])
    matching = [
        each for each in policy.rules if each.action is Action.DELETE and each.scope.matches(combination) and each is not answer.rule
    ]  # fmt: skip
    return Explanation(
        combination,
        counts_from,
        since,
        rule,
        tuple(sorted(matching, key=lambda each: each.scope.rank(combination), reverse=True)),
        _contents(policy, combination, times, answer.contents_rule),
        tuple(minimums),
        tuple(sorted(holds)),
        until,
    )


def _contents(
    policy: RetentionPolicy, owner: Combination, times: Times | None, own_rule: Rule | None
) -> RuleExplanation | None:
    """The rule by which a record's contents go before it: the earlier one of theirs and of one for the record's contents."""
    if owner.table not in OWNER_TABLES or owner.protected:
        return None
    found: list[Rule] = [] if own_rule is None else [own_rule]
    theirs = policy.answer(Combination(CONTENTS, owner.tenant_id, owner.data_class, agent=owner.agent)).rule
    if theirs is not None:
        found.append(theirs)
    since = {id(each): _since(CONTENTS if each is theirs else owner.table, times)[1] for each in found}
    return min(
        (_explained(each, since[id(each)]) for each in found),
        key=lambda each: (each.until_unix_nano or 0, each.rule.keep.most_days),
        default=None,
    )


def _explained(rule: Rule, since: int | None) -> RuleExplanation:
    return RuleExplanation(rule, None if since is None else rule.keep.deadline(since))


def _since(table: str, times: Times | None) -> tuple[str, int | None]:
    """What rules of a table count from, in words and as an instant."""
    if table == QUARANTINE:
        words = "the end of the day of receipt"
        day_end = None if times is None else (times.received_unix_nano // NANOS_PER_DAY + 1) * NANOS_PER_DAY - 1
        return words, day_end
    if table == AUDIT_TABLE:
        return "receipt", None if times is None else times.received_unix_nano
    if times is None:
        return "its own time, or its receipt where that is earlier", None
    own, received = times.own_unix_nano, times.received_unix_nano
    if own <= received:
        return "its own time", own
    return "its receipt, which is earlier than its own time", received


def _rule_json(explained: RuleExplanation) -> dict[str, Any]:
    rule = explained.rule
    return {
        "name": rule.name,
        "place": rule.place,
        "keep": str(rule.keep),
        "action": rule.action.value,
        "scope": rule.scope.to_json(),
        "until_unix_nano": explained.until_unix_nano,
    }


def _tenant_text(of: Combination) -> str:
    said = [f"tenant {of.tenant_id}" if of.tenant_id != "*" else "tenants that no entry names"]
    for what, value in (("class", of.data_class), ("agent", of.agent), ("events", ", ".join(of.patterns) or None)):
        said += [] if value is None else [f"{what} {value}"]
    return "; ".join(said)


def _at(unix_nano: int | None, before: str) -> str:
    return "" if unix_nano is None else f"{before}{utc_text(unix_nano)}"


def _until(unix_nano: int | None) -> str:
    return _at(unix_nano, ", until ")
