"""What witnesses establish, what they contradict, and what they have not seen yet: not established, never a pass, never damage."""

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.ledger import fields
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.note import add_signatures
from warehouse.ledger.verify import Seen, read_seen, update_seen
from warehouse.ledger.verify.files import live_files
from warehouse.ledger.verify.witnesses import WITNESSED_FILE

COSIGNED_SECONDS = 1_800_000_000


@pytest.fixture
def witnesses():
    """Three witnesses with keys of their own."""
    return [WitnessSigner(f"witness-{n}", Ed25519PrivateKey.generate()) for n in range(3)]


def heads_of(lake):
    """Every log's head, as a `log.heads` event has them."""
    files = sorted((lake.lake.path / "ledger").glob(f"*/*/{CHECKPOINT_FILE}"))
    heads = [read_unverified(file.read_bytes()) for file in files]
    return [[head.origin, head.size, fields.encode_base64(head.root)] for head in heads]


def cosign_log(folder, signers, time_seconds=COSIGNED_SECONDS):
    """Have one log of `_lake` cosigned as it stands."""
    note = (folder / CHECKPOINT_FILE).read_bytes()
    text = read_unverified(note).text
    cosigned = add_signatures(note, [signer.cosign(text, time_seconds=time_seconds) for signer in signers])
    (folder / WITNESSED_FILE).write_bytes(cosigned)


def round_of(lake, signers):
    """A round: the heads of all logs are told in `_lake`, its own among them, then its log `main` is cosigned."""
    lake.record("log.heads", attributes={"heads": heads_of(lake)})
    cosign_log(lake.log("_lake"), signers)


def verify(lake, witnesses, required, **more):
    """Verify as somebody who trusts these witnesses."""
    return lake.verify(
        vkey=lake.vkey, require_witness=required, witness_keys=[signer.verifier for signer in witnesses], **more
    )


def witnessed(report):
    """(freshness, size vouched for) by tenant and shard name."""
    return {
        f"{log.tenant}/{log.shard.rpartition('-')[0]}": (log.freshness.value, log.witnessed_size) for log in report.logs
    }


def test_a_quorum_proves_every_log(growing, witnesses, findings):
    """`_lake`, whose own head its events name too, is proved at first hand, the others through its heads."""
    round_of(growing, witnesses[:2])
    report = verify(growing, witnesses, 2)
    assert findings(report) == []
    assert report.result.value == "proved"
    assert witnessed(report) == {
        "_lake/main": ("witnessed", 2),
        "acme/main": ("witnessed", 720),
        "beta/main": ("witnessed", 45),
    }


def test_what_came_after_the_round_is_newer_and_nothing_else(growing, witnesses, findings):
    """Rows after the last round leave the lake proved up to the sizes that were cosigned."""
    round_of(growing, witnesses[:1])
    growing.record("policy.changed")
    report = verify(growing, witnesses, 1)
    assert (findings(report), report.result.value) == ([], "proved")
    assert witnessed(report)["_lake/main"] == ("witnessed", 2)
    assert {log.tenant: log.size for log in report.logs}["_lake"] == 3


def test_a_round_in_the_middle_of_a_run_is_no_contradiction(growing, witnesses, findings, monkeypatch):
    """A log that grows and is cosigned after the run read its checkpoint was not cut: the run is about what it read."""
    round_of(growing, witnesses[:1])

    def list_late(lake):
        growing.write(growing.rows.whole_batch("late", 5))
        round_of(growing, witnesses[:1])
        return live_files(lake)

    monkeypatch.setattr("warehouse.ledger.verify.run.live_files", list_late)
    report = verify(growing, witnesses, 1)
    assert (findings(report), report.result.value) == ([], "proved")
    assert witnessed(report)["_lake/main"] == ("witnessed", 2)
    assert witnessed(report)["acme/main"] == ("witnessed", 720)


def test_a_second_log_of_the_lake_is_vouched_for_by_the_first(growing, witnesses, findings):
    """A log of `_lake` that no witness saw itself stands up to the head that a cosigned one tells of it."""
    growing.record("policy.changed", shard="self")
    growing.record("policy.changed", shard="self")
    round_of(growing, witnesses[:1])
    growing.record("policy.changed", shard="self")
    report = verify(growing, witnesses, 1)
    assert (findings(report), report.result.value) == ([], "proved")
    assert witnessed(report)["_lake/self"] == ("witnessed", 2)


def test_a_log_opened_after_the_last_round_is_not_established(growing, witnesses, findings):
    """What no witness can have seen is no damage, and is not proved either: it is said of that log alone."""
    round_of(growing, witnesses[:1])
    growing.record("policy.changed", shard="self")
    report = verify(growing, witnesses, 1)
    assert (findings(report), report.result.value) == ([], "consistent")
    assert witnessed(report)["_lake/self"] == ("not established", 0)
    assert witnessed(report)["acme/main"] == ("witnessed", 720)
    (said,) = {log.freshness_note for log in report.logs} - {""}
    assert "expected 1 of the witnesses given to vouch for it, got 0" in said


def test_a_memory_does_not_stand_in_for_witnesses(growing, witnesses, rows, tmp_path):
    """Who requires witnesses does not get a log proved that none of them saw, however well it is remembered."""
    round_of(growing, witnesses[:1])
    growing.record("policy.changed", shard="self")
    memory = growing.remember(tmp_path / "seen.json")
    report = verify(growing, witnesses, 1, seen=memory)
    assert report.result.value == "consistent"
    assert witnessed(report)["_lake/self"] == ("not established", 0)
    assert witnessed(report)["acme/main"] == ("seen and witnessed", 720)
    assert growing.verify(vkey=growing.vkey, seen=memory).result.value == "proved"


