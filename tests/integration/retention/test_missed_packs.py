"""Packs of months that nobody built, where retention deleted records meanwhile."""

from muniment.pack_months import Month
from muniment.packs import list_lacking, run_packs
from muniment.purging import purge_due

DAY = 86_400_000_000_000


def ledgered(purging, context):
    """Day and place of each run, log and event of the tenant."""
    tables = ("spans", "audit_events", "logs")
    found = (row for table in tables for row in purging.rows.read_table(context.lake, table).to_pylist())
    return {(str(row["day"]), row["shard"], row["log_index"]) for row in found}


def test_a_month_whose_records_were_deleted_is_named(purging, rows, tmp_path):
    """All of them: there is no pack, which would say that there had been nothing; some: the pack is built, and named too."""
    context = purging.new_lake(
        tmp_path / "lake", policy="retention: [{name: base, tables: ['*'], keep: 40}]", tenants=["acme"]
    )
    settings = tmp_path / "lake" / "muniment.yaml"
    settings.write_text(settings.read_text() + "\nevidence: {frameworks: [gdpr]}\n")
    started = Month.of(rows.NOW)
    second, third = started.following, started.following.following
    only_runs = rows.treated(spans=rows.ledgered("spans", 3, "a", tenant="acme", time=started.to_unix_nano - DAY))
    times = (second.to_unix_nano - 20 * DAY, second.to_unix_nano - DAY)
    purging.write(context, only_runs, *(purging.batch(number, time) for number, time in enumerate(times)))
    then = (third.from_unix_nano + 32 * DAY - rows.NOW) / DAY
    before = ledgered(purging, context)
    purge_due(purging.open_context(tmp_path / "lake", days=then))
    gone = before - ledgered(purging, context)
    with purging.open_context(tmp_path / "lake", days=then).session(["acme"]) as session:
        said = session.run_trusted(
            """select attributes->>'$."muniment.purge.newest_day"' as day from audit_events where event_name = 'retention.purged'"""
        ).to_pylist()
    assert [each["day"] for each in said] == [max(day for day, *_ in gone)]
    after = purging.open_context(tmp_path / "lake", days=(third.to_unix_nano + 2 * DAY - rows.NOW) / DAY)
    done = run_packs(after, "acme")
    assert (done.lost, done.partial) == ((f"gdpr-{started}.zip",), (f"gdpr-{second}.zip",))
    assert [each.file.name for each in done.built] == [f"gdpr-{second}.zip", f"gdpr-{third}.zip"]
    assert list_lacking(after, "acme") == [(f"acme/gdpr-{started}.zip", "its records were deleted before it was built")]
    assert run_packs(after, "acme").built == ()
