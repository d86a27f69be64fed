"""Reveal and shred as an operator types them, beside a running collector, with the vault in the lake and on a server."""

import hashlib
import json

import pytest
import yaml

from muniment.wiring import command_context
from warehouse.lake import Lake

VALUE = "ada.lovelace@example.org"


@pytest.fixture(params=["sqlite", "postgres"])
def lake_with_vault(request, tmp_path, lake):
    """A lake with a tenant, its vault in `keys/` or on a PostgreSQL server named by a file."""
    if request.param == "sqlite":
        return lake
    url_file = tmp_path / "vault-url"
    url_file.write_text(request.getfixturevalue("postgres_database_url"))
    lake.path, lake.apart = tmp_path / "with-postgres", True
    lake.path.mkdir(mode=0o700)
    (lake.path / "muniment.yaml").write_text(yaml.safe_dump({"vault_url_file": str(url_file)}))
    lake.muniment("init")
    lake.muniment("tenant", "add", "acme")
    assert not Lake(lake.path).vault_file.exists()
    return lake


@pytest.mark.slow
def test_a_person_is_revealed_found_and_forgotten_beside_a_running_collector(lake_with_vault):
    """The collector records each step; its log then verifies, and no file of the lake holds the value or the nonce."""
    lake = lake_with_vault
    with command_context(lake.path).vault as vault:
        (token,) = vault.tokens("acme", [VALUE])
    collector = lake.collect()
    assert lake.muniment("reveal", token, "--tenant", "acme", "--reason", "ticket 7").stdout == f"{VALUE}\n"
    assert lake.muniment("subject", "find", "--tenant", "acme", stdin=VALUE.upper()).stdout == f"{token}\n"
    shred = ("subject", "shred", "--value", "-", "--tenant", "acme", "--reason", "request 12")
    assert lake.muniment(*shred, stdin=VALUE).stdout == ""
    done = json.loads(lake.muniment(*shred, "--yes", "--json", stdin=VALUE).stdout)
    assert done["subject_ref"] == hashlib.sha256(bytes.fromhex(done["nonce"]) + VALUE.encode()).hexdigest()
    gone = lake.muniment("reveal", token, "--tenant", "acme", "--reason", "ticket 8", check=False)
    assert gone.returncode == 2
    assert "got none that the vault knows" in gone.stderr
    assert collector.stop() == 0
    query = "select event_name, outcome from audit_events where resource_type like 'subject%' order by shard, log_index"
    assert [(row["event_name"], row["outcome"]) for row in lake.sql(query)] == [
        ("record.viewed", "success"),
        ("record.viewed", "success"),
        ("erasure.requested", "success"),
        ("erasure.completed", "success"),
        ("record.viewed", "failure"),
    ]
    assert lake.muniment("verify").returncode == 0
    for text in (VALUE, VALUE.upper(), done["nonce"]):
        assert not [file for file in lake.path.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]
