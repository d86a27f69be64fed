"""`muniment verify` over a lake whose signing key was rotated: by whom each checkpoint is believed, and how far."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.cli.app import run as run_command
from muniment.rotating import rotate_signing_key
from muniment.tenancy import add_tenant
from warehouse.clock import system_clock
from warehouse.ledger import fields
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.note import add_signatures
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.verify import Seen, VerifyOptions, read_seen, update_seen, verify_lake
from warehouse.ledger.verify.witnesses import WITNESSED_FILE

MONTH = 30 * 86_400


@pytest.fixture
def old(context):
    """The key that is in force before any rotation."""
    return vkeys(context)[0]


@pytest.fixture
def verify(context):
    """Verify as somebody who brought these keys along."""

    def run(keys, **options):
        return verify_lake(context.lake, lake_name="tools", options=VerifyOptions(vkeys=keys, **options))

    return run


@pytest.fixture
def memory(verify, old, tmp_path):
    """What a verifier remembers of the lake as it is when asked for."""
    update_seen(tmp_path / "seen.json", Seen(), verify([old]), clock=system_clock)
    return read_seen(tmp_path / "seen.json")


def vkeys(context):
    """The lake's public keys, newest first."""
    return read_signing_keys(context.lake.keys).verifiers("tools")


def findings(report):
    """(tenant, kind) of all findings."""
    return sorted((log.tenant, finding.kind.value) for log in report.logs for finding in log.findings)


def signers(report):
    """Whether each tenant's signer is established."""
    return {log.tenant: log.signer_established for log in report.logs}


def sign_alone(context, file, keys):
    """Let old keys alone sign the checkpoint that stands in a file, as a thief of them would."""
    checkpoint = read_unverified(file.read_bytes())
    signatures = [signer.sign(checkpoint.text) for signer in keys.signers(checkpoint.origin, 0)]
    file.write_text("\n".join((checkpoint.text, "".join(signature.line for signature in signatures))))


def test_during_the_overlap_each_key_proves_the_lake(context, record, verify, old, memory):
    """Written before, rotated, written after: the old key, the new one and both establish every log, and it is fresh."""
    rotate_signing_key(context, compromised=False, overlap_seconds=MONTH)
    record("acme", 5)
    new = vkeys(context)[0]
    for keys in ([old], [new], [old, new]):
        report = verify(keys, seen=memory)
        assert findings(report) == []
        assert report.result.value == "proved"
        assert {log.tenant: log.size for log in report.logs}["acme"] == 305


def test_after_the_overlap_only_the_new_key_opens_what_came_since(context, record, verify, old, memory):
    """The old key is unknown to logs that went on without it; memory from before accepts the key that a rotation tells of."""
    rotate_signing_key(context, compromised=False, overlap_seconds=0)
    record("acme", 5)
    record("_lake", 1)
    new = vkeys(context)[0]
    for keys in ([new], [old, new], ()):
        assert findings(verify(keys, seen=memory)) == []
    assert verify([new], seen=memory).result.value == "proved"
    assert findings(verify([old])) == [("_lake", "unknown-key"), ("acme", "unknown-key")]


@pytest.mark.parametrize("compromised", [False, True])
@pytest.mark.parametrize("brought", ["old", "both"])
def test_a_longer_checkpoint_by_the_old_key_alone_is_rejected(
    context, record, verify, log_folder, old, compromised, brought
):
    """Above the size at its end the old key signs nothing, even for who still believes it."""
    before = read_signing_keys(context.lake.keys)
    rotate_signing_key(context, compromised=compromised, overlap_seconds=0)
    record("acme", 1)
    sign_alone(context, log_folder("acme") / "checkpoint", before)
    keys = [old] if brought == "old" else [old, vkeys(context)[0]]
    report = verify(keys)
    assert ("acme", "unknown-key") in findings(report)
    assert not signers(report)["acme"]
    (acme,) = (log for log in report.logs if log.tenant == "acme")
    assert "above size 300, where the old key ended" in " ".join(finding.detail for finding in acme.findings)


def test_the_old_key_alone_stands_up_to_its_end(context, verify, log_folder, old):
    """A log that did not grow since may carry the old signature alone: nothing is against it."""
    before = read_signing_keys(context.lake.keys)
    rotate_signing_key(context, compromised=False, overlap_seconds=0)
    sign_alone(context, log_folder("acme") / "checkpoint", before)
    report = verify([old, vkeys(context)[0]])
    assert findings(report) == []
    assert signers(report)["acme"]


class TestCompromise:
    @pytest.fixture
    def witness(self):
        """A witness."""
        return WitnessSigner("witness", Ed25519PrivateKey.generate())

    def cosign(self, context, log_folder, witness, tenants):
        """Tell the heads of these tenants in `_lake`, then have its log cosigned."""
        heads = [read_unverified((log_folder(tenant) / "checkpoint").read_bytes()) for tenant in tenants]
        told = [[head.origin, head.size, fields.encode_base64(head.root)] for head in heads]
        context.record("log.heads", "_lake", attributes={"heads": told})
        note = (log_folder("_lake") / "checkpoint").read_bytes()
        cosignature = witness.cosign(read_unverified(note).text, time_seconds=1_800_000_000)
        (log_folder("_lake") / WITNESSED_FILE).write_bytes(add_signatures(note, [cosignature]))

    def test_only_what_was_cosigned_is_established(self, context, record, verify, log_folder, witness):
        """A log that grew after the last cosignature is not; one that did not is; and what is new in it changes nothing."""
        add_tenant(
            context.control, context.access, context.principal, lambda *_, **__: None, tenant_id="still", name=None
        )
        record("still", 3)
        self.cosign(context, log_folder, witness, ["acme", "still"])
        record("acme", 7)
        rotate_signing_key(context, compromised=True, overlap_seconds=MONTH)
        new = vkeys(context)[0]
        options = {"require_witness": 1, "witness_keys": [witness.verifier]}
        for more in (0, 4):
            if more:
                record("acme", more)
                record("still", more)
            report = verify([new], **options)
            assert findings(report) == []
            assert {tenant: signers(report)[tenant] for tenant in ("acme", "still")} == {"acme": False, "still": True}
            (acme,) = (log for log in report.logs if log.tenant == "acme")
            assert acme.size == 307 + more
            assert "entries 300 to 306 were signed by a key that was compromised" in acme.signer_note
            assert report.result.value == "consistent"

    def test_without_a_witness_nothing_before_the_rotation_is(self, context, record, verify, old, tmp_path, capsys):
        """The new key alone vouches for what it signed; a log opened after the rotation is established by it."""
        rotate_signing_key(context, compromised=True, overlap_seconds=0)
        add_tenant(
            context.control, context.access, context.principal, lambda *_, **__: None, tenant_id="fresh", name=None
        )
        record("acme", 1)
        record("fresh", 1)
        report = verify([vkeys(context)[0]])
        assert findings(report) == []
        assert signers(report) == {"_lake": False, "acme": False, "fresh": True}
        assert {kind for _, kind in findings(verify([old]))} == {"unknown-key"}
        command = ["verify", "--lake", str(context.lake.path), "--vkey", vkeys(context)[0].vkey, "--json", "--strict"]
        assert run_command(command) == 4
        said = {log["tenant"]: log for log in json.loads(capsys.readouterr().out)["logs"]}
        assert said["acme"]["signer"] == "not established"
        assert "entries 0 to 299" in said["acme"]["signer_note"]
