"""Independent witnesses in a pack: what they cosigned is proved with their own keys, and nothing else passes for it."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.evidence.files import note_text
from governance.evidence.standalone import BROKEN, MANIFEST, NOT_ESTABLISHED, NOTE, PROVED
from muniment.cli.app import run
from muniment.wiring import command_context
from tests.e2e.evidence.test_pack import contents, verified
from tests.template import copy_lake
from warehouse.ledger import fields
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.note import parse_note, sign_note
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.witnessing import CosignatureStore
from warehouse.names import LAKE_TENANT
from warehouse.own_events import OwnEvent
from warehouse.questions.proof import list_logs
from warehouse.questions.witnessed import find_witnessed

COSIGNED = 1_795_000_000  # 2026-11-18T11:06:40Z
WITNESS = WitnessSigner("witness.example", Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32))
STRANGER = WitnessSigner("witness.example", Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32))
EXCEPTIONS = [
    "evidence",
    "exceptions",
    *["--framework", "soc2", "--tenant", "acme", "--from", "2026-10-01", "--to", "2026-10-31"],
]
"""Reads the records of October, which leaves a record in the tenant's log: so the log grows."""


def tell(context, tenant):
    """What a round of witnessing records of a tenant's logs."""
    heads = [
        [log.checkpoint.origin, log.checkpoint.size, fields.encode_base64(log.checkpoint.root)]
        for log in list_logs(context.lake, tenant)
    ]
    context.recorder.record([OwnEvent(LAKE_TENANT, "log.heads", "muniment:collector", attributes={"heads": heads})])


def cosign(context, signer):
    """What a witness answers for each log of the lake's own, kept as rounds keep it."""
    store = CosignatureStore(context.lake, [signer.verifier])
    for log in list_logs(context.lake, LAKE_TENANT):
        text = parse_note(log.note).text
        store.add(log.shard, signer.verifier, log.note, signer.cosign(text, time_seconds=COSIGNED))


@pytest.fixture(scope="module")
def cosigned(made, tmp_path_factory):
    """A copy of the lake with a witness, which cosigned before the tenant's log grew by one more record; and its pack."""
    room = tmp_path_factory.mktemp("witnessed")
    lake = shutil.copytree(made.lake, room / "lake")
    settings = lake / "muniment.yaml"
    settings.write_text(
        settings.read_text() + f"\nwitnesses: [{{url: 'http://127.0.0.1:1', vkey: '{WITNESS.verifier.vkey}'}}]\n"
    )
    context = command_context(lake)
    assert run([*EXCEPTIONS, "--lake", str(lake)]) == 0
    tell(context, "acme")
    cosign(context, WITNESS)
    assert run([*EXCEPTIONS, "--lake", str(lake)]) == 0
    assert made.build(lake, room / "pack.zip") == 0
    return SimpleNamespace(lake=lake, pack=room / "pack.zip", build=made.build)


def signed_anew(cosigned, files):
    """The pack as its operator signs it, whatever is in it."""
    manifest = json.loads(files[MANIFEST])
    for name, content in files.items():
        if name not in {MANIFEST, NOTE}:
            manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    content = json.dumps(manifest).encode()
    signers = read_signing_keys(cosigned.lake / "keys").signers(f"{manifest['lake']}/evidence", COSIGNED * 10**9)
    return files | {MANIFEST: content, NOTE: sign_note(note_text(content), signers)}


def test_a_cosignature_is_proved_with_the_witnesss_own_key(cosigned, vkey):
    """The log goes on from what was cosigned; the verdict says how far, by whom and when; without a key nothing is said."""
    files = contents(cosigned.pack)
    verdict = verified(files, vkey, witness_keys=[WITNESS.verifier.vkey])
    assert (verdict.result, verdict.problems, verdict.unwitnessed) == (PROVED, [], [])
    assert all("witness.example cosigned the first" in line for line in verdict.witnessed)
    assert all("on 2026-11-18 11:06:40 UTC" in line for line in verdict.witnessed)
    assert any(each["consistency"] for each in json.loads(files["witnessed.json"]))
    assert len(verdict.witnessed) == sum(name.startswith("checkpoints/") for name in files)
    without = verified(files, vkey)
    assert (without.result, without.witnessed) == (PROVED, [])