def test_too_few_witnesses(growing, witnesses, findings):
    """One cosignature is not two, and one by a key that the verifier did not bring counts nothing: not established."""
    round_of(growing, witnesses[:1])
    for brought, required, got in ((witnesses, 2, 1), (witnesses[1:], 1, 0)):
        report = verify(growing, brought, required)
        assert (findings(report), report.result.value) == ([], "consistent")
        assert {state for state, _ in witnessed(report).values()} == {"not established"}
        (of_lake,) = (log for log in report.logs if log.tenant == "_lake")
        assert f"expected {required} of the witnesses given to vouch for it, got {got}" in of_lake.freshness_note


@pytest.fixture
def remembered(growing, witnesses, rows, tmp_path):
    """What a verifier remembers of a lake that one witness vouched for, whom it required."""
    round_of(growing, witnesses[:1])
    report = verify(growing, witnesses[:1], 1)
    from warehouse.ledger.verify.seen import Quorum

    quorum = Quorum(1, (witnesses[0].verifier.public_key,))
    update_seen(tmp_path / "seen.json", Seen(), report, clock=lambda: rows.NOW, quorum=quorum)
    return read_seen(tmp_path / "seen.json")


def test_cosignatures_that_were_there_and_are_not_any_more(growing, witnesses, remembered, findings):
    """A log that witnesses vouched for when it was seen last, and do not now, had its chance: that is a finding."""
    assert verify(growing, witnesses[:1], 1, seen=remembered).result.value == "proved"
    (growing.log("_lake") / WITNESSED_FILE).unlink()
    logs = ["_lake/main", "acme/main", "beta/main"]
    assert findings(verify(growing, witnesses[:1], 1, seen=remembered)) == [
        (log, "not-witnessed", None, None) for log in logs
    ]


def test_a_quorum_of_others_says_nothing_of_the_one_before(growing, witnesses, remembered, findings):
    """Who asks for other witnesses, or for more of them, than vouched before has found no damage."""
    for brought, required in ((witnesses[1:], 1), (witnesses, 2)):
        report = verify(growing, brought, required, seen=remembered)
        assert (findings(report), report.result.value) == ([], "consistent")


def test_a_log_that_vanished_with_everything_that_names_it(growing, witnesses, findings):
    """Nothing is left of a tenant, its rows and the journal's word of it: the heads that were cosigned miss it."""
    round_of(growing, witnesses[:1])
    for table in ("contents", "spans", "audit_events", "logs"):
        for file in growing.files(table, "beta"):
            growing.drop_add(table, file)
    shutil.rmtree(growing.log("beta").parent)
    head = growing.lake.journal / growing.shard / "head"
    head.write_text(head.read_text().replace('"beta": 45', '"gamma": 0').replace('"beta":45', '"gamma":0'))
    assert findings(growing.verify(vkey=growing.vkey)) == []
    assert findings(verify(growing, witnesses, 1)) == [("beta/main", "vanished-log", None, None)]
    assert findings(verify(growing, witnesses, 1, tenants=["acme"])) == []


def test_a_vanished_log_of_the_lake_is_missed_by_another(growing, witnesses, findings):
    """A log of `_lake` that a cosigned one tells of and that is gone with its journal and rows."""
    shard = growing.record("policy.changed", shard="self")
    round_of(growing, witnesses[:1])
    shutil.rmtree(growing.lake.path / "ledger/_lake" / shard)
    shutil.rmtree(growing.lake.journal / shard)
    for file in growing.files("audit_events", "_lake"):
        if shard in file.name:
            growing.drop_add("audit_events", file)
    assert findings(growing.verify(vkey=growing.vkey)) == []
    assert findings(verify(growing, witnesses, 1)) == [("_lake/self", "vanished-log", None, None)]


def test_a_head_told_of_another_history_is_a_fork(growing, witnesses, findings):
    """A log of `_lake` whose head in a cosigned log has another root is forked, though its own entries fit each other."""
    growing.record("policy.changed", shard="self")
    growing.record("policy.changed", shard="self")
    heads = [
        [origin, size, fields.encode_base64(bytes(32)) if "_lake/self" in origin else root]
        for origin, size, root in heads_of(growing)
    ]
    growing.record("policy.changed", shard="self")
    growing.record("log.heads", attributes={"heads": heads})
    cosign_log(growing.log("_lake"), witnesses[:1])
    assert findings(verify(growing, witnesses, 1)) == [("_lake/self", "forked", None, None)]


def test_heads_after_the_cosigned_size_vouch_for_nothing(growing, witnesses, findings):
    """A head told above what witnesses cosigned was told by the lake alone."""
    cosign_log(growing.log("_lake"), witnesses[:1])
    growing.record("log.heads", attributes={"heads": heads_of(growing)})
    report = verify(growing, witnesses, 1)
    assert (findings(report), report.result.value) == ([], "consistent")
    assert witnessed(report)["acme/main"] == ("not established", 0)


def test_an_old_copy_is_caught_through_the_witness(growing, witnesses, tmp_path, findings):
    """Yesterday's logs beside the witness's latest cosignature are rewound."""
    older = growing.copy(tmp_path / "older")
    round_of(growing, witnesses)
    shutil.copy(growing.log("_lake") / WITNESSED_FILE, older.log("_lake") / WITNESSED_FILE)
    assert ("_lake/main", "rewound", 1, 1) in findings(verify(older, witnesses, 1))
