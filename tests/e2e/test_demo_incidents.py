"""Known answers: what a demo hides is found, and nothing else of severity high or critical."""

import json

import pytest

from muniment.cli.app import run


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "days", "scale"), [(2, 12, 0.05), (9, 30, 0.02)])
def test_the_troubles_of_the_demo_are_found_and_no_others(tmp_path, capfd, seed, days, scale):
    """Each trouble is an incident of its rule, tenant and agent, in its time, with its traces; no other is serious."""
    lake = tmp_path / "demo"
    assert (
        run(["demo", "--lake", str(lake), "--seed", str(seed), "--days", str(days), "--scale", str(scale), "--json"])
        == 0
    )
    truth = json.loads((lake / "demo-truth.json").read_text())
    capfd.readouterr()
    assert run(["incident", "list", "--lake", str(lake), "--json"]) == 0
    incidents = json.loads(capfd.readouterr().out)
    serious = {(each["rule"], each["tenant"]) for each in incidents if each["severity"] in {"high", "critical"}}
    assert serious <= {(trouble["rule"], trouble["tenant"]) for trouble in truth["troubles"]}
    for trouble in truth["troubles"]:
        mine = [each for each in incidents if (each["rule"], each["tenant"]) == (trouble["rule"], trouble["tenant"])]
        assert len(mine) == 1, trouble["rule"]
        assert run(["incident", "show", mine[0]["id"], "--lake", str(lake), "--json"]) == 0
        shown = capfd.readouterr().out
        assert trouble["agent"] in shown
        found = [trace for trace in trouble["trace_ids"] if trace in shown]
        assert len(found) >= 0.7 * len(trouble["trace_ids"]), trouble["rule"]
