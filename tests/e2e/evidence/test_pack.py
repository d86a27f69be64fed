"""Evidence packs: what they say, that the same state makes the same bytes, and that any change of one is found offline."""

import hashlib
import io
import json
import random
import shutil
import subprocess
import sys
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.evidence.files import note_text
from governance.evidence.standalone import (
    BROKEN,
    MANIFEST,
    NOT_ESTABLISHED,
    NOTE,
    PROVED,
    canonical_zip,
    fingerprint,
    verify_pack,
)
from muniment.cli.app import run
from warehouse.ledger.note import Ed25519Signer, sign_note


def contents(pack):
    """Every file of a pack."""
    with zipfile.ZipFile(pack) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def verified(files, vkey, **more):
    """The verdict over these files."""
    return verify_pack(io.BytesIO(canonical_zip(files)), [vkey] if vkey else [], **more)


def findings(files):
    """Finding of each control."""
    return {each["id"]: each["state"] for each in json.loads(files[MANIFEST])["controls"]}


def test_a_pack_says_what_was_found(made):
    """What is as it should be is satisfied, what lacks an approval is not, and where there is no record nothing is claimed."""
    files = contents(made.pack)
    assert findings(files) == {
        "CC6.1": "not satisfied",
        "CC6.1-revoked": "insufficient evidence",
        "CC6.2": "satisfied",
        "CC6.3": "insufficient evidence",
        "CC6.3-unused": "insufficient evidence",
        "CC7.2": "insufficient evidence",
        "CC7.3": "insufficient evidence",
        "CC7.5": "insufficient evidence",
        "CC8.1": "not satisfied",
        "CC8.1-observed": "insufficient evidence",
        "CC8.1-gates": "insufficient evidence",
        "C1.2": "mapping only",
        "A1": "mapping only",
        "PI1": "mapping only",
    }
    population = files["controls/cc8.1/population.csv"].decode()
    assert "the approval is asserted: neither key-bound nor verified" in population
    assert "no approval is named" in population
    assert json.loads(files["completeness.json"])["result"] == "consistent"
    page = files["report.html"].decode()
    assert "not established" in page
    # beside each good finding and no other: nobody ever said of this lake that a collector listened
    assert page.count("This may not be of the whole period") == list(findings(files).values()).count("satisfied")


def test_it_is_proved_with_a_key_from_elsewhere_alone(made, vkey):
    """With the lake's key it is proved; without one, or by the keys in the pack, it is not established; a stranger's breaks it."""
    files = contents(made.pack)
    assert verified(files, vkey).result == PROVED
    assert verified(files, None).result == NOT_ESTABLISHED
    own = json.loads(files[MANIFEST])["fingerprint"]
    assert verified(files, None, fingerprints=[own]).result == PROVED
    assert verified(files, None, fingerprints=[fingerprint(b"x")]).result == BROKEN
    stranger = Ed25519Signer(vkey.partition("+")[0], Ed25519PrivateKey.generate()).verifier.vkey
    assert verified(files, stranger).result == BROKEN


def test_any_changed_byte_is_named(made, vkey):
    """Each file in turn, with one byte changed: the verdict is broken, and names it."""
    files = contents(made.pack)
    for name, content in files.items():
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        verdict = verified(files | {name: bytes(changed)}, vkey)
        assert verdict.result == BROKEN, name
        assert any(
            name in problem or MANIFEST in problem or NOTE in problem for problem in verdict.problems
        ) or name in {
            MANIFEST,
            NOTE,
        }, verdict.problems


def test_no_byte_of_the_archive_is_free(made, vkey):
    """Whichever byte of the whole file is changed, in a file, a header or between: it is not proved any more."""
    content = made.pack.read_bytes()
    assert verify_pack(io.BytesIO(content), [vkey]).result == PROVED
    headers = [at for at in range(len(content) - 4) if content[at : at + 2] == b"PK"]
    rng = random.Random(7)
    places = {*(at + step for at in headers[::5] for step in range(0, 40, 3)), *rng.sample(range(len(content)), 60)}
    for at in sorted(place for place in places if place < len(content)):
        changed = bytearray(content)
        changed[at] ^= 1 << rng.randrange(8)
        assert verify_pack(io.BytesIO(bytes(changed)), [vkey]).result == BROKEN, at


