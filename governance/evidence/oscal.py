"""Outcomes as OSCAL assessment results (NIST, version 1.1.2). Pure.

Ids are made of the pack's own facts, so that the same state gives the same file. A finding in OSCAL is satisfied or not:
*insufficient evidence* is not satisfied, with that reason. Mappings produce no finding.
"""

import re
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from governance.controls.evaluating import Outcome, State
from governance.controls.framework import Framework
from governance.evidence.assessment import Assessed, Assessment
from governance.evidence.decided import DECISIONS
from governance.evidence.decisions import Disposed
from warehouse.clock import utc_text

if TYPE_CHECKING:
    from governance.evidence.files import Ground

VERSION = "1.1.2"
_SPACE = uuid.UUID("b6f2d6c4-41a5-5a0e-9a55-0c5c9a1b7a01")


def assessment_results(assessed: Assessed, ground: "Ground") -> dict[str, Any]:
    """The document: one result, with an observation and a finding for each control that has a query.

    Each decision on an exception is an observation of its own, to which the finding of its control is related.
    """
    framework = assessed.framework
    outcomes = [each.outcome for each in assessed.assessments]
    at = utc_text(ground.as_of_unix_nano)
    computed = [each for each in assessed.assessments if each.outcome.state is not State.MAPPING_ONLY]
    result: dict[str, Any] = {
        "uuid": _id(ground, "result"),
        "title": _line(f"{framework.title}: {ground.tenant}"),
        "description": _line(
            f"Computed from the sealed records of AI agents of tenant {ground.tenant}. {framework.note}"
        ),
        "start": utc_text(ground.from_unix_nano),
        "end": utc_text(ground.to_unix_nano),
        "reviewed-controls": {"control-selections": [_selection(framework, outcomes)]},
    }
    if computed:
        result["observations"] = [
            *(_observation(each, ground, at) for each in computed),
            *(_decision(each, decided, ground) for each in computed for decided in each.disposed),
        ]
        result["findings"] = [_finding(each, ground) for each in computed]
    return {
        "assessment-results": {
            "uuid": _id(ground, "document"),
            "metadata": {
                "title": _line(f"{framework.title}: evidence of {ground.tenant}"),
                "last-modified": at,
                "version": ground.seed[:12],
                "oscal-version": VERSION,
            },
            "import-ap": {"href": "#assessment-plan"},
            "results": [result],
        }
    }


def token(framework: str, control: str) -> str:
    """A control's id as OSCAL takes it: an NCName."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{framework}_{control}").strip("-")


def _selection(framework: Framework, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"include-controls": [{"control-id": token(framework.id, outcome.control.id)} for outcome in outcomes]}


def _observation(assessment: Assessment, ground: "Ground", at: str) -> dict[str, Any]:
    outcome, control = assessment.outcome, assessment.control
    return {
        "uuid": _id(ground, f"observation/{control.id}"),
        "title": _line(control.title),
        "description": _line(f"{control.question} {outcome.why}. What it does not show: {control.limits}"),
        "methods": ["TEST"],
        "types": ["control-objective"],
        "props": [
            {"name": "population", "value": str(outcome.items)},
            {"name": "exceptions", "value": str(outcome.exceptions)},
            *_counts(assessment),
        ],
        "relevant-evidence": [
            {
                "href": f"controls/{control.folder}/population.csv",
                "description": _line(
                    f"The population of {outcome.items} items, with its query and a sample with proofs."
                ),
            }
        ],
        "collected": at,
    }


def _counts(assessment: Assessment) -> list[dict[str, str]]:
    """What became of the exceptions, and the figures of the period before."""
    difference, review = assessment.difference, assessment.review
    if difference is None:
        return []
    before = difference.before
    found = {f"exceptions-{name.replace(' ', '-')}": str(count) for name, count in assessment.dispositions.items()}
    found |= {
        "exceptions-overdue": str(assessment.overdue),
        "exceptions-new": str(difference.new),
        "exceptions-continuing": str(difference.continuing),
        "exceptions-gone": str(difference.gone.num_rows),
        "before-finding": before.state.value,
        "before-population": str(before.items),
        "before-exceptions": str(before.exceptions),
        "reviewed": "no" if review is None else utc_text(review.time_unix_nano),
    }
    return [{"name": name, "value": value} for name, value in found.items()]


def _decision(assessment: Assessment, decided: Disposed, ground: "Ground") -> dict[str, Any]:
    """What somebody decided on one exception."""
    control = assessment.control
    props = {
        "disposition": decided.disposition.value,
        "exception": str(decided.of),
        "decided-by": decided.by,
        "ticket": decided.ticket,
        "due": None if decided.due is None else decided.due.isoformat(),
    }
    return {
        "uuid": _id(ground, f"decision/{decided.of}"),
        "title": _line(f"{control.id}: exception {decided.words(ground.as_of_unix_nano)}"),
        "description": _line(decided.reason),
        "methods": ["EXAMINE"],
        "types": ["finding"],
        "props": [{"name": name, "value": _line(value)} for name, value in props.items() if value],
        "relevant-evidence": [
            {
                "href": DECISIONS,
                "description": _line("Every decision on this exception with the proof of its record."),
            }
        ],
        "collected": utc_text(decided.time_unix_nano),
    }


def _finding(assessment: Assessment, ground: "Ground") -> dict[str, Any]:
    outcome, control = assessment.outcome, assessment.control
    satisfied = outcome.state is State.SATISFIED
    status = {"state": "satisfied" if satisfied else "not-satisfied"}
    if not satisfied:
        status["reason"] = "other" if outcome.state is State.INSUFFICIENT else "fail"
    return {
        "uuid": _id(ground, f"finding/{control.id}"),
        "title": _line(f"{control.id} {control.title}"),
        "description": _line(f"{outcome.state.value}: {outcome.why}"),
        "target": {
            "type": "objective-id",
            "target-id": token(control.framework, control.id),
            "status": status,
        },
        "related-observations": [
            {"observation-uuid": _id(ground, f"observation/{control.id}")},
            *({"observation-uuid": _id(ground, f"decision/{each.of}")} for each in assessment.disposed),
        ],
    }


def _id(ground: "Ground", what: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{ground.seed}/{ground.as_of_unix_nano}/{what}"))


def _line(text: str) -> str:
    """A text on one line, never empty."""
    return " ".join(text.split()) or "-"
