"""Each log's beginning is a record in the log of `_lake`."""

import json
import shutil

import pytest

from warehouse.commit import open_stores
from warehouse.journal import list_segments
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.query import open_session
from warehouse.writer import WriterConfig, open_writer


@pytest.fixture
def openings(context):
    """The `log.opened` events: [(origin without its identity, attributes)]."""

    def read():
        with open_session(
            context.lake.path, tenants=["_lake"], principal=context.principal, settings=context.settings.query
        ) as session:
            rows = session.run_trusted(
                "select resource_id, attributes from audit_events where event_name = 'log.opened' "
                "order by received_unix_nano, log_index"
            )
        return [(row["resource_id"].rpartition("-")[0], json.loads(row["attributes"])) for row in rows.to_pylist()]

    return read


@pytest.fixture
def write(context):
    """Opens the shard `main`, appends an event for each tenant, and ends as told."""

    def run(*tenants):
        writer = open_writer(
            context.lake, "main", context.claims, open_stores(context.lake), config=WriterConfig(), clock=context.clock,
            lake_name="tools", redactor=context.redactor,
        )  # fmt: skip
        for tenant in tenants:
            events = [OwnEvent(tenant, "control.reviewed", "muniment:test")]
            batch = context.redactor.treat(own_event_records(events, now_unix_nano=context.clock()))
            writer.append(batch).result(60)
        writer.stop()
        return writer.shard

    return run


def test_each_log_is_said_once_and_the_lakes_own_among_them(openings, write):
    """The shard `self` began two, `main` begins three; later entries say nothing more."""
    write("acme", "beta", "acme")
    write("acme")
    assert [origin for origin, _ in openings()] == [
        "tools/_lake/self", "tools/acme/self", "tools/_lake/main", "tools/acme/main", "tools/beta/main",
    ]  # fmt: skip


def test_a_new_identity_says_which_logs_were_closed_for_it(context, openings, write):
    """With the reason, beside the logs that begin."""
    closed = write("acme")
    folder = context.lake.journal / closed
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    shutil.rmtree(folder)
    copy.rename(folder)
    write("acme")
    origin, attributes = openings()[-1]
    assert origin == "tools/acme/main"
    assert attributes == {
        "muniment.log.closed": [closed],
        "muniment.log.reason": ["journal folder copied or restored"],
    }


def test_a_log_whose_announcement_was_torn_off_is_said_after_the_crash(context, openings, write, monkeypatch):
    """The frame behind the log's first entries is lost with the power; the next start says it."""
    write()
    with monkeypatch.context() as patch:
        # The commit never comes, and the announcement never reaches the journal.
        patch.setattr("warehouse.commit.Committer.commit", _refuse)
        patch.setattr("warehouse.openings.LogOpenings.due", lambda *_: None)
        write("acme")
    (shard,) = [path for path in context.lake.journal.glob("main-*") if path.is_dir()]
    assert list_segments(shard)
    assert "tools/acme/main" not in dict(openings())
    write("beta")
    assert {"tools/acme/main", "tools/beta/main", "tools/_lake/main"} <= dict(openings()).keys()


def _refuse(*_):
    raise OSError("no")
