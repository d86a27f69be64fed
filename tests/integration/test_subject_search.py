"""Searching a person in real lakes: what is found is what reading every row of every file finds, before and after compaction."""

import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retention.subject_finds import OWNER, AttributeTerm, SubjectTerms
from retention.subject_search import search_subject
from tests.grids import strided
from tests.template import copy_lake
from warehouse.clock import system_clock
from warehouse.commit import open_stores
from warehouse.errors import UnavailableError
from warehouse.lake import Lake, make_lake
from warehouse.maintenance import MaintenanceConfig, run_maintenance
from warehouse.quarantine import Quarantine, QuarantineEntry
from warehouse.writer import WriterConfig, open_writer

DAY = 86_400_000_000_000
TOKEN = "sub_vrngydrr3ln74lrifoxdwt26nq"
OTHERS = ["sub_" + letter * 25 + "a" for letter in "bcd"]
VALUE = "ada.lovelace@example.org"
KEYS = {"contents": ("shard", "owner_table", "owner_index", "part"), "metrics": ("shard", "segment", "row")}
ACTOR_KEY = "audit.actor.id"


def batch(rows, pick, tag, time, tenant="acme"):
    """A few rows of every table; persons stand in all the places where they can."""

    def tokens():
        return pick.choice([None, [], [TOKEN], [OTHERS[0]], sorted([OTHERS[1], TOKEN]), OTHERS])

    def note(number):
        text = pick.choice(["nobody", "nobody", f"for {TOKEN}", f"for {VALUE.upper()}"])
        return json.dumps({"batch": tag, "n": number, "note": text, "employee.number": pick.choice(["1", "11"])})

    def ledgered(table, count, **more):
        return rows.ledgered(
            table, count, tag, tenant=tenant, time=[time + n for n in range(count)],
            subjects=[tokens() for _ in range(count)], **more,
        )  # fmt: skip

    spans = ledgered(
        "spans", 12, user_id=[pick.choice([None, TOKEN, *OTHERS]) for _ in range(12)],
        attributes=[note(n) for n in range(12)],
    )  # fmt: skip
    actors = [pick.choice([TOKEN, "bot"]) for _ in range(12)]
    events = ledgered(
        "audit_events", 12, actor_id=actors, subject_id=[pick.choice([None, None, TOKEN]) for _ in range(12)],
        attributes=[json.dumps({ACTOR_KEY: actor}, separators=(",", ":")) for actor in actors],
    )  # fmt: skip
    logs = ledgered("logs", 12, body=[pick.choice([None, f"bye {VALUE}", "bye"]) for _ in range(12)])
    points = rows.metrics(4, tag, tenant=tenant, time=time)
    points = points.set_column(
        points.schema.get_field_index("subjects"),
        points.schema.field("subjects"),
        pa.array([tokens() for _ in range(4)], points.schema.field("subjects").type),
    )
    parts = [
        rows.contents(list(range(6)), ["prompt"] * 6, owner_table=table, tenant=tenant, time=time, tag=tag)
        for table in ("spans", "logs", "audit_events")
    ]
    contents = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    contents = contents.set_column(
        contents.schema.get_field_index("subjects"),
        contents.schema.field("subjects"),
        pa.array([tokens() for _ in range(18)], contents.schema.field("subjects").type),
    )
    return rows.treated(spans=spans, audit_events=events, logs=logs, metrics=points, contents=contents)


@pytest.fixture(scope="module")
def pattern(request, rows, tmp_path_factory):
    """A lake with six days of two tenants, most days in several files."""
    pick = random.Random(getattr(request, "param", 7))
    lake = make_lake(tmp_path_factory.mktemp("filled") / "lake")
    writer = open_writer(
        lake, "main", rows.MemoryClaims(), open_stores(lake), config=WriterConfig(), clock=lambda: rows.NOW
    )
    for number in range(12):
        tenant = "globex" if number % 4 == 3 else "acme"
        time = rows.NOW - number // 2 * DAY
        writer.append(batch(rows, pick, f"b{number}", time, tenant)).result(60)
        writer.flush()
    writer.stop()
    return lake.path


@pytest.fixture
def filled(pattern, tmp_path):
    """A copy of it."""
    return Lake(copy_lake(pattern, tmp_path / "filled"))


def expected(rows, lake, terms, *, texts):
    """Keys by table of the rows that a person stands in, found by asking every row in turn."""
    tables = {
        name: rows.read_table(lake, name).to_pylist()
        for name in ("spans", "audit_events", "logs", "metrics", "contents")
    }
    words = terms.words
    found, acted = {}, set()
    for name, of_table in tables.items():
        for row in of_table:
            if row["tenant_id"] != "acme":
                continue
            named = [row.get(c) for c in ("user_id", "actor_id", "on_behalf_of", "subject_id", "resource_id")]
            hit = any(word in named or word in (row["subjects"] or ()) for word in words)
            said = [value for column, value in row.items() if isinstance(value, str) and column != "tenant_id"]
            if texts and not hit:
                hit = any(word.lower() in text.lower() for word in words for text in said)
                attributes = json.loads(row.get("attributes") or "{}")
                hit = hit or any(attributes.get(term.name) == term.value for term in terms.attributes)
            if hit:
                keys = KEYS.get(name, ("shard", "log_index"))
                found.setdefault(name, set()).add(tuple(row[key] for key in keys))
                others = [v for c, v in row.items() if isinstance(v, str) and c not in ("actor_id", "attributes")]
                if (
                    name == "audit_events"
                    and row["actor_id"] in words
                    and not any(w in o for w in words for o in others)
                ):
                    acted.add((row["shard"], row["log_index"]))
    owners = {
        (shard, name, index) for name in ("spans", "audit_events", "logs") for shard, index in found.get(name, ())
    }
    owners -= {(shard, "audit_events", index) for shard, index in acted}
    for row in tables["contents"]:
        if row["tenant_id"] == "acme" and (row["shard"], row["owner_table"], row["owner_index"]) in owners:
            found.setdefault("contents", set()).add(tuple(row[key] for key in KEYS["contents"]))
    return found, acted


