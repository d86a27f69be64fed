"""Packs made up by who holds the lake's own key: what a verifier still finds, and that the command and the program find the same."""

import base64
import hashlib
import io
import json
import shutil
import sys
import types
import zipfile

import pytest

from governance.evidence import standalone
from governance.evidence.files import note_text
from governance.evidence.program import verifier_program
from governance.evidence.standalone import BROKEN, MANIFEST, NOTE, PROVED, canonical_zip, verify_pack
from muniment.cli.app import run
from muniment.wiring import command_context
from tests.e2e.evidence.test_pack import contents, verified
from warehouse.ledger.note import sign_note
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.tlog_proof import TlogProof

SAMPLE = "controls/cc8.1/sample.json"
POPULATION = "controls/cc8.1/population.csv"
LATER = 4_000_000_000_000_000_000


@pytest.fixture(scope="module")
def files(made):
    """The files of an honest pack."""
    return contents(made.pack)


@pytest.fixture(scope="module")
def program():
    """The program that lies in the pack, loaded by itself."""
    module = types.ModuleType("verify_pack")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(verifier_program(), "verify_pack.py", "exec"), module.__dict__)
    yield module
    del sys.modules[module.__name__]


def signers(made, files):
    """The lake's own key, as whoever runs the lake has it."""
    return read_signing_keys(made.lake / "keys").signers(f"{json.loads(files[MANIFEST])['lake']}/evidence", LATER)


def resigned(made, files, **manifest):
    """The pack with a manifest that fits its files, with these values, signed by the lake's own key."""
    said = json.loads(files[MANIFEST]) | manifest
    kept = {name: content for name, content in files.items() if name not in {MANIFEST, NOTE}}
    said["files"] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} for name, content in kept.items()
    }
    content = json.dumps(said).encode()
    return kept | {MANIFEST: content, NOTE: sign_note(note_text(content), signers(made, files))}


def problems(files, vkey):
    """What does not fit of a pack that must be broken."""
    verdict = verified(files, vkey)
    assert verdict.result == BROKEN
    return "\n".join(verdict.problems)


def proof_name(files):
    """The first proof of the sample."""
    return json.loads(files[SAMPLE])[0]["proof"]


def test_a_pack_signed_anew_as_it_is_is_proved(made, vkey, files):
    """What the cases below change is all that they change."""
    assert verified(resigned(made, files), vkey).result == PROVED


def test_the_seed_is_not_chosen(made, vkey, files):
    """A seed that draws friendly records, with the sample that it draws, is not the one that follows from the pack."""
    said = problems(resigned(made, files, seed="0" * 64), vkey)
    assert "expected the seed that follows from lake, tenant, period and controls" in said


def test_the_sample_is_not_made_smaller(made, vkey, files):
    """No sample at all would need no proof at all."""
    smaller = files | {name: b"[]" for name in files if name.endswith("sample.json")}
    assert "expected samples of 25, got 0" in problems(resigned(made, smaller, sample_size=0), vkey)


def test_a_second_history_beside_the_sealed_one_proves_nothing(made, vkey, files):
    """A record that never was, under a checkpoint of its own that the lake's key signed: what witnesses saw is the other one."""
    name = proof_name(files)
    honest = TlogProof.parse(files[name])
    text = honest.checkpoint.decode().partition("\n\n")[0].split("\n")
    leaf = hashlib.sha256(b"\x00" + hashlib.sha256(honest.extra + b"").digest()).digest()
    hashes = [bytes([7]) * 32 for _ in honest.hashes]
    size = int(text[1])
    from governance.evidence.sealed import _root

    root = _root(leaf, honest.index, size, hashes)
    body = "\n".join([text[0], str(size), base64.b64encode(root).decode(), ""])
    note = sign_note(body, read_signing_keys(made.lake / "keys").signers(text[0], LATER))
    lines = files[name].partition(b"\n\n")[0].split(b"\n")[:3] + [base64.b64encode(each) for each in hashes]
    forged = files | {name: b"\n".join(lines) + b"\n\n" + note}
    assert "not the one of its log that the pack holds" in problems(resigned(made, forged), vkey)


def test_no_seal_is_left_out(made, vkey, files):
    """Without its checkpoint a log could not be held against witnesses."""
    bare = {name: content for name, content in files.items() if not name.startswith("checkpoints/")}
    said = problems(resigned(made, bare), vkey)
    assert "the pack holds no checkpoint that fits" in said
    assert "expected an account of each log" in said
    assert f"{POPULATION.rpartition('/')[0]}: audit_events" in said


def test_a_seal_of_another_log_or_time_is_named(made, vkey, files):
    """A checkpoint changed, or one that is older than the records."""
    name = next(name for name in files if name.startswith("checkpoints/"))
    origin = files[name].decode().split("\n")[0]
    keys = read_signing_keys(made.lake / "keys").signers(origin, LATER)
    older = sign_note(f"{origin}\n1\n{base64.b64encode(bytes(32)).decode()}\n", keys)
    assert "not the one of its log" in problems(resigned(made, files | {name: older}), vkey)
    other = sign_note(files[name].decode().partition("\n\n")[0].replace("acme", "umbrella") + "\n", keys)
    assert f"{name}: expected a checkpoint of {origin}" in problems(resigned(made, files | {name: other}), vkey)


