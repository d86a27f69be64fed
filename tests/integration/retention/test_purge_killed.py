"""Purges that are killed: whatever the step, the next apply ends where an undisturbed one would have."""

import json
from collections import Counter

import pytest

from muniment.purging import purge_due
from muniment.retaining import make_plan

DIED = 9
STEPS = 15


@pytest.fixture(scope="module")
def undisturbed(purging, filled, tmp_path_factory):
    """What an apply that nobody disturbs does: its steps, what is left, what verification counts, and what was there."""
    context = purging.open_context(purging.copy(filled.path, tmp_path_factory.mktemp("undisturbed") / "lake"), days=30)
    before, steps = purging.keys(context.lake), []
    purge_due(context, step=lambda tenant, what: steps.append(f"{tenant}: {what}"))
    context.control.close()
    return steps, purging.keys(context.lake), counts(purging.verify(context.lake)), before


def counts(report):
    """Indices purged and missing, and contents certified, by tenant."""
    found = Counter()
    for log in report.logs:
        for name, count in (("purged", log.purged), ("missing", log.missing), ("certified", log.contents.certified)):
            found[log.tenant, name] += count
    return found


def expect_the_same_end(purging, context, undisturbed, died):
    """Hold a lake after kills and an apply that ended against the undisturbed one."""
    _, left, counted, before = undisturbed
    lake = context.lake
    assert purging.keys(lake) == left, died
    on_disk = purging.keys_on_disk(lake)
    assert not (before - left) & on_disk.keys(), died
    live = {lake.table(table) / path for table in purging.TABLES for path in purging.rows.live_files(lake, table)}
    assert {file for files in on_disk.values() for file in files} <= live, died
    report = purging.verify(lake)
    assert purging.findings(report) == [], died
    assert counts(report) == counted, died
    gone = Counter((each[1], each[0]) for each in before - left)
    for tenant in purging.TENANTS:
        intents, certificates = purging.certificates(context, tenant)
        assert Counter(each.document.intent_sha256 for each in certificates) == Counter(each.sha256 for each in intents)
        certified = Counter()
        for each in certificates:
            certified.update(each.document.details["rows"])
        assert certified == {table: count for (of, table), count in gone.items() if of == tenant}, died
        named = [
            json.loads(row["attributes"])["muniment.certificate"]
            for row in purging.rows.read_table(lake, "audit_events").to_pylist()
            if row["event_name"] == "retention.purged" and row["tenant_id"] == tenant
        ]
        assert set(named) == {each.sha256 for each in certificates}, died
    assert list((lake.certificates / "unrecorded").iterdir()) == [], died
    assert make_plan(context, None).is_empty, died


def kill_at(purging, apply_in_process, context, undisturbed, *steps):
    """Kill an apply after each of these steps of its own in turn, then let one end."""
    died = []
    for step in steps:
        code, out, err = apply_in_process(context.lake, die_at=step)
        assert code in {0, DIED}, err
        died.append(json.loads(out)[-1] if code else "ended")
    code, _, err = apply_in_process(context.lake)
    assert code == 0, err
    expect_the_same_end(purging, context, undisturbed, died)
    return died


@pytest.mark.parametrize("step", [4, 5, 8, 13])
def test_a_purge_killed_at_a_step_is_finished(purging, open_copy, apply_in_process, undisturbed, step):
    """Killed once it was intended, amid the tables' commits, or once its certificate was written: the next one ends alike."""
    steps = undisturbed[0]
    assert kill_at(purging, apply_in_process, open_copy(), undisturbed, step) == [steps[step - 1]]


def test_every_step_is_told(undisturbed):
    """A purge is told of in fifteen steps: the kills below are at each of them."""
    tenants = [step.partition(":")[0] for step in undisturbed[0]]
    assert tenants == ["acme"] * STEPS + ["beta"] * STEPS


@pytest.mark.slow
@pytest.mark.parametrize("step", range(1, 2 * STEPS + 1))
def test_a_purge_killed_at_any_step_is_finished(purging, open_copy, apply_in_process, undisturbed, step):
    """Of every step of every tenant's purge the same holds."""
    assert kill_at(purging, apply_in_process, open_copy(), undisturbed, step) == [undisturbed[0][step - 1]]


@pytest.mark.slow
@pytest.mark.parametrize("second", [1, 2, 5, 7, 8, 9, 10, 11])
@pytest.mark.parametrize("first", [3, 6, 9, 13])
def test_a_purge_killed_while_it_is_finished_is_finished(
    purging, open_copy, apply_in_process, undisturbed, first, second
):
    """Killed, and killed again at steps of its resumption, twice: what the next one leaves is what one would have."""
    steps = undisturbed[0]
    died = kill_at(purging, apply_in_process, open_copy(), undisturbed, first, second, second + 1)
    assert died[0] == steps[first - 1]