def test_files_that_go_or_come_are_named(made, vkey):
    """A file more or less than the manifest lists."""
    files = contents(made.pack)
    less = {name: content for name, content in files.items() if name != "holds.json"}
    assert any("holds.json" in problem for problem in verified(less, vkey).problems)
    assert any("more.txt" in problem for problem in verified(files | {"more.txt": b"x"}, vkey).problems)


def test_who_signs_anew_is_found_by_the_key(made, vkey):
    """A population made up, with a manifest that fits it, signed by another key or by none that the verifier brought."""
    files = contents(made.pack)
    name = "controls/cc8.1/population.csv"
    made_up = b"".join(line for line in files[name].splitlines(keepends=True) if b"no approval" not in line)
    manifest = json.loads(files[MANIFEST])
    manifest["files"][name]["sha256"] = hashlib.sha256(made_up).hexdigest()
    content = json.dumps(manifest).encode()
    signer = Ed25519Signer(f"{manifest['lake']}/evidence", Ed25519PrivateKey.generate())
    forged = files | {name: made_up, MANIFEST: content, NOTE: sign_note(note_text(content), [signer])}
    verdict = verified(forged, vkey)
    assert verdict.result == BROKEN
    assert any("no signature" in problem for problem in verdict.problems)
    assert any("expected 2 items" in problem for problem in verdict.problems)


def test_the_same_state_makes_the_same_bytes(made, tmp_path):
    """Two copies of a lake, the same arguments: the same pack, to the byte."""
    other = shutil.copytree(made.lake, tmp_path / "lake")
    assert made.build(other, tmp_path / "pack.zip") == 0
    assert (tmp_path / "pack.zip").read_bytes() == made.pack.read_bytes()


def test_the_program_in_the_pack_checks_it_alone(made, vkey, tmp_path):
    """It runs by itself, isolated from the project; exit codes are those of the command."""
    program = tmp_path / "verify_pack.py"
    program.write_bytes(contents(made.pack)["verify_pack.py"])
    assert b"from governance" not in program.read_bytes()
    for more, code in ((["--vkey", vkey], 0), ([], 4)):
        done = subprocess.run(
            [sys.executable, "-I", str(program), str(made.pack), *more], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == code, done.stdout
        assert run(["evidence", "verify", str(made.pack), *more]) == code


def test_texts_of_records_stay_texts(made):
    """Markup of HTML and of typst in a record is shown, not carried out; the PDF says that it is PDF/A."""
    files = contents(made.pack)
    page = files["report.html"].decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert files["report.pdf"].startswith(b"%PDF-1.7")
    assert b"pdfaid" in files["report.pdf"]


@pytest.mark.parametrize("framework", ["eu-ai-act", "gdpr", "pci-dss", "nist-800-53"])
def test_every_framework_builds_and_its_oscal_is_valid(made, vkey, tmp_path, framework):
    """Deep frameworks and mappings alike; the results fit OSCAL's model."""
    import warnings

    lake = shutil.copytree(made.lake, tmp_path / "lake")
    assert made.build(lake, tmp_path / "pack.zip", framework) == 0
    files = contents(tmp_path / "pack.zip")
    assert verified(files, vkey).result == PROVED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trestle.oscal.assessment_results import Model
    document = Model.model_validate_json(files["assessment-results.json"]).assessment_results
    states = [state for state in findings(files).values() if state != "mapping only"]
    found = document.results[0].findings or []
    assert len(found) == len(states)
    assert sum(
        str(getattr(each.target.status.state, "value", each.target.status.state)) == "satisfied" for each in found
    ) == states.count("satisfied")


def test_building_is_recorded_and_asks_for_what_it_needs(made, tmp_path, capfd):
    """A pack is an export in the tenant's log; an unknown framework and a file in the way are refused, and no export that was not made is there."""
    lake = shutil.copytree(made.lake, tmp_path / "lake")
    assert made.build(lake, tmp_path / "pack.zip") == 0
    assert made.build(lake, tmp_path / "pack.zip") == 2
    assert made.build(lake, tmp_path / "other.zip", "iso-9001") == 2
    assert made.build(lake, tmp_path / "no" / "such" / "pack.zip") != 0
    assert [file.name for file in tmp_path.glob("**/*.tmp")] == []
    capfd.readouterr()
    query = "select count(*) as n from audit_events where event_name = 'data.exported' and resource_type = 'pack'"
    assert run(["sql", query, "--tenant", "acme", "--format", "json", "--lake", str(lake)]) == 0
    assert json.loads(capfd.readouterr().out) == [{"n": 1}]