@pytest.mark.parametrize(
    ("key", "value"),
    [("items", 99), ("exceptions", 0), ("finding", "satisfied"), ("extracted_unix_nano", "1"), ("population_sha256", "0"), ("seed", "x")],
)  # fmt: skip
def test_a_finding_says_what_the_manifest_says(made, vkey, files, key, value):
    """Each figure that a reader finds beside a population is held against it."""
    name = "controls/cc8.1/finding.json"
    changed = files | {name: json.dumps(json.loads(files[name]) | {key: value}).encode()}
    assert f"{name}: expected {key}" in problems(resigned(made, changed), vkey)


def test_the_list_of_exceptions_is_that_of_the_population(made, vkey, files):
    """A list that leaves one out does not pass for all of them."""
    name = "controls/cc8.1/exceptions.csv"
    kept = b"\n".join(files[name].splitlines()[:-1]) + b"\n"
    assert "expected the exceptions of the population" in problems(resigned(made, files | {name: kept}), vkey)


def test_a_control_stands_once(made, vkey, files):
    """Two controls of one folder would share one population."""
    controls = json.loads(files[MANIFEST])["controls"]
    assert "stands there twice" in problems(resigned(made, files, controls=[*controls, controls[0]]), vkey)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda note: note[:-3] + bytes([note[-3] + 1]) + note[-2:], id="bits that say nothing"),
        pytest.param(lambda note: note[:-2] + b"*" + note[-2:], id="characters that are skipped"),
        pytest.param(lambda note: note + note.split(b"\n")[-2] + b"\n", id="a signature twice"),
        pytest.param(lambda note: note + "— somebody AAAAAAAA\n".encode(), id="a line that nobody knows"),
        pytest.param(lambda note: note + b"\n", id="an empty line"),
        pytest.param(lambda note: note.rstrip(b"\n"), id="no end"),
    ],
)
def test_the_signature_is_written_in_one_way(vkey, files, change):
    """What a note's own rules let pass is named here: no byte of a pack is free."""
    changed = change(files[NOTE])
    assert changed != files[NOTE]
    assert NOTE in problems(files | {NOTE: changed}, vkey)


def test_an_archive_is_not_unpacked_before_it_is_known_to_fit(vkey, files):
    """A packed file is refused unread: a few bytes could unpack to gigabytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("more.txt", bytes(10_000_000))
    buffer.seek(0)
    assert verify_pack(buffer, [vkey]).problems[0].endswith("packed")


def test_the_program_and_the_command_say_the_same(made, vkey, files, program):
    """One byte changed in each file, and in places of the archive: the same verdict, in the same words."""
    whole = made.pack.read_bytes()
    changed = [
        canonical_zip(files | {name: content[:-1] + bytes([content[-1] ^ 1])})
        for name, content in files.items()
        if content
    ]
    changed += [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in range(0, len(whole), len(whole) // 8)]
    for content in [whole, *changed[::6]]:
        ours, theirs = (each.verify_pack(io.BytesIO(content), [vkey]) for each in (standalone, program))
        assert ours.to_json() == theirs.to_json()
        assert (ours.result == PROVED) == (content == whole)


@pytest.mark.parametrize(
    "words",
    [
        ["--vkey", "no key"], ["--vkey", "a+b+c"], ["--vkey", ""], ["--vkey", "EMPTY"], ["--vkey", "FOLDER"], ["--vkey", "BYTES"],
        ["--vkey", "WITNESS"], ["--witness-key", "LAKE"], ["--witness-key", "x"],
    ],
)  # fmt: skip
def test_what_is_no_key_is_no_verdict(made, vkey, tmp_path, program, words):
    """Neither the command nor the program takes it for "does not fit": both end with 2."""
    for name, content in (("EMPTY", b"# none\n"), ("BYTES", b"\xff\xfe"), ("LAKE", vkey.encode())):
        (tmp_path / name).write_bytes(content)
    key = base64.b64encode(bytes([4, *range(32)])).decode()
    (tmp_path / "WITNESS").write_text(f"w+{program.key_id('w', bytes(range(32)), 4).hex()}+{key}\n")
    (tmp_path / "FOLDER").mkdir()
    given = [words[0], str(tmp_path / words[1]) if words[1].isupper() else words[1]]
    assert run(["evidence", "verify", str(made.pack), *given]) == 2
    with pytest.raises(SystemExit) as ended:
        program.main([str(made.pack), *given])
    assert ended.value.code == 2


@pytest.mark.parametrize("name", ["nothing.zip", "."])
def test_what_is_no_file_is_no_verdict(tmp_path, program, name):
    """A name of nothing, or a folder."""
    assert run(["evidence", "verify", str(tmp_path / name)]) == 2
    with pytest.raises(SystemExit) as ended:
        program.main([str(tmp_path / name)])
    assert ended.value.code == 2


def test_a_key_that_was_compromised_signs_no_pack_any_more(made, tmp_path, vkey):
    """From its replacement on, also of a tenant that got no record since: the new key signs alone."""
    lake = shutil.copytree(made.lake, tmp_path / "lake")
    assert run(["ledger", "rotate-key", "--compromised", "--lake", str(lake)]) == 0
    assert made.build(lake, tmp_path / "pack.zip") == 0
    new = [each.vkey for each in read_signing_keys(command_context(lake).lake.keys).verifiers(vkey.partition("+")[0])]
    found = contents(tmp_path / "pack.zip")
    assert verified(found, new[0]).result == PROVED, verified(found, new[0]).problems[:3]
    assert json.loads(found[MANIFEST])["signers"] == [json.loads(found[MANIFEST])["fingerprint"]]
