"""A pack of much, of nothing, and of odd words: its report stays short, its OSCAL document stays valid."""

import json
import re
import warnings

import pyarrow as pa
import pyarrow.csv as pc
import pytest

from governance.controls.evaluating import Outcome, State
from governance.controls.framework import Control, Framework
from governance.evidence.assessment import Assessed, Assessment
from governance.evidence.decisions import Decisions, exception_ids
from governance.evidence.difference import compare
from governance.evidence.files import Ground, pack_files
from governance.evidence.standalone import canonical_zip

DAY = 86_400_000_000_000
MANY = 500
ODD = " \t提示 <b>&amp;\u202e\u2028\x00\x1b[31m \U0001f525 'quoted' \"twice\" "


def assessed_of(items, title="Title", days=30):
    """One control whose every item is an exception with a long text, in a period of so many days."""
    control = Control("house-rules", "H-1", title, title, title, "population", title, "select $from, $to")
    population = pa.table(
        {
            "record_table": pa.array(["audit_events"] * items, pa.string()),
            "shard": pa.array(["main-1"] * items, pa.string()),
            "log_index": pa.array(range(items), pa.int64()),
            "time_unix_nano": pa.array([at * DAY // max(items, 1) for at in range(items)], pa.int64()),
            "ok": pa.array([False] * items, pa.bool_()),
            "exception": pa.array(["nobody approved it, " * 20] * items, pa.string()),
            "what": pa.array(["x" * 5_000] * items, pa.string()),
        }
    )
    state = State.NOT_SATISFIED if items else State.INSUFFICIENT
    outcome = Outcome(control, state, population, items, None, "why")
    nothing = Outcome(control, State.INSUFFICIENT, population.slice(0, 0), 0, None, "nothing")
    ids = tuple(exception_ids(control, population))
    found = Assessment(outcome, compare(outcome, nothing), ids, Decisions(), 0)
    mapped = Outcome(
        Control("house-rules", "M-1", title, "c", "q", "mapping", "l"), State.MAPPING_ONLY, population, 0, None, "m"
    )
    more = tuple(Assessment(mapped, None, (), Decisions(), 0) for _ in range(3))
    return Assessed(Framework("house-rules", title, title, (control,)), 0, days * DAY, (found, *more))


def files_of(assessed, tenant="acme"):
    """The files of its pack."""
    ground = Ground(
        lake="lake", tenant=tenant, from_unix_nano=0, to_unix_nano=assessed.to_unix_nano, as_of_unix_nano=40 * DAY, policy_hash="h",
        vkeys=("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",), signers=(), witnesses=(),
        completeness={
            "logs": [], "result": "consistent", "checked": "audit events", "gaps": [], "listening_established": True,
            "listening_since": None,
        },
    )  # fmt: skip
    return pack_files(assessed, ground, {}, {})


def pages(pdf):
    """How many pages a report has."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_a_control_with_many_exceptions_fills_few_pages():
    """The first are named, and where all of them are; mappings share a page."""
    files = files_of(assessed_of(MANY))
    assert pages(files["report.pdf"]) <= 8
    page = files["report.html"].decode()
    assert "and 488 more, all in controls/h-1/exceptions.csv" in page
    assert "1970-01-01: 500 (500)." in page
    listed = pc.read_csv(pa.BufferReader(files["controls/h-1/exceptions.csv"]))
    assert listed.num_rows == MANY


@pytest.mark.parametrize("items", [0, 1])
@pytest.mark.parametrize(("title", "days"), [("Title", 1), (ODD, 30), ("word " * 400, 366), ("x" * 3_000, 1)])
def test_odd_words_and_periods_make_a_valid_pack(items, title, days):
    """Of one day or of a leap year; the same bytes again; the OSCAL document fits its model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trestle.oscal.assessment_results import Model
    assessed = assessed_of(items, title, days)
    files = files_of(assessed, tenant="t" * 63)
    document = Model.model_validate_json(files["assessment-results.json"]).assessment_results
    assert len(document.results[0].findings) == 1
    assert json.loads(files["controls/h-1/finding.json"])["title"] == title
    assert canonical_zip(files) == canonical_zip(files_of(assessed, tenant="t" * 63))
    assert pages(files["report.pdf"]) <= 12
