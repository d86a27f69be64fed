"""A pack of a lake whose records do not fit their seals: it is what was signed, and says of its records what is wrong with them."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from governance.evidence.grounds import check_account, losses_of, losses_text
from governance.evidence.standalone import BROKEN, NOT_ESTABLISHED, PROVED
from muniment.cli.app import run
from muniment.desk import open_desk
from tests.e2e.evidence.test_pack import contents, verified

LOG = {"shard": "a", "size": 9, "present": 9, "purged": 0, "missing": 0, "altered": 0, "findings": []}
SAID = "it says of its own records: 1 missing"


@pytest.fixture(scope="module")
def lossy(lake, made, tmp_path_factory):
    """A copy of the lake in which a record of no population was taken out of its file, and its pack."""
    room = tmp_path_factory.mktemp("lossy")
    copy = shutil.copytree(lake, room / "lake")
    table = copy / "tables" / "audit_events"
    for path in DeltaTable(str(table)).get_add_actions().column("path").to_pylist():
        if "tenant_id=acme/" in path:
            rows = pq.ParquetFile(table / path).read()
            pq.write_table(rows.filter(pc.not_equal(rows["event_name"], "approval.granted")), table / path)
    assert made.build(copy, room / "pack.zip") == 0
    return SimpleNamespace(lake=copy, pack=room / "pack.zip")


def test_the_first_line_says_what_is_missing(lossy, vkey, capfd, tmp_path):
    """Command and program alike: proved is that the pack is what was signed, and that a record is missing stands beside it."""
    capfd.readouterr()
    words = ["evidence", "verify", str(lossy.pack)]
    assert run([*words, "--vkey", vkey]) == 0
    said = capfd.readouterr().out
    assert said.splitlines()[0] == f"proved: the pack is what was signed; but {SAID}"
    assert run([*words, "--vkey", vkey, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["result"], found["losses"]) == (PROVED, {"missing": 1})
    program = tmp_path / "verify_pack.py"
    program.write_bytes(contents(lossy.pack)["verify_pack.py"])
    command = [sys.executable, "-I", str(program), str(lossy.pack)]
    done = subprocess.run([*command, "--vkey", vkey], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (0, said)
    assert run(words) == 4
    assert capfd.readouterr().out.startswith(f"{NOT_ESTABLISHED}: {SAID}")


def test_the_reports_and_the_page_say_it(lossy, vkey):
    """On the first page of the report, before any finding; and where a pack is checked in the browser."""
    page = contents(lossy.pack)["report.html"].decode()
    assert page.index("This system says of its own records: 1 missing.") < page.index("<h2>Summary</h2>")
    checked = open_desk(lossy.lake).evidence.check_pack(lossy.pack.read_bytes(), "")
    assert checked.losses == "1 missing"
    assert verified(contents(lossy.pack), vkey).headline.startswith("proved: the pack is what was signed; but")


def test_building_says_it(lossy, made, capfd):
    """Whoever builds the pack sees it too."""
    assert made.build(lossy.lake, lossy.pack.with_name("again.zip")) == 0
    assert "the records do not fit their seals: 1 missing" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("log", "result", "losses", "said"),
    [
        ({}, "consistent", {}, ""),
        ({"missing": 3, "present": 6}, "broken", {"missing": 3}, "3 missing"),
        ({"findings": [{"kind": "altered"}], "altered": 2}, "broken", {"altered": 2}, "2 altered"),
        ({"findings": [{"kind": "tail-cut"}] * 2}, "broken", {"tail-cut": 2}, "2 tail-cut"),
        ({}, "broken", {"broken": 1}, "its records do not fit their seals"),
    ],
)
def test_an_account_in_words(log, result, losses, said):
    """Each kind by its number; an account that is broken as a whole says so."""
    account = {"result": result, "logs": [LOG, LOG | log]}
    assert losses_of(account) == losses
    assert losses_text(losses) == said
    assert check_account(account) == []


@pytest.mark.parametrize(
    ("log", "result"), [({"present": 8}, "consistent"), ({"missing": 1, "present": 8}, "consistent")]
)
def test_an_account_that_does_not_add_up_is_broken(log, result):
    """Fewer numbers than the log has, or a loss beside a result that claims none."""
    assert len(check_account({"result": result, "logs": [LOG | log]})) == 1


def test_a_broken_pack_says_nothing_of_its_account(lossy, vkey):
    """What cannot be trusted to be what was signed is broken: that comes first."""
    verdict = verified(contents(lossy.pack) | {"README.txt": b"other"}, vkey)
    assert (verdict.result, verdict.headline) == (BROKEN, BROKEN)
