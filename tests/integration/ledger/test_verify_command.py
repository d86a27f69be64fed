"""`muniment verify` as a command: exit codes, the JSON report, and the verifier's own file."""

import json

import pytest

from muniment.cli.app import run as run_command
from muniment.setup import set_up_lake
from muniment.tenancy import add_tenant
from muniment.wiring import command_context
from warehouse.clock import system_clock
from warehouse.ledger.signing import read_signing_keys


@pytest.fixture
def made(tmp_path):
    """A lake with a tenant, made as `init` and `tenant add` make them."""
    lake, _ = set_up_lake(tmp_path / "lake", name="cli", clock=system_clock)
    context = command_context(lake.path)
    add_tenant(context.control, context.access, context.principal, context.record, tenant_id="acme", name=None)
    context.control.close()
    (tmp_path / "lake.vkey").write_text(read_signing_keys(lake.keys).verifiers("cli")[0].vkey + "\n")
    return lake


def test_first_consistent_then_proved_then_rewound(made, tmp_path, capsys):
    """The first run has no memory yet; the second one is proved by it; after the log was put back, a run says so."""
    log = next((made.path / "ledger/_lake").iterdir())
    command = [
        "verify", "--lake", str(made.path), "--vkey", str(tmp_path / "lake.vkey"), "--seen", str(tmp_path / "seen.json"),
        "--json", "--strict",
    ]  # fmt: skip
    assert run_command(command) == 4
    assert json.loads(capsys.readouterr().out)["result"] == "consistent"
    assert run_command(command) == 0
    proved = json.loads(capsys.readouterr().out)
    assert proved["result"] == "proved"
    assert {"tenant", "shard", "size", "present", "purged", "missing", "altered", "findings"} <= set(proved["logs"][0])
    (log / "checkpoint").write_bytes(b"nothing\n")
    assert run_command([part for part in command if part != "--json"]) == 1
    shown = capsys.readouterr().out
    assert "bad-signature" in shown
    assert "broken" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since"], "--seen"),
        (["--require-witness", "1"], "--witness"),
        (["--vkey", "not-there"], "--vkey not-there"),
        (["--witness", "x+00000000+AAAA"], "--witness"),
        (["--tenant", "nobody"], "nobody"),
    ],
)
def test_arguments_that_cannot_be_used(made, capsys, arguments, said):
    """What cannot be used is refused with exit code 2 before anything is read."""
    assert run_command(["verify", "--lake", str(made.path), *arguments]) == 2
    assert said in capsys.readouterr().err
