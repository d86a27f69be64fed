"""A pack's report for people: a PDF (PDF/A-2b, by typst) and the same as one HTML page. Pure.

Texts of records reach typst as JSON data and HTML through escaping: nothing in them is markup there. Only fonts that typst brings
along are used, so that every machine makes the same bytes.
"""

import datetime as dt
import html
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from governance.controls.evaluating import Outcome, State
from governance.controls.population import REQUIRED
from governance.evidence.assessment import Assessed, Assessment
from governance.evidence.grounds import losses_of, losses_text
from governance.evidence.report_changes import changes, comparison, decided, mark, moment
from governance.evidence.typeset import typeset
from warehouse.clock import NANOS_PER_DAY, NANOS_PER_SECOND, utc_text

if TYPE_CHECKING:
    from governance.evidence.files import Ground

SHOWN_EXCEPTIONS = 12
"""Of each control: with more, one control alone would fill many pages. `exceptions.csv` has all."""
_SHOWN_GAPS = 5
_MOST_CHARACTERS = 600
_MOST_OF_A_VALUE = 120
_MOST_OF_A_TITLE = 250
_NANOS = "_unix_nano"
_BARS = 31


def pdf_report(assessed: Assessed, ground: "Ground") -> bytes:
    """The report as PDF/A-2b.

    Raises:
        UnavailableError: the template cannot be set.
    """
    return typeset(report_data(assessed, ground), ground.as_of_unix_nano // NANOS_PER_SECOND)


def html_report(assessed: Assessed, ground: "Ground") -> str:
    """The report as one HTML page without scripts and without anything from elsewhere."""
    data = report_data(assessed, ground)
    rows = "".join(
        f"<tr><td>{_e(each['id'])}</td><td><a href='#{_e(each['folder'])}'>{_e(each['title'])}</a></td>"
        f"<td class='{_e(each['tone'])}'>{_e(each['state'])}</td><td>{_e(each['why'])}</td></tr>"
        for each in data["controls"]
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{_e(data['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{_e(data['title'])}</h1><p>{_e(data['note'])}</p>"
        f"<p>Tenant <b>{_e(data['tenant'])}</b>, lake {_e(data['lake'])}, {_e(data['from'])} to {_e(data['to'])} (end not included). "
        f"Computed from records received up to {_e(data['as_of'])}.</p>"
        + (f"<p class='bad'><b>{_e(data['losses'])}</b></p>" if data["losses"] else "")
        + f"<p class='trust'>{_e(data['trust'])}<br>Fingerprint of the key: <code>{_e(data['fingerprint'])}</code></p>"
        f"<h2>Summary</h2><table><tr><th>Control</th><th>Title</th><th>Finding</th><th>Figure</th></tr>{rows}</table>"
        f"{_html_comparison(data['comparison'])}<h2>Is anything missing?</h2><ul>{''.join(f'<li>{_e(line)}</li>' for line in data['completeness'])}"
        f"<li>Deletions under certificate in this pack: {data['certificates']}. Holds in force: {data['holds']}.</li></ul>"
        + "".join(map(_html_control, data["controls"]))
        + "</body></html>"
    )


def report_data(assessed: Assessed, ground: "Ground") -> dict[str, Any]:
    """What both reports show, as plain data: every value is a text or a number."""
    framework = assessed.framework
    return {
        "title": _short(framework.title, _MOST_OF_A_TITLE),
        "note": framework.note,
        "tenant": ground.tenant,
        "lake": ground.lake,
        "from": moment(ground.from_unix_nano),
        "to": moment(ground.to_unix_nano),
        "as_of": moment(ground.as_of_unix_nano),
        "fingerprint": ground.fingerprint,
        "trust": trust(ground),
        "losses": losses(ground),
        "completeness": completeness_lines(ground),
        "holds": len(ground.holds),
        "certificates": len(ground.certificates),
        "comparison": comparison(assessed),
        "controls": [_control(each, ground) for each in assessed.assessments],
    }


def trust(ground: "Ground") -> str:
    """Against whom these records are protected: what the first page says."""
    cosigned = [(name, at) for name, at in ground.witnesses if at]
    if not cosigned:
        return (
            "No independent witness has cosigned the seals. These records are protected against outsiders, not against the "
            "operator of this system."
        )
    if not ground.witnessed:
        name, at = max(cosigned, key=lambda each: each[1])
        return (
            f"An independent witness ({name}) cosigned this system's own log, last on {moment(at)}, but no seal of this tenant's "
            "records yet. These records are protected against outsiders, not against the operator of this system."
        )
    seconds, name = max((seconds, name) for each in ground.witnessed for name, seconds in each.cosigned)
    return (
        f"An independent witness ({name}) cosigned the seals, last on {moment(seconds * NANOS_PER_SECOND)}: the operator cannot rewrite "
        f"what came before unseen. {_vouched(ground)} Check it with the witness's key, got from the witness."
    )


def losses(ground: "Ground") -> str:
    """What the first page says where records do not fit their seals; empty where all do."""
    found = losses_of(dict(ground.completeness))
    if not found:
        return ""
    return (
        f"This system says of its own records: {losses_text(found)}. Findings rest on the records that are left. See “Is anything missing?” "
        "and completeness.json."
    )


def _vouched(ground: "Ground") -> str:
    """How much of the tenant's logs witnesses vouch for."""
    most = {log["shard"]: 0 for log in ground.completeness["logs"]}
    for each in ground.witnessed:
        most[each.shard] = max(most.get(each.shard, 0), each.size)
    sizes = sum(log["size"] for log in ground.completeness["logs"])
    bare = sorted(shard for shard, size in most.items() if not size)
    said = f"It vouches for {sum(most.values()):,} of {sizes:,} records of this tenant."
    return said + (f" Not yet for log {', '.join(bare)}." if bare else "")


def completeness_lines(ground: "Ground") -> list[str]:
    """How every record is accounted for, in sentences."""
    found = ground.completeness
    lines = [
        f"Log {each['shard']}: {each['size']:,} record numbers; {each['present']:,} there, {each['purged']:,} deleted under certificate, "
        f"{each['missing']:,} missing, {each['altered']:,} altered."
        for each in found["logs"]
    ]
    if found["result"] == "broken":
        lines.append("Some records do not fit their seals: see completeness.json.")
    elif found["checked"] == "every record":
        lines.append("Every record was checked against its seal: all fit.")
    else:
        lines.append(
            "Every record number is accounted for, and every audit event was checked against its seal: all fit. Of other records "
            "those in the samples were checked."
        )
    if ground.as_of_unix_nano < ground.to_unix_nano:
        lines.append(
            f"The period reaches beyond the newest record, which was received on {moment(ground.as_of_unix_nano)}: what came after it is not in this pack."
        )
    lines.append("Who signed, and that this is the latest state, is for the reader to establish.")
    gaps = found["gaps"]
    lines += [f"Nobody listened from {gap['from']} to {gap['to']}." for gap in gaps[:_SHOWN_GAPS]]
    if len(gaps) > _SHOWN_GAPS:
        lines.append(f"And {len(gaps) - _SHOWN_GAPS} more such times: see completeness.json.")
    if not found["listening_established"]:
        since = found["listening_since"]
        lines.append(
            "Whether a collector listened is not established for "
            + (f"what came before {since}." if since else "this period: none ever said so.")
        )
    elif not gaps:
        lines.append("A collector listened all through the period.")
    return lines


def partial(ground: "Ground") -> str:
    """For which parts of the period a good finding says nothing: what stands beside it. Empty where it covers all of it."""
    found = ground.completeness
    why = []
    if ground.as_of_unix_nano < ground.to_unix_nano:
        why.append("the newest record is from before its end")
    if not found["listening_established"]:
        why.append("it is not established that a collector listened all the time")
    elif found["gaps"]:
        why.append("at times nobody listened")
    if any(log["purged"] for log in found["logs"]):
        why.append("records were deleted under certificate")
    if any(log["missing"] or log["altered"] for log in found["logs"]):
        why.append("records are missing or altered")
    return f"This may not be of the whole period: {'; '.join(why)}. See “Is anything missing?”." if why else ""


def _control(assessment: Assessment, ground: "Ground") -> dict[str, Any]:
    outcome, control = assessment.outcome, assessment.control
    return {
        "id": control.id,
        "folder": control.folder,
        "title": _short(control.title, _MOST_OF_A_TITLE),
        "citation": _short(control.citation, _MOST_OF_A_TITLE),
        "question": control.question,
        "limits": control.limits,
        "limits_head": "Where to look" if outcome.state is State.MAPPING_ONLY else "What it does not show",
        "state": outcome.state.value,
        "tone": {State.SATISFIED: "good", State.NOT_SATISFIED: "bad"}.get(outcome.state, "open"),
        "why": outcome.why,
        "partial": partial(ground) if outcome.state is State.SATISFIED else "",
        "items": outcome.items,
        "exceptions": outcome.exceptions,
        "trend": trend_of(outcome, ground),
        "untimed": untimed(outcome, ground),
        "listed": _exceptions(assessment),
        "decided": decided(assessment, ground.as_of_unix_nano),
        "query": (control.sql or "").strip(),
        "source": _source(outcome, ground),
    } | changes(assessment)


def trend_of(outcome: Outcome, ground: "Ground") -> list[dict[str, Any]]:
    """Items and exceptions by part of the period: at most `_BARS` parts of whole days; empty where no item has its time in the period."""
    if outcome.items == _outside(outcome, ground):
        return []
    days = max(1, -(-(ground.to_unix_nano - ground.from_unix_nano) // NANOS_PER_DAY))
    width = -(-days // _BARS) * NANOS_PER_DAY
    parts = pc.divide(pc.subtract(outcome.population.column("time_unix_nano"), ground.from_unix_nano), width)
    good = pc.fill_null(outcome.population.column("ok"), False)
    counted = (
        pa.table({"part": parts, "bad": pc.cast(pc.invert(good), pa.int64())})
        .group_by("part")
        .aggregate([("bad", "sum"), ("bad", "count")])
    )
    by_part = {row["part"]: row for row in counted.to_pylist()}
    every = range(-(-days * NANOS_PER_DAY // width))
    none = {"bad_count": 0, "bad_sum": 0}
    return [
        {
            "day": utc_text(ground.from_unix_nano + part * width)[:10],
            "items": by_part.get(part, none)["bad_count"],
            "exceptions": by_part.get(part, none)["bad_sum"],
        }
        for part in every
    ]


def _outside(outcome: Outcome, ground: "Ground") -> int:
    """How many items have their time outside of the period: what was said before it, and holds in it."""
    if not outcome.items:
        return 0
    times = outcome.population.column("time_unix_nano")
    inside = pc.and_(pc.greater_equal(times, ground.from_unix_nano), pc.less(times, ground.to_unix_nano))
    return outcome.items - int(pc.sum(pc.fill_null(inside, False)).as_py())


def untimed(outcome: Outcome, ground: "Ground") -> str:
    """What is to be said of items that stand in no bar of the trend."""
    outside = _outside(outcome, ground)
    if not outside:
        return ""
    if outside == outcome.items:
        return (
            "No trend: what is counted here was recorded before the period or after it, and is judged over all of it."
        )
    return f"{outside:,} of {outcome.items:,} items were recorded before the period or after it and stand in no bar."


def _exceptions(assessment: Assessment) -> list[dict[str, str]]:
    """The first exceptions by name: when, which record, why, what the query says of it, and what became of it."""
    listed = []
    for each in assessment.exceptions(SHOWN_EXCEPTIONS):
        row = each.row
        others = [name for name in row if name not in REQUIRED and row[name] is not None]
        listed.append(
            {
                "when": moment(row["time_unix_nano"]),
                "record": f"{row['record_table']} {row['shard']}/{row['log_index']}",
                "why": _short(row["exception"] or "cannot be judged"),
                "more": _short("; ".join(_named(name, row[name]) for name in others)),
                "mark": mark(each.is_new, each.words),
            }
        )
    return listed


def _source(outcome: Outcome, ground: "Ground") -> str:
    """Where the figure comes from: what an auditor asks of information that the entity made itself."""
    control = outcome.control
    if control.sql is None:
        return ""
    folder = f"controls/{control.folder}"
    text = (
        f"{outcome.items:,} rows of {folder}/population.csv, computed by {folder}/query.sql over the records received up to "
        f"{moment(ground.as_of_unix_nano)}. The records in {folder}/sample.json were drawn with the seed {ground.seed}, "
        "and each comes with the proof of its place in a sealed log."
    )
    found = ground.populations.get(control.id)
    return f"{text} SHA-256 of the population: {found}." if found else text


def _named(name: str, value: object) -> str:
    """A column and its value in words: an instant as a date, not as nanoseconds."""
    if name.endswith(_NANOS) and isinstance(value, int):
        return f"{name.removesuffix(_NANOS).replace('_', ' ')}: {moment(value)}"
    text = value.isoformat() if isinstance(value, dt.date) else str(value)
    return f"{name.replace('_', ' ')}: {_short(text, _MOST_OF_A_VALUE)}"


def _short(text: str, most: int = _MOST_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _html_control(each: dict[str, Any]) -> str:
    listed = "".join(
        f"<tr><td>{_e(one['when'])}</td><td>{_e(one['record'])}</td><td class='long'>{_e(one['why'])}</td>"
        f"<td class='long'>{_e(one['more'])}</td>"
        f"<td>{_e(one['mark'])}</td></tr>"
        for one in each["listed"]
    )
    table = (
        f"<table><tr><th>When</th><th>Record</th><th>Why</th><th>What</th><th>Since, and what became of it</th></tr>{listed}</table>"
        if listed
        else ""
    )
    partly = f"<p class='open'>{_e(each['partial'])}</p>" if each["partial"] else ""
    left = each["exceptions"] - len(each["listed"])
    more = f"<p>and {left:,} more, all in controls/{_e(each['folder'])}/exceptions.csv</p>" if left > 0 else ""
    source = f"<p class='cite'><b>Where the figure comes from.</b> {_e(each['source'])}</p>" if each["source"] else ""
    query = f"<details><summary>Query</summary><pre>{_e(each['query'])}</pre></details>" if each["query"] else ""
    return (
        f"<section id='{_e(each['folder'])}'><h2>{_e(each['id'])} {_e(each['title'])}</h2><p class='cite'>{_e(each['citation'])}</p>"
        f"<p>{_e(each['question'])}</p><p class='{_e(each['tone'])}'><b>{_e(each['state'])}</b>: {_e(each['why'])}</p>{partly}{_html_trend(each)}{table}{more}"
        f"{_html_changes(each)}<p><b>{_e(each['limits_head'])}.</b> {_e(each['limits'])}</p>{source}{query}</section>"
    )


def _html_trend(each: dict[str, Any]) -> str:
    """Bars over the period, and the same in words for who cannot see them."""
    trend = each["trend"]
    note = f"<p class='cite'>{_e(each['untimed'])}</p>" if each["untimed"] else ""
    if not trend:
        return note
    most = max(1, *(part["items"] for part in trend))
    bars = "".join(
        f"<i title='{_e(part['day'])}'><b style='height:{60 * part['exceptions'] / most:.1f}px'></b>"
        f"<u style='height:{60 * (part['items'] - part['exceptions']) / most:.1f}px'></u></i>"
        for part in trend
    )
    said = ", ".join(f"{part['day']}: {part['items']:,} ({part['exceptions']:,})" for part in trend if part["items"])
    return (
        f"<h3>Over the period</h3><div class='bars' role='img' aria-label='items and exceptions by time'>{bars}</div>"
        f"<p class='cite'>Items by time, exceptions in red and in brackets: {_e(said)}.</p>{note}"
    )


def _html_changes(each: dict[str, Any]) -> str:
    """What was decided, what changed since the period before, and the review."""
    if not each["before"]:
        return ""
    rows = "".join(
        f"<tr><td>{_e(one['record'])}</td><td>{_e(one['what'])}</td><td>{_e(one['why'])}</td><td>{_e(one['who'])}</td></tr>"
        for one in each["decided"]
    )
    head = "<tr><th>Record</th><th>Decision</th><th>Why</th><th>Who</th></tr>"
    table = f"<h3>What was decided</h3><table>{head}{rows}</table>" if rows else ""
    more = f"<p>and {each['decided_more']:,} more: decisions.json</p>" if each["decided_more"] else ""
    gone = "".join(f"<li>{_e(line)}</li>" for line in each["gone"])
    rest = f"<li>and {each['gone_more']:,} more: difference.json</li>" if each["gone_more"] else ""
    lost = f"<p>Gone since:</p><ul>{gone}{rest}</ul>" if gone else ""
    return (
        f"{table}{more}<h3>Since the period before</h3><p>{_e(each['before'])} {_e(each['exceptions_now'])}</p>{lost}"
        f"<p>{_e(each['review'])}</p>"
    )


def _html_comparison(found: dict[str, Any]) -> str:
    names = ("id", "finding", "items", "exceptions", "moved", "open", "reviewed")
    heads = ("Control", "Finding", "Items", "Exceptions", "New / go on / gone", "Open", "Reviewed")
    rows = "".join(f"<tr>{''.join(f'<td>{_e(row[name])}</td>' for name in names)}</tr>" for row in found["rows"])
    if not rows:
        return ""
    return (
        f"<h2>Since the period before</h2><p>Compared with {_e(found['before'])}. Findings that changed: {_e(found['changed'])}.</p>"
        f"<table><tr>{''.join(f'<th>{each}</th>' for each in heads)}</tr>{rows}</table>"
    )


def _e(value: object) -> str:
    return html.escape(str(value), quote=True)


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}td,th{border:1px solid #ccc;padding:.4rem;text-align:left;vertical-align:top;"
    "unicode-bidi:isolate}.good{color:#1b5e20}.bad{color:#b71c1c}.open{color:#8a5a00}.trust{border-left:4px solid #1f5fa8;padding-left:1rem}"
    ".long{overflow-wrap:anywhere}.bars{display:flex;align-items:flex-end;gap:1px;height:60px}.bars i{flex:1}"
    ".bars b,.bars u{display:block}.bars b{background:#c62828}.bars u{background:#5aa0d8}"
    "pre{white-space:pre-wrap;background:#f5f5f5;padding:1rem}section{border-top:1px solid #ccc;margin-top:2rem}.cite{color:#555}"
)
