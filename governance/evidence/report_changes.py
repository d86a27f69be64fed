"""What a report says of the period before and of decisions, in words. Pure; used by the PDF and the HTML page alike."""

from collections.abc import Mapping
from typing import Any

from governance.controls.evaluating import Outcome
from governance.evidence.assessment import Assessed, Assessment
from governance.evidence.decisions import Disposition, exception_ids
from governance.evidence.difference import Difference
from warehouse.clock import utc_text

_SHOWN = 20


def moment(unix_nano: int) -> str:
    """A time as people read it."""
    return f"{utc_text(unix_nano)[:19].replace('T', ' ')} UTC"


def comparison(assessed: Assessed) -> dict[str, Any]:
    """The summary's table: each computed control now and before, and what became of its exceptions."""
    first, last = assessed.before
    changed = [
        f"{each.control.id} was {each.difference.before.state.value}, is {each.outcome.state.value}"
        for each in assessed.changed
        if each.difference is not None
    ]
    return {
        "before": f"{moment(first)} to {moment(last)}, end not included",
        "changed": "; ".join(changed) or "none",
        "rows": [summary_row(each) for each in assessed.assessments if each.difference is not None],
        "reviewed": sum(each.review is not None for each in assessed.assessments),
        "open": sum(each.dispositions[Disposition.OPEN.value] for each in assessed.assessments),
    }


def changes(assessment: Assessment) -> dict[str, Any]:
    """A control's section on the period before, on decisions, and on its review. Of a mapping every part is empty."""
    difference, review = assessment.difference, assessment.review
    if difference is None:
        return {"before": "", "exceptions_now": "", "gone": [], "gone_more": 0, "decided_more": 0, "review": ""}
    gone = difference.gone.slice(0, _SHOWN)
    named = zip(exception_ids(assessment.control, gone), gone.column("exception").to_pylist(), strict=True)
    return {
        "before": f"The period before: {_figure(difference.before)}. This period: {_figure(assessment.outcome)}.",
        "exceptions_now": _moved(assessment, difference),
        "gone": [f"{each.table} {each.shard}/{each.index}: {why or 'could not be judged'}" for each, why in named],
        "gone_more": difference.gone.num_rows - gone.num_rows,
        "decided_more": max(0, len(assessment.disposed) - _SHOWN),
        "review": (
            "Nobody has marked this control as reviewed for this period."
            if review is None
            else f"Reviewed by {review.by} on {moment(review.time_unix_nano)}: “{review.note}”. {_seen(assessment)}"
        ),
    }


def decided(assessment: Assessment, as_of_unix_nano: int) -> list[dict[str, str]]:
    """The first decisions on exceptions of the period: on which record, what, by whom, and why."""
    return [
        {
            "record": f"{each.of.table} {each.of.shard}/{each.of.index}",
            "what": each.words(as_of_unix_nano),
            "why": each.reason,
            "who": f"{each.by}, {moment(each.time_unix_nano)}" + (f", ticket {each.ticket}" if each.ticket else ""),
        }
        for each in assessment.disposed[:_SHOWN]
    ]


def mark(is_new: bool, disposed: str) -> str:
    """What is said beside an exception: whether it is new, and what became of it."""
    return f"{'new' if is_new else 'goes on'}; {disposed}"


def summary_row(assessment: Assessment) -> dict[str, Any]:
    """One control in the table of the summary: what was and is, as one value where it did not change; empty for a mapping."""
    difference = assessment.difference
    if difference is None:
        return {}
    before, now = difference.before, assessment.outcome
    return {
        "id": assessment.control.id,
        "finding": _step(before.state.value, now.state.value, "{}, as before"),
        "items": _step(f"{before.items:,}", f"{now.items:,}"),
        "exceptions": _step(f"{before.exceptions:,}", f"{now.exceptions:,}"),
        "moved": f"{difference.new:,} / {difference.continuing:,} / {difference.gone.num_rows:,}",
        "open": f"{assessment.dispositions[Disposition.OPEN.value]:,}"
        + (f" ({assessment.overdue:,} overdue)" if assessment.overdue else ""),
        "reviewed": "no" if assessment.review is None else utc_text(assessment.review.time_unix_nano)[:10],
    }


def _moved(assessment: Assessment, difference: Difference) -> str:
    """What became of the exceptions of both periods."""
    if not assessment.outcome.exceptions and not difference.before.exceptions:
        return "Neither has exceptions."
    return (
        f"Exceptions of this period: {difference.new:,} new, {difference.continuing:,} that {_verb(difference.continuing, 'go')} on. "
        f"Of the period before {difference.gone.num_rows:,} {_verb(difference.gone.num_rows, 'be')} gone. {_disposed_words(assessment)}"
    )


def _figure(outcome: Outcome) -> str:
    return f"{outcome.state.value}, {_counted(outcome.items, 'item')}, {_counted(outcome.exceptions, 'exception')}"


def _step(before: str, now: str, same: str = "{}") -> str:
    """From one value to another, or the one that it stayed."""
    return same.format(now) if before == now else f"{before} → {now}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _verb(count: int, verb: str) -> str:
    forms = {"go": ("goes", "go"), "be": ("is", "are")}
    return forms[verb][count != 1]


def _disposed_words(assessment: Assessment) -> str:
    counted = counted_dispositions(assessment.dispositions, assessment.overdue)
    return f"What was decided on them: {counted}." if counted else ""


def counted_dispositions(dispositions: Mapping[str, int], overdue: int) -> str:
    """How many exceptions are open, accepted and so on, in words; those that are open again are named."""
    again = {Disposition.OPEN.value: f" ({overdue:,} overdue)"} if overdue else {}
    return ", ".join(f"{count:,} {name}{again.get(name, '')}" for name, count in dispositions.items() if count)


def _seen(assessment: Assessment) -> str:
    """Whether the figures are still those that the reviewer saw."""
    review, now = assessment.review, assessment.outcome
    if review is None or (review.finding, review.items, review.exceptions) == (
        now.state.value,
        now.items,
        now.exceptions,
    ):
        return "The figures are those that were reviewed."
    return f"The figures were other ones then: {review.finding}, {_counted(review.items, 'item')}, {_counted(review.exceptions, 'exception')}."
