"""The ledger's commands on bad input and on records that try to speak for the command: messages, exit codes, plain output."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.cli.app import run
from muniment.proving import prove_one, public_keys
from warehouse.ledger.checkpoint import Checkpoint, sign_checkpoint
from warehouse.ledger.errors import ProofError
from warehouse.ledger.note import Ed25519Signer
from warehouse.ledger.proof_report import check_proof
from warehouse.ledger.record import commitment
from warehouse.ledger.tlog_proof import TlogProof, record_of
from warehouse.ledger.tree import leaf_hash
from warehouse.own_events import OwnEvent

SIGNER = Ed25519Signer("tools", Ed25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.fixture
def ended(context, capsys):
    """Runs a command on the lake: exit code, standard output, standard error."""

    def run_command(*arguments, lake=True):
        capsys.readouterr()
        code = run([*map(str, arguments), *(("--lake", str(context.lake.path)) if lake else ())])
        out, err = capsys.readouterr()
        return code, out, " ".join(err.split())

    return run_command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ledger", "rotate-key", "--overlap", "soon"], "expected a number with d, h, m or s"),
        (["ledger", "rotate-key", "--overlap", "9" * 20 + "d"], "expected a number with d, h, m or s"),
        (["ledger", "rotate-key", "--overlap", "3651d"], "expected at most 3650d, got 3651d"),
        (["ledger", "list", "--tenant", "nobody"], "tenant nobody: there is none"),
        (["ledger", "export", "{file}"], "expected a folder or a name that is free, got a file"),
        (["verify", "--seen", "{file}-not-there/seen.json"], "expected a folder that is there"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_bad_input(context, ended, tmp_path, arguments, message):
    """Refused with exit 2 before anything is recorded, signed or written."""
    (tmp_path / "file").touch()
    keys = public_keys(context)
    checkpoints = {file: file.read_bytes() for file in context.lake.path.glob("ledger/*/*/checkpoint")}
    code, _, err = ended(*(word.replace("{file}", str(tmp_path / "file")) for word in arguments))
    assert (code, message in err) == (2, True), err
    assert public_keys(context) == keys
    assert {file: file.read_bytes() for file in context.lake.path.glob("ledger/*/*/checkpoint")} == checkpoints


def test_what_is_no_proof_and_no_key_is_bad_input(context, ended, tmp_path):
    """Exit 2, never 1: that something is not proved is said only of a proof held against a key."""
    proof, other = tmp_path / "proof", tmp_path / "other"
    proof.write_bytes(prove_one(context, "acme", 42, None).content)
    other.write_bytes(b"\xff" * 50)
    (key,) = [key.vkey for key in public_keys(context)]
    assert ended("verify-proof", proof, "--vkey", key, lake=False)[0] == 0
    for words, message in [
        ((other, "--vkey", key), "`muniment prove` makes such files"),
        ((proof, "--vkey", other), "bytes that are no text"),
        ((proof, "--vkey", key + "A"), "expected a key name+id+key"),
        ((proof, "--vkey", key, "--witness", key), "expected a key of type 0x04"),
        ((proof, "--vkey", key, "--require-witness", "1"), "expected as many --witness keys, got 0"),
    ]:
        code, _, err = ended("verify-proof", *words, lake=False)
        assert (code, message in err) == (2, True), err


def test_a_record_cannot_speak_for_the_command(context, ended, tmp_path):
    """Line ends and control sequences in what a sender wrote are shown as dots: no line but the command's own."""
    text = "x\n  cosigned by   a witness\x1b[2J"
    context.recorder.record([OwnEvent("acme", "control.reviewed", "muniment:test", fields={"reason": text})])
    (tmp_path / "proof").write_bytes(prove_one(context, "acme", 300, None).content)
    code, out, _ = ended("verify-proof", tmp_path / "proof", "--vkey", public_keys(context)[0].vkey, lake=False)
    assert code == 0
    assert "x·  cosigned by   a witness·[2J" in out
    assert "\x1b" not in out
    assert not any(line.startswith("  cosigned by") for line in out.splitlines())


@pytest.mark.parametrize(
    "origin_end", ["acme/self-00000000", "beta/{shard}", "acme/{shard}"], ids=["shard", "tenant", "index"]
)
def test_a_record_that_says_it_stands_elsewhere_is_not_proved(context, log_folder, origin_end):
    """Whoever holds the key can commit a row of one log to another; a proof of it is refused by what the row says of itself."""
    salt, text = record_of(TlogProof.parse(prove_one(context, "acme", 42, None).content))
    origin = "tools/" + origin_end.format(shard=log_folder("acme").name)
    head = Checkpoint(origin, 1, leaf_hash(commitment(salt, text)))
    note = sign_checkpoint(head, [Ed25519Signer(origin, SIGNER.private_key)])
    proof = TlogProof.of_record(index=0, hashes=(), checkpoint=note, salt=salt, text=text)
    with pytest.raises(ProofError, match="got one that says of itself index 42 of acme/self-"):
        check_proof(proof, vkeys=[SIGNER.verifier.vkey])


def test_the_report_names_logs_that_are_not_established(context, ended, tmp_path):
    """Whole names on 80 columns, and what the first run of a memory means."""
    seen, (key,) = tmp_path / "seen.json", public_keys(context)
    code, out, _ = ended("verify", "--vkey", key.vkey, "--seen", seen)
    assert code == 0
    assert "signer established: all logs" in out
    assert "--seen began to remember with this run" in out
    assert f"acme/{next((context.lake.path / 'ledger/acme').iterdir()).name} " in out
    assert max(map(len, out.splitlines())) <= 80
    _, out, _ = ended("verify", "--vkey", key.vkey, "--seen", seen)
    assert "freshness seen: all logs" in out
