"""Decisions in a pack, held against the records that they are: each is proved, says what the pack says, and counts as it is counted.

Part of `verify_pack.py`, like `sealed`. Invariant: a decision in a pack is one that this system recorded, on that exception or of that
control, framework and period; what is decided on an exception comes in order of time, since the newest counts.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from governance.evidence.sealed import PackError, check_proof

DECISIONS = "decisions.json"
# places of an audit event's columns in its record text
_AT, _RECORDED_BY, _PEER, _ATTRIBUTES, _EVENT, _OUTCOME, _REASON = 7, 8, 9, 20, 23, 30, 31
_EVENTS = (("dispositions", "exception.disposed"), ("reviews", "control.reviewed"))


def check_decided(
    read: Callable[[str], bytes], manifest: dict[str, Any], control: dict[str, Any], rows: list[dict[str, str]]
) -> list[str]:
    """Check what the manifest says of a control's exceptions: each is new or goes on, and is open or disposed of, and of its review.

    What was accepted, or was to be mended, until a day before the time of the pack is open again.
    """
    if "dispositions" not in control:
        return []  # a pack made before packs had decisions
    where, bad = f"controls/{control['folder']}", [row for row in rows if row["ok"] != "true"]
    content = json.loads(read(DECISIONS))
    newest = {each["exception"]: each for each in content["dispositions"]}
    found = dict.fromkeys(control["dispositions"], 0)
    overdue, today = 0, _moment(int(manifest["as_of_unix_nano"]))[:10]
    for row in bad:
        name = f"{manifest['framework']}/{control['id']}/{row['record_table']}/{row['shard']}/{row['log_index']}"
        now = newest.get(name, {"disposition": "open"})
        # in a pack made before overdue ones were counted they are what they were
        is_overdue = "overdue" in control and now["disposition"] != "open" and (now.get("due") or today) < today
        overdue += is_overdue
        found["open" if is_overdue else now["disposition"]] += 1
    problems = []
    if control.get("overdue", 0) != overdue:
        problems.append(
            f"{where}: expected {control['overdue']} exceptions that are overdue, {DECISIONS} says {overdue}"
        )
    if found != control["dispositions"]:
        problems.append(f"{where}: expected exceptions {control['dispositions']}, {DECISIONS} says {found}")
    if control["new"] + control["continuing"] != len(bad):
        problems.append(f"{where}: expected {len(bad)} exceptions that are new or go on, got another number")
    reviewed = any(each["control"] == control["id"] for each in content["reviews"])
    if control["reviewed"] != reviewed:
        problems.append(f"{where}: expected reviewed {control['reviewed']}, {DECISIONS} says {reviewed}")
    return problems


def check_decisions(
    read: Callable[[str], bytes],
    manifest: dict[str, Any],
    keys: list[tuple[str, bytes]],
    heads: dict[str, tuple[int, bytes]],
) -> tuple[int, list[str]]:
    """Check that each decision is a record of a sealed log that says the same; returns how many are, and what does not fit."""
    proved = 0
    problems = []
    newest: dict[str, int] = {}
    content = json.loads(read(DECISIONS))
    for each, event in ((each, event) for kind, event in _EVENTS for each in content[kind]):
        place = each["place"]
        key = (place["table"], place["shard"], place["index"])
        if each.get("proof") is None:
            problems.append(f"{DECISIONS}: record {key}: no proof: {each.get('problem', 'none is given')}")
            continue
        try:
            parts = check_proof(read(each["proof"]), manifest, key, None, keys, heads)
            _check_says(parts, event, each, manifest)
        except PackError as exc:
            problems.append(f"{each['proof']}: {exc}")
            continue
        at, about = int(parts[_AT] or 0), each.get("exception", "")
        if event == _EVENTS[0][1] and at < newest.get(about, at):
            problems.append(
                f"{DECISIONS}: record {key}: expected decisions on {about} in order of time, got an older one after a newer"
            )
        newest[about] = at
        proved += 1
    return proved, problems


def _check_says(parts: list[str | None], event: str, decided: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Check that a record says of a decision what the pack says of it, and that this system itself made it."""
    said = json.loads(parts[_ATTRIBUTES] or "{}")
    got = {
        "event": parts[_EVENT],
        "peer": parts[_PEER],
        "by": parts[_RECORDED_BY],
        "reason": parts[_REASON],
        "outcome": parts[_OUTCOME],
        "time": _moment(int(parts[_AT] or 0)),
        "framework": said.get("muniment.control.framework"),
    }
    expected = {
        "event": event,
        "peer": "local",
        "by": decided["by"],
        "reason": decided.get("reason", decided.get("note")),
        "outcome": "success",
        "time": decided["time"],
        "framework": manifest["framework"],
    }
    if "exception" in decided:
        names = ("control.framework", "control.id", "exception.table", "exception.shard", "exception.index")
        got["exception"] = "/".join(str(said.get(f"muniment.{name}")) for name in names)
        got |= {name: said.get(f"muniment.exception.{name}") for name in ("disposition", "ticket", "due")}
        expected |= {name: decided[name] for name in ("exception", "disposition", "ticket", "due")}
    else:
        figures = ("id", "finding", "items", "exceptions")
        got |= {name: said.get(f"muniment.control.{name}") for name in figures}
        expected |= {"id": decided["control"]} | {name: decided[name] for name in figures[1:]}
        got["period"] = f"{said.get('muniment.control.from')} {said.get('muniment.control.to')}"
        expected["period"] = f"{manifest['from_unix_nano']} {manifest['to_unix_nano']}"
    if got != expected:
        raise PackError(f"expected a record of {expected}, got one of {got}")


def _moment(unix_nano: int) -> str:
    """A record's time as a pack writes it."""
    return f"{dt.datetime.fromtimestamp(unix_nano // 10**9, dt.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"  # noqa: UP017 - Python 3.9
