"""Purges of a real lake: exactly what is due goes, nothing of it is left anywhere, and the log says so."""

from collections import Counter

from muniment.purging import purge_due
from muniment.retaining import make_plan


def test_what_is_due_goes_and_all_else_stays(purging, open_copy, rows):
    """Rows left are those that a row-by-row count keeps; no file holds a deleted row; nothing is due afterwards; verify proves it."""
    context = open_copy()
    before = purging.keys(context.lake)
    expected = purging.staying(context.lake, context.clock()) & before
    done = purge_due(context)
    assert purging.keys(context.lake) == expected
    assert 0 < len(expected) < len(before)
    assert not (before - expected) & purging.keys_on_disk(context.lake).keys()
    assert make_plan(context, None).is_empty
    report = purging.verify(context.lake)
    assert purging.findings(report) == []
    for tenant in purging.TENANTS:
        gone = {each for each in before - expected if each[1] == tenant}
        ledgered = sum(each[0] in rows.LEDGERED for each in gone)
        logs = [log for log in report.logs if log.tenant == tenant]
        assert (sum(log.purged for log in logs), sum(log.missing for log in logs)) == (ledgered, 0)
        owners = {(each[2], each[3]) for each in expected if each[1] == tenant and each[0] in rows.LEDGERED}
        parts = sum(each[0] == "contents" and (each[2], each[3]) in owners for each in gone)
        assert [sum(getattr(log.contents, name) for log in logs) for name in ("expired", "certified")] == [parts, parts]
        counted = {}
        for each in done:
            if each.tenant_id == tenant:
                for table, count in each.rows.items():
                    counted[table] = counted.get(table, 0) + count
        assert counted == Counter(each[0] for each in gone)
        intents, certificates = purging.certificates(context, tenant)
        assert len(intents) == len(certificates) == 1
    assert purge_due(context) == []
