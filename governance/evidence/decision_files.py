"""What a pack says of decisions and of the period before: `decisions.json` with the proof of each decision, and `difference.json`. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from governance.evidence.assessment import Assessed, Assessment
from governance.evidence.decided import DECISIONS
from governance.evidence.decisions import Disposed, Place, Reviewed, exception_ids
from warehouse.clock import utc_text

DIFFERENCE = "difference.json"
_FOLDER = "decisions/proofs"


def decision_places(assessed: Assessed) -> set[Place]:
    """Where the decisions that the pack lists are recorded: it holds a proof of each."""
    return {each.place for assessment in assessed.assessments for each in _decisions(assessment)}


def decision_files(
    assessed: Assessed, proofs: Mapping[Place, bytes], problems: Mapping[Place, str]
) -> dict[str, bytes]:
    """Both files, and the proofs of the decisions, by name.

    Listed is everything that was decided on exceptions of the period and of the period before, what was changed later too, oldest
    first; and the reviews of this period.
    """
    found: dict[str, list[dict[str, Any]]] = {"dispositions": [], "reviews": []}
    files: dict[str, bytes] = {}
    for assessment in assessed.assessments:
        for each in _decisions(assessment):
            kind = "dispositions" if isinstance(each, Disposed) else "reviews"
            found[kind].append(each.to_json() | _proved(each.place, proofs, problems))
            if each.place in proofs:
                files[_proof_name(each.place)] = proofs[each.place]
    files[DECISIONS] = _json(found)
    files[DIFFERENCE] = _json(_difference(assessed))
    return files


def _decisions(assessment: Assessment) -> Iterator[Disposed | Reviewed]:
    """Decisions on one control that belong into the pack of its period, oldest first."""
    if assessment.difference is None:
        return
    before = exception_ids(assessment.control, assessment.difference.before.excepted)
    seen = dict.fromkeys((*assessment.ids, *before))
    history = [each for exception in seen for each in assessment.decisions.disposed.get(exception, ())]
    yield from sorted(history, key=lambda each: (each.time_unix_nano, each.place))
    yield from assessment.reviews


def _difference(assessed: Assessed) -> dict[str, Any]:
    first, last = assessed.before
    return {
        "from": utc_text(assessed.from_unix_nano),
        "to": utc_text(assessed.to_unix_nano),
        "before": {"from": utc_text(first), "to": utc_text(last)},
        "controls": [_of_control(each) for each in assessed.assessments if each.difference is not None],
    }


def _of_control(assessment: Assessment) -> dict[str, Any]:
    outcome, difference = assessment.outcome, assessment.difference
    if difference is None:
        return {}
    before, gone = difference.before, difference.gone
    marked = list(zip(assessment.ids, difference.is_new, strict=True))
    left = zip(exception_ids(assessment.control, gone), gone.column("exception").to_pylist(), strict=True)
    return {
        "control": assessment.control.id,
        "finding": outcome.state.value,
        "items": outcome.items,
        "exceptions": outcome.exceptions,
        "before": {"finding": before.state.value, "items": before.items, "exceptions": before.exceptions},
        "new": [str(each) for each, is_new in marked if is_new],
        "continuing": [str(each) for each, is_new in marked if not is_new],
        "gone": [{"exception": str(each), "why": why} for each, why in left],
    }


def _proved(place: Place, proofs: Mapping[Place, bytes], problems: Mapping[Place, str]) -> dict[str, Any]:
    table, shard, index = place
    found: dict[str, Any] = {"place": {"table": table, "shard": shard, "index": index}}
    if place in proofs:
        return found | {"proof": _proof_name(place)}
    return found | {"proof": None, "problem": problems.get(place, "the record was not found")}


def _proof_name(place: Place) -> str:
    table, shard, index = place
    return f"{_FOLDER}/{table}-{shard}-{index}.tlog-proof"


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
