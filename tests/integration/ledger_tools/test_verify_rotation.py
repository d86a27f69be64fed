"""`muniment verify` over a lake whose signing key was rotated: by whom each checkpoint is believed, and how far."""

import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.cli.app import run as run_command
from muniment.rotating import rotate_signing_key
from muniment.tenancy import add_tenant
from warehouse.clock import NANOS_PER_SECOND, system_clock
from warehouse.errors import InputError
from warehouse.ledger import fields
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.signing import read_signing_keys
from warehouse.ledger.verify import Seen, VerifyOptions, read_seen, update_seen, verify_lake
from warehouse.ledger.witnessing import CosignatureStore

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

    def cosign(self, context, log_folder, witness, tenants, *, seconds=None):
        """Tell the heads of these tenants in `_lake`, then have its log cosigned, at a time in seconds since 1970 or now."""
        heads = [read_unverified((log_folder(tenant) / "checkpoint").read_bytes()) for tenant in tenants]
        told = [[head.origin, head.size, fields.encode_base64(head.root)] for head in heads]
        context.record("log.heads", "_lake", attributes={"heads": told})
        note = (log_folder("_lake") / "checkpoint").read_bytes()
        seconds = context.clock() // NANOS_PER_SECOND if seconds is None else seconds
        cosignature = witness.cosign(read_unverified(note).text, time_seconds=seconds)
        store = CosignatureStore(context.lake, [witness.verifier])
        store.add(log_folder("_lake").name, witness.verifier, note, cosignature)

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

    def established(self, context, verify, witness):
        """Up to which entry of acme's log the stolen key's history is established; None where all of it is."""
        report = verify([vkeys(context)[0]], require_witness=1, witness_keys=[witness.verifier])
        assert findings(report) == []
        (acme,) = (log for log in report.logs if log.tenant == "acme")
        if acme.signer_established:
            return None
        return int(re.match(r"entries (\d+) to \d+ were signed by a key", acme.signer_note)[1])

    def test_a_cosignature_made_after_the_theft_vouches_for_nothing(self, context, record, verify, log_folder, witness):
        """What the thief may have signed before a witness saw it is not established, though the rotation came later."""
        now = context.clock() // NANOS_PER_SECOND
        record("acme", 7)
        self.cosign(context, log_folder, witness, ["acme"], seconds=now - 60)
        theft = (now - 120) * NANOS_PER_SECOND
        rotate_signing_key(context, compromised=True, overlap_seconds=0, compromised_since_unix_nano=theft)
        assert self.established(context, verify, witness) == 0

    def test_a_cosignature_at_the_time_of_the_theft_still_counts(self, context, record, verify, log_folder, witness):
        """At or before that instant the key was the lake's alone."""
        now = context.clock() // NANOS_PER_SECOND
        self.cosign(context, log_folder, witness, ["acme"], seconds=now - 60)
        theft = (now - 60) * NANOS_PER_SECOND
        rotate_signing_key(context, compromised=True, overlap_seconds=0, compromised_since_unix_nano=theft)
        assert self.established(context, verify, witness) is None

    def test_rounds_after_the_rotation_leave_what_was_cosigned_before(
        self, context, record, verify, log_folder, witness
    ):
        """The rotation keeps the last cosignatures from before it: a later round neither adds to them nor takes them away."""
        self.cosign(context, log_folder, witness, ["acme"])
        record("acme", 7)
        rotate_signing_key(context, compromised=True, overlap_seconds=0)
        record("acme", 4)
        later = context.clock() // NANOS_PER_SECOND + 5
        self.cosign(context, log_folder, witness, ["acme"], seconds=later)
        assert self.established(context, verify, witness) == 300

    def test_the_last_cosignature_of_each_day_is_kept(self, context, record, verify, log_folder, witness):
        """A theft days ago leaves established what a witness saw the day before it."""
        days_ago = context.clock() // NANOS_PER_SECOND - 5 * 86_400
        for day in range(4):
            self.cosign(context, log_folder, witness, ["acme"], seconds=days_ago + day * 86_400)
            record("acme", 10)
        theft = (days_ago + 86_400 + 3_600) * NANOS_PER_SECOND
        rotate_signing_key(context, compromised=True, overlap_seconds=0, compromised_since_unix_nano=theft)
        assert self.established(context, verify, witness) == 310

    def test_a_theft_is_never_in_the_future(self, context):
        """Such a time is refused, and the key stays in force."""
        later = context.clock() + 3_600 * NANOS_PER_SECOND
        before = vkeys(context)
        with pytest.raises(InputError, match="expected a time that has passed"):
            rotate_signing_key(context, compromised=True, overlap_seconds=0, compromised_since_unix_nano=later)
        assert vkeys(context) == before

    def test_the_command_takes_the_time_of_the_theft(self, context, verify, log_folder, witness, capsys):
        """`--compromised-since` goes with --compromised, is an ISO 8601 time, and stands in the event."""
        now = context.clock() // NANOS_PER_SECOND
        self.cosign(context, log_folder, witness, ["acme"], seconds=now - 60)
        command = ["ledger", "rotate-key", "--lake", str(context.lake.path), "--compromised-since"]
        assert run_command([*command, "2026-11-01T00:00Z"]) == 2
        assert "expected --compromised beside it" in capsys.readouterr().err
        assert run_command([*command, "yesterday", "--compromised"]) == 2
        assert "got 'yesterday'" in capsys.readouterr().err
        assert run_command([*command, "2026-11-01T01:00+01:00", "--compromised", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["compromised_since_unix_nano"] == 1_793_491_200 * NANOS_PER_SECOND
        assert self.established(context, verify, witness) == 0

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
