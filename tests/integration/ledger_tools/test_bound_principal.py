"""Somebody bound to one tenant asks of the ledger: of other tenants they learn nothing, not even that there are any."""

import dataclasses
import json

import pytest

from muniment import wiring
from muniment.cli.app import run
from muniment.tenancy import add_tenant
from warehouse.principals import Principal, PrincipalKind


@pytest.fixture
def ended(context, record, monkeypatch, capsys):
    """Runs a command as a principal bound to `acme`, in a lake that has a tenant `secretive` too: exit code and all output."""
    acting = (context.control, context.access, context.principal, lambda *_, **__: None)
    add_tenant(*acting, tenant_id="secretive", name=None)
    record("secretive", 3)
    bound = dataclasses.replace(context.principal, tenants=frozenset({"acme"}))
    monkeypatch.setattr(wiring, "local_principal", lambda: bound)

    def run_command(*arguments):
        capsys.readouterr()
        code = run([*map(str, arguments), "--lake", str(context.lake.path)])
        out, err = capsys.readouterr()
        return code, out, err

    return run_command


@pytest.mark.parametrize("arguments", [["verify"], ["ledger", "export", "copies"], ["ledger", "list"]], ids=" ".join)
def test_the_whole_lake_is_refused_without_a_word_of_others(ended, arguments, tmp_path, monkeypatch):
    """Denied as a whole: the message names no tenant that the principal is not bound to."""
    monkeypatch.chdir(tmp_path)
    code, out, err = ended(*arguments)
    assert code == 1
    assert "bound to other tenants: acme" in " ".join(err.split())
    assert "secretive" not in out + err
    assert not list(tmp_path.glob("copies/*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--tenant"],
        ["prove", "--index", "0", "--tenant"],
        ["ledger", "export", "copies", "--tenant"],
        ["ledger", "list", "--tenant"],
    ],
    ids=" ".join,
)
def test_a_tenant_of_others_looks_like_one_that_is_not_there(ended, arguments, tmp_path, monkeypatch):
    """The same answer for a tenant that exists and for one that does not."""
    monkeypatch.chdir(tmp_path)
    answers = [ended(*arguments, name) for name in ("secretive", "nowhere")]
    (code, out, err), (other_code, other_out, other_err) = answers
    assert (code, out) == (other_code, other_out)
    assert code == 1
    assert err.replace("secretive", "nowhere").split() == other_err.split()


def test_ones_own_tenant_alone_is_answered_for(ended, tmp_path):
    """Verified, proved, exported and listed: what comes back names the own tenant and the lake's log."""
    code, out, err = ended("verify", "--tenant", "acme", "--json")
    assert code == 0, err
    assert {log["tenant"] for log in json.loads(out)["logs"]} == {"_lake", "acme"}
    code, out, err = ended("ledger", "export", tmp_path / "copies", "--tenant", "acme", "--json")
    assert code == 0, err
    assert [folder.name for folder in (tmp_path / "copies").iterdir()] == ["acme"]
    code, _, err = ended("prove", "--tenant", "acme", "--index", "0", "--out", tmp_path / "proof")
    assert code == 0, err
    assert b"secretive" not in (tmp_path / "proof").read_bytes()
    code, out, _ = ended("ledger", "list", "--tenant", "acme")
    assert (code, "secretive" in out) == (0, False)


def test_an_api_key_may_do_none_of_it(ended, monkeypatch, tmp_path):
    """A key sends records to its own tenant, and reads nothing back."""
    key = Principal(PrincipalKind.API_KEY, "k1", frozenset({"acme"}))
    monkeypatch.setattr(wiring, "local_principal", lambda: key)
    commands = (
        ["verify", "--tenant", "acme"],
        ["prove", "--tenant", "acme", "--index", "0"],
        ["ledger", "export", tmp_path / "copies", "--tenant", "acme"],
    )
    for arguments in commands:
        code, out, err = ended(*arguments)
        assert code == 1
        assert "an API key only sends records" in " ".join(err.split())
        assert out == ""