def test_the_first_page_says_who_cosigned_and_how_far(cosigned, made):
    """With a witness its name, the time and the number of records; without one against whom the records are not protected."""
    page = contents(cosigned.pack)["report.html"].decode()
    assert "An independent witness (witness.example" in page
    assert "last on 2026-11-18 11:06:40 UTC" in page
    assert "It vouches for " in page
    assert "No independent witness has cosigned the seals" in contents(made.pack)["report.html"].decode()


def test_a_key_that_cosigned_nothing_establishes_nothing(cosigned, made, vkey):
    """Another witness's key, one of the same name too, and a pack without any witness: not established, and not broken."""
    for pack, signer in ((cosigned.pack, STRANGER), (made.pack, WITNESS)):
        verdict = verified(contents(pack), vkey, witness_keys=[signer.verifier.vkey])
        assert (verdict.result, verdict.problems, verdict.witnessed) == (NOT_ESTABLISHED, [], [])
        assert all("no witness whose key you brought cosigned any of it" in line for line in verdict.unwitnessed)


def test_a_log_that_grew_while_it_was_looked_at_is_vouched_for_as_before(cosigned, tmp_path):
    """A newer head that is told and cosigned after a log was read is passed over for the one before it."""
    lake = copy_lake(cosigned.lake, tmp_path / "lake")
    context = command_context(lake)
    tell(context, "acme")
    cosign(context, WITNESS)

    def vouched(logs):
        with context.session([LAKE_TENANT], tables=("audit_events",)) as session:
            return {each.shard: each.size for each in find_witnessed(session, context.lake, logs, [WITNESS.verifier])}

    logs = list_logs(context.lake, "acme")
    before = vouched(logs)
    assert set(before) == {log.shard for log in logs}
    assert run([*EXCEPTIONS, "--lake", str(lake)]) == 0
    tell(context, "acme")
    cosign(context, WITNESS)
    assert vouched(list_logs(context.lake, "acme")) != before
    assert vouched(logs) == before


def replaced(files, change):
    """The pack with each cosigned checkpoint changed by `change(text, line)`, which gives the cosignature's new line."""
    for name in [name for name in files if name.startswith("witnessed/")]:
        head, _, note = files[name].partition(b"\n\n")
        lines = note.decode().split("\n")
        text = note.decode().rpartition("\n\n")[0] + "\n"
        lines = [change(text, line) if line.startswith("\u2014 witness.example ") else line for line in lines]
        files |= {name: head + b"\n\n" + "\n".join(line for line in lines if line is not None).encode()}
    return files


def forged(text, _line):
    """A cosignature by a stranger under the key id of the witness."""
    value = STRANGER.cosign(text, time_seconds=COSIGNED).value
    return f"\u2014 witness.example {base64.b64encode(WITNESS.verifier.key_id + value).decode()}"


def moved(_text, line):
    """A cosignature with another time."""
    content = bytearray(base64.b64decode(line.rpartition(" ")[2]))
    content[11] ^= 1
    return f"\u2014 witness.example {base64.b64encode(bytes(content)).decode()}"


@pytest.mark.parametrize("change", [forged, moved])
def test_a_forged_cosignature_is_broken(cosigned, vkey, change):
    """Who holds the lake's key signs a pack with a cosignature that the witness never made."""
    files = signed_anew(cosigned, replaced(contents(cosigned.pack), change))
    verdict = verified(files, vkey, witness_keys=[WITNESS.verifier.vkey])
    assert verdict.result == BROKEN
    assert any("was not made by the key that you brought" in problem for problem in verdict.problems)


