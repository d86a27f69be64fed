"""What only the verifier's own keys, memory and witnesses can show: rewinding, forks, rewriting, new keys, vanished logs."""

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from warehouse.errors import InputError
from warehouse.lake import make_lake
from warehouse.ledger.checkpoint import read_unverified
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.keeper import CHECKPOINT_FILE
from warehouse.ledger.note import Ed25519Signer, add_signatures
from warehouse.ledger.signing import KEY_FILE, make_keys, read_signing_keys, write_keys
from warehouse.ledger.verify import Seen, read_seen, update_seen
from warehouse.ledger.verify.witnesses import WITNESSED_FILE

LOG = "acme/main"


def replace_lake(lake, other):
    """Put another lake's tables, logs, journal and certificates in this one's place."""
    shutil.rmtree(lake.lake.path)
    shutil.copytree(other.lake.path, lake.lake.path)


@pytest.fixture
def rewritten(rows, tmp_path):
    """Writes the lake anew, under the same names, with other records and any key: all in itself consistent."""

    def write(original, keys=None):
        lake = make_lake(tmp_path / "rewritten")
        make_keys(lake.keys, now_unix_nano=rows.NOW)
        if keys is not None:
            write_keys(lake.keys, keys)
        identities = {log.name.rpartition("-")[0]: log.name for log in (original.lake.path / "ledger/acme").iterdir()}
        identities |= {log.name.rpartition("-")[0]: log.name for log in (original.lake.path / "ledger/_lake").iterdir()}
        claims = SameIdentities(identities)
        return type(original)(lake, rows, claims).fill()

    return write


class SameIdentities:
    """Claims that give a shard the identity that it had in another lake."""

    def __init__(self, identities):
        self._identities = identities
        self._opened = []

    def claim_shard(self, name):
        self._opened.append(self._identities[name])
        return self._identities[name]

    def close_shard(self, identity, reason):
        raise AssertionError(f"{identity}: {reason}")

    def open_shards(self, name):
        return [identity for identity in self._opened if identity.rpartition("-")[0] == name]


def test_proved_needs_key_and_memory(pristine, memory):
    """With the operator's key and the verifier's own memory the lake is proved; with one of them it is consistent."""
    assert pristine.verify(vkey=pristine.vkey, seen=memory).result.value == "proved"
    assert pristine.verify(vkey=pristine.vkey).result.value == "consistent"
    assert pristine.verify(seen=memory).result.value == "consistent"
    assert pristine.verify(vkey=pristine.vkey, seen=Seen()).result.value == "consistent"


def test_wrong_vkey(pristine, findings):
    """A key that signed nothing here makes every log one of an unknown key."""
    stranger = Ed25519Signer("test", Ed25519PrivateKey.generate()).verifier
    assert {kind for _, kind, _, _ in findings(pristine.verify(vkey=stranger))} == {"unknown-key"}


def test_old_copy_of_the_whole_lake_is_rewound(growing, rows, tmp_path, findings):
    """Yesterday's copy of everything is consistent in itself; only the verifier's memory shows it."""
    older = growing.copy(tmp_path / "older")
    growing.write(rows.whole_batch("acme-later", 4))
    seen = growing.remember(tmp_path / "seen.json")
    assert findings(older.verify(vkey=older.vkey)) == []
    assert findings(older.verify(vkey=older.vkey, seen=seen)) == [(LOG, "rewound", 720, 731)]


def test_old_copy_of_a_log_is_rewound_and_cut(growing, rows, tmp_path, findings):
    """Yesterday's copy of one log's folder beside today's tables: the memory shows it, and so do the tables."""
    shutil.copytree(growing.log(), tmp_path / "log")
    growing.write(rows.whole_batch("acme-later", 4))
    seen = growing.remember(tmp_path / "seen.json")
    shutil.rmtree(growing.log())
    shutil.copytree(tmp_path / "log", growing.log())
    expected = [(LOG, "rewound", 720, 731), (LOG, "tail-cut", 720, 731)]
    assert findings(growing.verify(vkey=growing.vkey, seen=seen)) == expected
    assert findings(growing.verify(vkey=growing.vkey)) == expected[1:]


def test_log_removed_with_everything_that_names_it(lake, memory, findings):
    """A log that is gone with its rows and its journal is missed by the memory alone."""
    for table in ("contents", "spans", "audit_events", "logs"):
        for file in lake.files(table, "beta"):
            lake.drop_add(table, file)
    shutil.rmtree(lake.log("beta"))
    head = lake.lake.journal / lake.shard / "head"
    head.write_text(head.read_text().replace('"beta": 45', '"gamma": 0').replace('"beta":45', '"gamma":0'))
    assert findings(lake.verify(vkey=lake.vkey)) == []
    assert findings(lake.verify(vkey=lake.vkey, seen=memory)) == [("beta/main", "vanished-log", None, None)]


def test_rewritten_under_a_new_key(pristine, rewritten, memory, findings):
    """Everything written anew by somebody without the signing key: an unknown key, and rewritten since it was seen."""
    other = rewritten(pristine)
    assert findings(other.verify()) == []
    names = ["_lake/main", "acme/main", "beta/main"]
    assert findings(other.verify(seen=memory)) == [(name, "rewritten-under-new-key", None, None) for name in names]
    assert findings(other.verify(vkey=pristine.vkey)) == [(name, "unknown-key", None, None) for name in names]


def test_rewritten_under_the_same_key_is_forked(pristine, rewritten, memory, findings):
    """Everything written anew by somebody who holds the signing key: sound to a stranger, forked to who saw it before."""
    other = rewritten(pristine, read_signing_keys(pristine.lake.keys))
    assert findings(other.verify(vkey=pristine.vkey)) == []
    report = other.verify(vkey=pristine.vkey, seen=memory)
    assert findings(report) == [(name, "forked", None, None) for name in ("_lake/main", "acme/main", "beta/main")]


