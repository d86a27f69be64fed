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
from warehouse.clock import utc_text

if TYPE_CHECKING:
    from governance.evidence.files import Ground

VERSION = "1.1.2"
_SPACE = uuid.UUID("b6f2d6c4-41a5-5a0e-9a55-0c5c9a1b7a01")


def assessment_results(framework: Framework, outcomes: Sequence[Outcome], ground: "Ground") -> dict[str, Any]:
    """The document: one result, with an observation and a finding for each control that has a query."""
    at = utc_text(ground.as_of_unix_nano)
    computed = [outcome for outcome in outcomes if outcome.state is not State.MAPPING_ONLY]
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
        result["observations"] = [_observation(outcome, ground, at) for outcome in computed]
        result["findings"] = [_finding(outcome, ground) for outcome in computed]
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


def _observation(outcome: Outcome, ground: "Ground", at: str) -> dict[str, Any]:
    control = outcome.control
    return {
        "uuid": _id(ground, f"observation/{control.id}"),
        "title": _line(control.title),
        "description": _line(f"{control.question} {outcome.why}. What it does not show: {control.limits}"),
        "methods": ["TEST"],
        "types": ["control-objective"],
        "props": [
            {"name": "population", "value": str(outcome.items)},
            {"name": "exceptions", "value": str(outcome.exceptions)},
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


def _finding(outcome: Outcome, ground: "Ground") -> dict[str, Any]:
    control = outcome.control
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
        "related-observations": [{"observation-uuid": _id(ground, f"observation/{control.id}")}],
    }


def _id(ground: "Ground", what: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{ground.seed}/{ground.as_of_unix_nano}/{what}"))


def _line(text: str) -> str:
    """A text on one line, never empty."""
    return " ".join(text.split()) or "-"