def keys_of(finds):
    """The same, as a search gave it."""
    found = {}
    for file in finds.files:
        found.setdefault(file.table, set()).update(file.keys.rows())
        assert len(file.keys) == len(file.rows)
    return found


def acted_of(finds):
    """Keys of the events that stay."""
    return {
        key
        for file in finds.files
        for key, position in zip(file.keys.rows(), file.rows.tolist(), strict=True)
        if position in file.only_actor
    }


CASES = {
    "token": (SubjectTerms.of([TOKEN]), False),
    "token in texts": (SubjectTerms.of([TOKEN]), True),
    "token and value in texts": (SubjectTerms.of([TOKEN, VALUE]), True),
    "attribute": (SubjectTerms(attributes=(AttributeTerm("employee.number", "11"),)), True),
    "nobody": (SubjectTerms.of(["sub_" + "z" * 25 + "a"]), True),
}


@pytest.mark.parametrize("pattern", strided((1, 2, 3), 1), indirect=True)
def test_finds_what_reading_everything_finds(filled, rows):
    """Each row that names the person is found, no other is, and so it is after compaction; what others hold is never in it."""
    wanted = {name: expected(rows, filled, terms, texts=texts) for name, (terms, texts) in CASES.items()}
    files = search_subject(filled, "acme", CASES["token"][0]).files_read
    for compacted in (False, True):
        for name, (terms, texts) in CASES.items():
            finds = search_subject(filled, "acme", terms, texts=texts)
            assert (keys_of(finds), acted_of(finds)) == wanted[name], (name, compacted)
        config = MaintenanceConfig(settled_merge_files=2, removed_grace_seconds=0)
        assert not run_maintenance(filled, open_stores(filled), config=config, clock=system_clock).failures
    assert finds.files_read < files


def test_masks_for_an_erasure(filled):
    """Masks are as long as their files, true where the rows are; those of events that stay are among them."""
    finds = search_subject(filled, "acme", SubjectTerms.of([TOKEN]))
    assert len(finds.found_files) == len(finds.files) > 0
    for file, masks in zip(finds.files, finds.found_files, strict=True):
        assert (
            len(masks.rows) == len(masks.only_actor) == pq.read_metadata(filled.table(file.table) / file.path).num_rows
        )
        assert np.flatnonzero(masks.rows).tolist() == file.rows.tolist()
        assert not (masks.only_actor & ~masks.rows).any()
    counts = {count.table: count for count in finds.counts()}
    assert counts["contents"].columns[OWNER] > 0
    assert counts["spans"].rows == sum(len(file.rows) for file in finds.files if file.table == "spans")
    assert counts["audit_events"].only_actor > 0


def test_values_in_the_clear_are_counted(filled, rows):
    """Rows with the raw value are told from those with its token."""
    finds = search_subject(filled, "acme", SubjectTerms.of([TOKEN, VALUE]), texts=True)
    clear = sum(count.clear for count in finds.counts())
    said = sum(
        VALUE.lower() in json.dumps(row, default=str).lower()
        for name in ("spans", "audit_events", "logs", "metrics", "contents")
        for row in rows.read_table(filled, name).to_pylist()
        if row["tenant_id"] == "acme"
    )
    assert clear == said > 0


def test_quarantine(lake, writers):
    """Entries of quarantine that hold a token or a value are named, those of another tenant are not."""
    writers()
    quarantine = Quarantine(lake, "main")
    for tenant, text in (("acme", f'{{"u":"{TOKEN}"}}'), ("acme", "{}"), ("globex", f'{{"u":"{TOKEN}"}}')):
        quarantine.add(
            [QuarantineEntry(tenant, system_clock(), "logs", "r", "m", "key:k", "p", record=text, id=tenant)]
        )
    assert search_subject(lake, "acme", SubjectTerms.of([TOKEN])).quarantine == ("acme",)


def test_empty_lake(lake):
    """A tenant without files holds nothing about anybody."""
    assert search_subject(lake, "acme", SubjectTerms.of([TOKEN])).is_empty


def test_a_file_that_cannot_be_read_is_an_error(filled, rows):
    """A search that could not look into a live file never answers as if it had."""
    path = next(path for path in rows.live_files(filled, "spans") if "tenant_id=acme" in path)
    (filled.table("spans") / path).write_bytes(b"PAR1 not at all")
    with pytest.raises(UnavailableError):
        search_subject(filled, "acme", SubjectTerms.of([TOKEN]))