def test_new_key_that_nothing_announced(growing, rows, tmp_path, findings):
    """A log that goes on under a key which no rotation tells of is signed by an unknown key to who remembers the old one."""
    memory = growing.remember(tmp_path / "seen.json")
    (growing.lake.keys / KEY_FILE).unlink()
    make_keys(growing.lake.keys, now_unix_nano=rows.NOW)
    growing.write(rows.whole_batch("acme-later", 4))
    assert findings(growing.verify(seen=memory)) == [(LOG, "unknown-key", None, None)]


class TestMemory:
    def test_it_follows_growth_and_never_goes_back(self, growing, rows, tmp_path):
        """Each sound run moves the memory on; a run over an older copy leaves it as it was."""
        file = tmp_path / "seen.json"
        older = growing.copy(tmp_path / "older")
        first = growing.remember(file)
        growing.write(rows.whole_batch("acme-later", 4))
        update_seen(file, first, growing.verify(seen=first), clock=lambda: 1)
        second = read_seen(file)
        update_seen(file, second, older.verify(seen=second), clock=lambda: 2)
        update_seen(file, second, older.verify(), clock=lambda: 3)
        origin = f"test/acme/{growing.shard}"
        assert first.logs[origin].checkpoint.size == 720
        assert read_seen(file).logs[origin].checkpoint.size == 732

    def test_a_broken_log_is_not_remembered(self, lake, tmp_path):
        """A log with findings keeps its earlier place; the others move on."""
        lake.delete_rows(3)
        seen = lake.remember(tmp_path / "seen.json")
        assert sorted(origin.split("/")[1] for origin in seen.logs) == ["_lake", "beta"]


class TestSince:
    def test_only_what_is_new_is_read(self, growing, rows, tmp_path, findings):
        """With `since`, rows above the size seen are accounted for, and the tree is shown to go on from it."""
        memory = growing.remember(tmp_path / "seen.json")
        growing.write(rows.whole_batch("acme-later", 100))
        report = growing.verify(vkey=growing.vkey, seen=memory, since=True)
        assert findings(report) == []
        assert report.result.value == "proved"
        assert {log.tenant: log.present for log in report.logs} == {"_lake": 0, "acme": 300, "beta": 0}

    @pytest.mark.parametrize("index", [720, 850, 1019])
    def test_damage_to_what_is_new_is_found(self, growing, rows, tmp_path, findings, index):
        """A row that is altered or taken away above the size seen is named."""
        memory = growing.remember(tmp_path / "seen.json")
        growing.write(rows.whole_batch("acme-later", 100))
        growing.delete_rows(index)
        report = growing.verify(vkey=growing.vkey, seen=memory, since=True)
        assert findings(report) == [(LOG, "missing", index, index)]

    def test_a_fork_before_it_is_found(self, pristine, rewritten, memory, rows, findings):
        """What was rewritten below the size seen does not lead to the root seen."""
        other = rewritten(pristine, read_signing_keys(pristine.lake.keys))
        other.write(rows.whole_batch("acme-later", 100))
        report = other.verify(vkey=pristine.vkey, seen=memory, since=True)
        assert [kind for _, kind, _, _ in findings(report)] == ["forked"] * 3


def test_a_rewrite_with_the_signing_key_is_caught_by_a_witness(growing, rewritten, findings):
    """Who holds the signing key can rewrite the whole lake, but not what a witness has seen of it; without that it is not proved."""
    witness = WitnessSigner("witness", Ed25519PrivateKey.generate())
    options = {"require_witness": 1, "witness_keys": [witness.verifier]}
    note = (growing.log("_lake") / CHECKPOINT_FILE).read_bytes()
    cosigned = add_signatures(note, [witness.cosign(read_unverified(note).text, time_seconds=1_800_000_000)])
    other = rewritten(growing, read_signing_keys(growing.lake.keys))
    report = other.verify(vkey=growing.vkey, **options)
    assert (findings(report), report.result.value) == ([], "consistent")
    (other.log("_lake") / WITNESSED_FILE).write_bytes(cosigned)
    other.record("policy.changed")
    assert findings(other.verify(vkey=growing.vkey, **options)) == [("_lake/main", "forked", None, None)]


class TestKeysOfOtherLakes:
    def key(self, lake, name):
        """The lake's own key under another name."""
        return lake.vkey.named(name)

    def test_a_key_of_another_lake_is_not_tried(self, pristine, memory):
        """The names say which lake was asked and which is here, even where the key itself would fit."""
        with pytest.raises(InputError, match=r"expected a key of lake test, .* got only keys of others: prod"):
            pristine.verify(vkey=self.key(pristine, "prod"), seen=memory)

    def test_among_others_the_lakes_own_key_counts(self, pristine, memory):
        """A file of many lakes' keys serves each of them."""
        stranger = Ed25519Signer("prod", Ed25519PrivateKey.generate()).verifier
        assert pristine.verify(vkey=[stranger, pristine.vkey], seen=memory).result.value == "proved"

    def test_a_key_named_like_a_log_counts_for_that_log(self, pristine, memory, findings):
        """Of the other logs the signer is not established."""
        report = pristine.verify(vkey=self.key(pristine, f"test/acme/{pristine.shard}"), seen=memory)
        assert findings(report) == []
        assert {log.tenant: log.signer_established for log in report.logs} == {
            "_lake": False,
            "acme": True,
            "beta": False,
        }
        assert report.result.value == "consistent"
