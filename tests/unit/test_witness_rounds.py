"""The schedule of rounds: what is recorded before a witness is asked, and how often one that fails is asked."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.settings import MunimentConfig, WitnessConfig
from muniment.witness_rounds import WitnessRounds, witness_status
from warehouse.errors import UnavailableError
from warehouse.lake import Lake
from warehouse.ledger.checkpoint import Checkpoint, sign_checkpoint
from warehouse.ledger.cosignature import WitnessSigner
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.signing import make_keys
from warehouse.ledger.witnessing import CosignatureStore

NOW_SECONDS = 1_795_000_000
WITNESS = WitnessSigner("witness.example", Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
SHARD = "main-1a2b3c4d"


class Rounds:
    """Rounds over a small lake whose witness does not listen; keeps what they record."""

    def __init__(self, path, interval_seconds=300.0, tenants=("_lake", "acme")):
        self.lake = Lake(path)
        for folder in (self.lake.keys, self.lake.run):
            folder.mkdir(parents=True)
        self.keys = make_keys(self.lake.keys, now_unix_nano=0)
        for tenant in tenants:
            self.write_log(tenant, 3)
        self.settings = MunimentConfig(
            lake="lab",
            witnesses=[WitnessConfig(url="http://127.0.0.1:1", vkey=WITNESS.verifier.vkey)],
            witness_interval_seconds=interval_seconds,
        )
        self.done = []
        self.rounds = self.make()
        self.turn = self.rounds._turns[0]

    def make(self):
        return WitnessRounds(
            self.lake, self.settings, append=self.append, flush=self.flush, clock=lambda: NOW_SECONDS * 10**9
        )

    def append(self, events):
        self.done += [(event.tenant_id, event.name, event.attributes["heads"]) for event in events]

    def flush(self, timeout_seconds):
        self.done.append("flushed")

    def write_log(self, tenant, size, shard=SHARD):
        folder = self.lake.path / "ledger" / tenant / shard
        LogTiles(folder).append(0, b"".join(sha256(b"%d" % n).digest() for n in range(size)))
        origin = f"lab/{tenant}/{shard}"
        checkpoint = Checkpoint(origin, size, LogTiles(folder).root(size))
        (folder / "checkpoint").write_bytes(sign_checkpoint(checkpoint, self.keys.signers(origin, 0)))
        return checkpoint

    def run(self):
        """One round; whether the witness was asked in it."""
        before = self.turn.thread
        self.rounds.run_round()
        if self.turn.thread is before:
            return False
        self.turn.thread.join(60)
        return True


@pytest.fixture
def rounds(tmp_path):
    """Rounds over a lake with the logs of `_lake` and of one tenant."""
    return Rounds(tmp_path / "lake")


def test_heads_are_committed_before_a_witness_is_asked(rounds):
    """A round records the heads, a record a tenant, and waits for their commit; the next one, with nothing grown, records nothing."""
    assert rounds.run()
    *told, flushed = rounds.done
    assert [(tenant, name) for tenant, name, _ in told] == [("_lake", "log.heads")] * 2
    assert flushed == "flushed"
    assert [[head[:2] for head in heads] for _, _, heads in told] == [
        [[f"lab/_lake/{SHARD}", 3]],
        [[f"lab/acme/{SHARD}", 3]],
    ]
    assert rounds.run()
    assert len(rounds.done) == 3
    checkpoint = rounds.write_log("acme", 5)
    rounds.turn.rounds_to_skip = 0
    assert rounds.run()
    assert rounds.done[3][2] == [[checkpoint.origin, 5, checkpoint.text.split("\n")[2]]]


def test_no_witness_is_asked_without_the_record(rounds):
    """Where the heads cannot be recorded, or not be committed, the round ends."""
    for broken in ("_append", "_flush"):

        def refuse(_):
            raise UnavailableError("the writer is stopping")

        rounds.write_log("acme", 4 if broken == "_append" else 5)
        setattr(rounds.rounds, broken, refuse)
        with pytest.raises(UnavailableError):
            rounds.rounds.run_round()
        assert rounds.turn.thread is None
        rounds.rounds = rounds.make()
        rounds.turn = rounds.rounds._turns[0]


@pytest.mark.parametrize(
    ("interval_seconds", "asked"),
    [(300.0, [0, 1, 3, 7, 15, 28]), (1800.0, [0, 1, 3, 6, 9, 12, 15, 18, 21, 24, 27]), (7200.0, list(range(30)))],
)
def test_a_witness_that_fails_is_asked_ever_less_often(tmp_path, interval_seconds, asked):
    """After each failure twice as many rounds go by without it, up to an hour; an interval over an hour stays as it is."""
    rounds = Rounds(tmp_path / "lake", interval_seconds)
    assert [number for number in range(30) if rounds.run()] == asked
    assert "expected an answer from http://127.0.0.1:1" in rounds.turn.problem


def test_many_heads_are_several_records(tmp_path, monkeypatch):
    """One event holds at most so many heads, of one tenant alone; none is left out."""
    monkeypatch.setattr("muniment.witness_rounds.HEADS_A_RECORD", 2)
    rounds = Rounds(tmp_path / "lake", tenants=["_lake", "a", "b"])
    for shard in ("more-1a2b3c4d", "most-1a2b3c4d"):
        rounds.write_log("a", 3, shard)
    rounds.run()
    *events, flushed = rounds.done
    assert flushed == "flushed"
    told = [[head[0].split("/", 1)[1] for head in heads] for _, _, heads in events]
    assert told == [
        [f"_lake/{SHARD}"],
        [f"a/{SHARD}", "a/more-1a2b3c4d"],
        ["a/most-1a2b3c4d"],
        [f"b/{SHARD}"],
    ]


def test_altered_checkpoint_is_told(rounds):
    """A checkpoint that does not verify is left out of the heads and shown as a problem."""
    file = rounds.lake.path / "ledger" / "acme" / SHARD / "checkpoint"
    file.write_bytes(file.read_bytes().replace(b"\n3\n", b"\n2\n"))
    rounds.run()
    assert rounds.done == []
    (problem,) = rounds.rounds.state()["problems"]
    assert "does not fit" in problem


def test_the_interval_holds_across_restarts(rounds):
    """A collector that starts again waits for the rest of the interval since the last cosignature."""
    assert rounds.rounds._first_wait_seconds() == 1.0
    note = (rounds.lake.path / "ledger" / "_lake" / SHARD / "checkpoint").read_bytes()
    text = note.partition(b"\n\n")[0].decode() + "\n"
    store = CosignatureStore(rounds.lake, [WITNESS.verifier])
    for seconds_ago, expected in [(400, 1.0), (200, 100.0), (-1000, 300.0)]:
        store.add(SHARD, WITNESS.verifier, note, WITNESS.cosign(text, time_seconds=NOW_SECONDS - seconds_ago))
        assert rounds.make()._first_wait_seconds() == expected
    (status,) = witness_status(rounds.lake, rounds.settings)
    assert (status.logs, status.logs_behind) == (1, 0)
    assert status.last_cosigned_unix_nano == (NOW_SECONDS + 1000) * 10**9
    rounds.write_log("_lake", 4)
    (status,) = witness_status(rounds.lake, rounds.settings)
    assert (status.logs, status.logs_behind) == (1, 1)


def test_without_witnesses_nothing_runs(tmp_path):
    """A lake without witnesses starts no thread and holds no lock."""
    rounds = Rounds(tmp_path / "lake")
    rounds.settings = MunimentConfig(lake="lab")
    idle = rounds.make()
    idle.start()
    assert idle._thread.ident is None
    idle.stop()
    assert idle.state() == {"holds_lock": False, "problems": [], "witnesses": {}}
