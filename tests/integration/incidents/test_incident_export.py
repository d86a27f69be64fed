"""An incident handed out: its records with proofs that verify offline; and what is left when a purge took the records."""

import hashlib
import json
import zipfile

import pytest

from muniment.cli.app import run
from muniment.incident_export import export_incident
from muniment.incident_rows import RowState, row_states
from muniment.purging import purge_due
from retention.policy_compiler import default_bundle
from warehouse.errors import InputError, UnavailableError
from warehouse.policies import apply

YEARS = 2 * 366 * 86_400_000_000_000


@pytest.fixture
def found(lake):
    """The incident that three failed spans made."""
    lake.spans(0, 1, 2)
    (opened,) = lake.detect().opened
    return opened.id


def test_the_file_holds_records_and_proofs_that_verify(lake, found, tmp_path, capfd):
    """Each record's proof is accepted by the verifier, with the public key alone; the manifest names every file."""
    done = export_incident(lake.context, found, tmp_path / "x.zip")
    assert (done.records, done.proofs, done.gone, done.problems) == (3, 3, 0, ())
    assert done.sha256 == hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest()
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        archive.extractall(tmp_path / "x")
        names = set(archive.namelist())
    content = json.loads((tmp_path / "x" / "incident.json").read_bytes())
    assert (content["id"], content["row_count"], content["affected"]["agent"]) == (found, 3, ["bot"])
    assert set(json.loads((tmp_path / "x" / "manifest.json").read_bytes())["files"]) == names - {"manifest.json"}
    key = (tmp_path / "x" / "vkeys.txt").read_text().splitlines()[0]
    proofs = sorted((tmp_path / "x").rglob("*.tlog-proof"))
    assert len(proofs) == 3
    assert all(run(["verify-proof", str(proof), "--vkey", key]) == 0 for proof in proofs)
    capfd.readouterr()


def test_what_cannot_be_recorded_is_not_handed_out(lake, found, tmp_path, monkeypatch):
    """Neither the file nor a part of it is left; nor is a file replaced that is there."""

    def fail(*_args):
        raise UnavailableError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(lake.context.recorder, "record", fail)
        with pytest.raises(UnavailableError):
            export_incident(lake.context, found, tmp_path / "x.zip")
    assert not list(tmp_path.glob("*x.zip*"))
    (tmp_path / "x.zip").write_text("mine")
    with pytest.raises(InputError, match="expected a name that is free"):
        export_incident(lake.context, found, tmp_path / "x.zip")


def test_a_purge_leaves_the_incident_with_its_rows_marked(lake, found, tmp_path):
    """What a certificate says was purged is marked so; the export proves that the entries stand in the log."""
    apply(lake.control, default_bundle(), "user:alice", replacing=None)
    lake.now += YEARS
    assert purge_due(lake.context, "acme")
    details = lake.control.incident_details(found)
    assert set(row_states(lake.context, details).values()) == {RowState.PURGED}
    done = export_incident(lake.context, found, tmp_path / "x.zip")
    assert (done.records, done.proofs, done.gone) == (3, 0, 3)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        names = archive.namelist()
    assert len([name for name in names if name.endswith(".tlog-proof")]) == 3
    assert not [name for name in names if name.startswith("tables/")]