def test_a_cosignature_that_was_taken_out_is_not_established(cosigned, vkey):
    """The pack without the line, or without anything on witnesses, signed anew by its operator."""
    files = contents(cosigned.pack)
    bare = {name: content for name, content in files.items() if not name.startswith("witnessed/")}
    manifest = json.loads(bare[MANIFEST])
    manifest["files"] = {name: each for name, each in manifest["files"].items() if not name.startswith("witnessed/")}
    none = bare | {"witnessed.json": b"[]\n", MANIFEST: json.dumps(manifest).encode()}
    for changed in (replaced(files, lambda _text, _line: None), none):
        verdict = verified(signed_anew(cosigned, changed), vkey, witness_keys=[WITNESS.verifier.vkey])
        assert (verdict.result, verdict.problems) == (NOT_ESTABLISHED, [])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": 1}, "tells another"),
        ({"root": base64.b64encode(bytes(32)).decode()}, "tells another"),
        ({"consistency": []}, "does not lead to the log as it is"),
        ({"index": 10_000}, "expected index 10000"),
    ],
)
def test_a_head_that_was_not_cosigned_is_broken(cosigned, vkey, change, says):
    """The pack claims more, or another tree, than the lake's own log tells."""
    files = contents(cosigned.pack)
    listed = json.loads(files["witnessed.json"])
    at = next(place for place, each in enumerate(listed) if each["consistency"])
    listed[at] |= change
    files = signed_anew(cosigned, files | {"witnessed.json": json.dumps(listed).encode()})
    verdict = verified(files, vkey, witness_keys=[WITNESS.verifier.vkey])
    assert verdict.result == BROKEN
    assert any(says in problem for problem in verdict.problems), verdict.problems


def test_an_event_that_tells_of_other_tenants_is_not_handed_out(cosigned, tmp_path, vkey):
    """Heads of all tenants in one record, as older versions wrote them: the pack names none of the others, and claims nothing by it."""
    lake = shutil.copytree(cosigned.lake, tmp_path / "lake")
    assert run(["tenant", "add", "globex", "--lake", str(lake)]) == 0
    context = command_context(lake)
    log = list_logs(context.lake, "acme")[0].checkpoint
    heads = [[log.origin, log.size, fields.encode_base64(log.root)], [log.origin.replace("acme", "globex"), 1, "x"]]
    context.recorder.record([OwnEvent(LAKE_TENANT, "log.heads", "muniment:collector", attributes={"heads": heads})])
    cosign(context, WITNESS)
    assert cosigned.build(lake, tmp_path / "pack.zip") == 0
    files = contents(tmp_path / "pack.zip")
    assert not any(b"globex" in content for content in files.values())
    texts = [
        base64.b64decode(content.split(b"\n")[1][6:])
        for name, content in files.items()
        if name.startswith("witnessed/")
    ]
    assert texts
    assert not any(b"globex" in text for text in texts)


def test_command_and_program_ask_for_the_witness(cosigned, vkey, tmp_path):
    """Both give the same answer and exit code, by key and by file of keys."""
    program = tmp_path / "verify_pack.py"
    program.write_bytes(contents(cosigned.pack)["verify_pack.py"])
    keys = tmp_path / "witness.vkey"
    keys.write_text(f"# from the witness itself\n{WITNESS.verifier.vkey}\n")
    for witness, code in ((str(keys), 0), (STRANGER.verifier.vkey, 4)):
        words = [str(cosigned.pack), "--vkey", vkey, "--witness-key", witness]
        done = subprocess.run(
            [sys.executable, "-I", str(program), *words], cwd=tmp_path, capture_output=True, check=False, text=True
        )
        assert done.returncode == code, done.stdout
        assert ("cosigned the first" in done.stdout) == (code == 0)
        assert run(["evidence", "verify", *words]) == code
