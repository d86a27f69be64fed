"""What `muniment status --senders` shows on a terminal."""

import io
import os

from rich.console import Console

from muniment.cli.status import senders_table
from muniment.lake_status import last_checkpoint
from warehouse.lake import Lake

RECEIVED = 1_795_364_523_456_789_012  # 2026-11-22T16:22:03Z


def sender(**more):
    """One row of who sends what."""
    return {
        "tenant_id": "northwind-retail", "recorded_by": "key:k3f9a0c12b7de", "service_name": "procurement-agent-eu",
        "dialect": "openinference", "spans": 12_345, "cost_unknown": 678, "last_received_unix_nano": RECEIVED,
    } | more  # fmt: skip


def test_keys_and_services_stand_whole_in_80_columns():
    """In 80 columns key, service, figures and time are whole; the key is without its kind, the time without its year."""
    out = io.StringIO()
    rows = [sender(), sender(spans=7, cost_unknown=0)]
    Console(file=out, width=80, force_terminal=True, color_system=None).print(senders_table(rows))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "key:" not in out.getvalue()
    assert "…" not in out.getvalue()
    figures = ["12,345      678", "     7        0"]
    for line, figure in zip((line for line in lines if "k3f" in line), figures, strict=True):
        assert all(part in line for part in ("k3f9a0c12b7de", "procurement-agent-eu", figure, "11-22 16:22")), line


def test_no_senders():
    """A lake without spans has an empty table."""
    assert senders_table([]).row_count == 0


def test_last_checkpoint_is_the_newest_of_all_logs(tmp_path):
    """The newest checkpoint file of all tenants and shards tells the time; without one there is none."""
    assert last_checkpoint(Lake(tmp_path)) is None
    for at, log in enumerate(("acme/main-1", "acme/main-2", "beta/main-1"), 1):
        file = tmp_path / "ledger" / log / "checkpoint"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, ns=(0, RECEIVED - abs(at - 2)))
    assert last_checkpoint(Lake(tmp_path)) == RECEIVED
