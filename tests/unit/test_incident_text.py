"""Incidents as the terminal shows them."""

from dataclasses import replace

from muniment.cli.incident_text import incident_json, print_incidents
from tests.integration.test_control_incidents import INCIDENT

LONG = "a" * 5_000


def test_long_names_are_cut_in_the_table_alone(capfd):
    """Senders choose the names of agents: one of thousands of characters does not drown the table, and stays whole for machines."""
    affected = {"agent": [LONG, *(f"agent-{number}" for number in range(9))]}
    incident = replace(INCIDENT, owner=LONG)
    print_incidents([incident], {incident.id: affected})
    out = capfd.readouterr().out
    assert len(out) < 1_000
    assert "…" in out
    assert "and 4 more" in " ".join(out.split())
    found = incident_json(incident, affected, (), 0)
    assert (found["agents"][0], found["owner"]) == (LONG, LONG)
