"""The demo under the policy that a new lake comes with: what goes is what the simulation says, and nothing else."""

import json

import pytest

from muniment.cli.app import run
from muniment.purging import purge_due
from muniment.wiring import command_context


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_default_policy_takes_what_the_truth_says(tmp_path, capfd):
    """Ninety days of the fleet, by tenant and table: rows taken and rows left are those that the simulation counted."""
    lake = tmp_path / "lake"
    assert run(["demo", "--days", "90", "--scale", "0.05", "--lake", str(lake)]) == 0
    truth = json.loads((lake / "demo-truth.json").read_bytes())
    context = command_context(lake)
    context.clock = lambda: truth["to_unix_nano"]
    done = purge_due(context)
    context.control.close()
    taken = {tenant: {} for tenant in truth["tenants"]}
    for each in done:
        for table, count in each.rows.items():
            taken[each.tenant_id][table] = taken[each.tenant_id].get(table, 0) + count
    assert taken == {tenant: said["taken"] for tenant, said in truth["retention"].items()}
    assert all(said["taken"] for said in truth["retention"].values())
    for tenant, said in truth["retention"].items():
        for table, count in said["left"].items():
            recorded = "" if table == "contents" else " where recorded_by like 'key:%'"
            capfd.readouterr()
            query = f"select count(*) as n from {table}{recorded}"
            assert run(["sql", query, "--tenant", tenant, "--format", "json", "--lake", str(lake)]) == 0
            assert (tenant, table, json.loads(capfd.readouterr().out)) == (tenant, table, [{"n": count}])
    assert run(["verify", "--lake", str(lake)]) == 0
