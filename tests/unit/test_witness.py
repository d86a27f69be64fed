"""What a witness cosigns and what it refuses, and that no race, restart or rewrite gets two trees cosigned."""

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from warehouse.errors import CorruptionError, SettingsError, UnavailableError
from warehouse.ledger.add_checkpoint import AddCheckpoint
from warehouse.ledger.checkpoint import Checkpoint, open_checkpoint, read_unverified, sign_checkpoint
from warehouse.ledger.cosignature import cosignatures
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import Ed25519Signer, parse_signature
from warehouse.ledger.witness import TrustedLogs, open_witness
from warehouse.ledger.witness_key import make_witness_key

NOW_SECONDS = 1_795_000_000
ORIGIN = "lab/_lake/main-1a2b3c4d"
EMPTY = sha256(b"").digest()


def signer(name=ORIGIN, seed=1):
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


LAKE_KEY = signer("lab").verifier


class Log:
    """A log with its tiles on disk, whose entries all say `word`."""

    def __init__(self, folder, word="a", size=0, origin=ORIGIN):
        self.tiles, self.word, self.size, self.origin = LogTiles(folder), word, 0, origin
        self.grow(size)

    def grow(self, count, word=None):
        entries = [sha256(f"{word or self.word}{n}".encode()).digest() for n in range(self.size, self.size + count)]
        self.tiles.append(self.size, b"".join(entries))
        self.size += count
        return self

    def checkpoint(self, size=None):
        size = self.size if size is None else size
        return Checkpoint(self.origin, size, self.tiles.root(size))

    def note(self, size=None, signers=None):
        return sign_checkpoint(self.checkpoint(size), signers or [signer(self.origin)])

    def request(self, old, size=None, proof=None, **given):
        size = self.size if size is None else size
        if proof is None:
            proof = self.tiles.consistency_proof(old, size) if 0 < old < size else []
        return AddCheckpoint(old, tuple(proof), self.note(size, **given)).encode()


@pytest.fixture
def opened(tmp_path):
    """Opens the witness of this test, after closing the one before."""
    locks = []

    def open_(keys=(LAKE_KEY,), now=NOW_SECONDS, **given):
        while locks:
            locks.pop().release()
        witness, lock = open_witness(
            tmp_path / "state", TrustedLogs(keys), clock=lambda: now * 10**9, say=lambda _: None, **given
        )
        locks.append(lock)
        return witness

    yield open_
    while locks:
        locks.pop().release()


@pytest.fixture
def log(tmp_path):
    """A log of 70 entries."""
    return Log(tmp_path / "log", size=70)


def ask(witness, body):
    answer = witness.add_checkpoint(body)
    return answer.status.value, answer.body


def last(witness, origin=ORIGIN):
    return witness.last_checkpoint(sha256(origin.encode()).hexdigest())


def test_cosignature_is_what_the_specification_says(opened, log):
    """The line holds key id, time and an Ed25519 signature of header and checkpoint: checked here by hand."""
    witness = opened(name="witness.example/w1")
    status, body = ask(witness, log.request(0))
    assert status == 200
    assert body.decode().startswith("— witness.example/w1 ")
    line = parse_signature(body.decode().removesuffix("\n"))
    public_key = witness.signer.private_key.public_key().public_bytes_raw()
    assert line.key_id == sha256(b"witness.example/w1\n\x04" + public_key).digest()[:4]
    assert line.value[:8] == NOW_SECONDS.to_bytes(8, "big")
    message = f"cosignature/v1\ntime {NOW_SECONDS}\n".encode() + log.checkpoint().text.encode()
    Ed25519PublicKey.from_public_bytes(public_key).verify(line.value[8:], message)
    (served,) = cosignatures(last(witness), [witness.signer.verifier])
    assert served.signature == line
    assert open_checkpoint(last(witness), origin=ORIGIN, verifiers=[signer().verifier]).checkpoint == log.checkpoint()


def test_grows_step_by_step(opened, log):
    """Each larger tree with its proof is cosigned, the same tree again too, and what was cosigned last is served."""
    witness = opened()
    assert last(witness) is None
    for old, size in [(0, 0), (0, 1), (1, 1), (1, 2), (2, 63), (63, 64), (64, 70), (70, 70)]:
        assert ask(witness, log.request(old, size))[0] == 200
        assert read_unverified(last(witness)).size == size


def forged_note(log):
    return log.note().replace(log.note()[-20:-10], b"AAAAAAAAAA")


REFUSALS = [
    ("not a request", lambda log, fork: b"GET / HTTP/1.1\r\n\r\n", 400, "old <size>"),
    ("nothing", lambda log, fork: b"", 400, "old <size>"),
    ("no empty line", lambda log, fork: b"old 40\n", 400, "empty line"),
    ("a hash of 31 bytes", lambda log, fork: b"old 40\n" + b"A" * 44 + b"\n\n" + log.note(), 400, "expected 32 bytes"),
    ("64 hashes", lambda log, fork: log.request(40, proof=[EMPTY] * 64), 400, "at most 63"),
    ("leading zero", lambda log, fork: log.request(40).replace(b"old 40", b"old 040"), 400, "leading zeros"),
    ("signed number", lambda log, fork: log.request(40).replace(b"old 40", b"old +40"), 400, "decimal"),
    ("two spaces", lambda log, fork: log.request(40).replace(b"old 40", b"old  40"), 400, "decimal"),
    ("carriage return", lambda log, fork: log.request(40).replace(b"old 40\n", b"old 40\r\n"), 400, "decimal"),
    ("other digits", lambda log, fork: log.request(40).replace(b"old 40", "old ٤٠".encode()), 400, "old size|ascii"),
    ("no checkpoint", lambda log, fork: b"old 40\n\n", 400, "note"),
    ("no signature", lambda log, fork: b"old 40\n\n" + log.checkpoint().text.encode(), 400, "note"),
    (
        "checkpoint without root",
        lambda log, fork: b"old 40\n\nlab/_lake/x\n5\n\n\xe2\x80\x94 a AAAAAAAA\n",
        400,
        "origin, size",
    ),
    ("old over size", lambda log, fork: log.request(41, 40), 400, "at most the checkpoint's 40"),
    ("unknown lake", lambda log, fork: renamed(log, "other/_lake/main-1a2b3c4d"), 404, "knows"),
    ("a tenant's log", lambda log, fork: renamed(log, "lab/acme/main-1a2b3c4d"), 404, "knows"),
    ("the lake's name", lambda log, fork: renamed(log, "lab/_lake"), 404, "knows"),
    ("another key", lambda log, fork: log.request(40, signers=[signer(seed=2)]), 403, "known key"),
    ("key under the lake's name", lambda log, fork: log.request(40, signers=[signer("lab")]), 403, "known key"),
    ("forged signature", lambda log, fork: log.request(40).replace(log.note(), forged_note(log)), 403, "does not fit"),
    ("smaller old", lambda log, fork: log.request(39), 409, "^40\n$"),
    ("larger old", lambda log, fork: log.request(41), 409, "^40\n$"),
    ("old 0", lambda log, fork: log.request(0), 409, "^40\n$"),
    ("no proof", lambda log, fork: log.request(40, proof=[]), 422, "expected hashes|more hashes"),
    (
        "proof of another tree",
        lambda log, fork: log.request(40, proof=fork.tiles.consistency_proof(40, 70)),
        422,
        "root",
    ),
    (
        "proof too long",
        lambda log, fork: log.request(40, proof=[*log.tiles.consistency_proof(40, 70), EMPTY]),
        422,
        "fewer",
    ),
    ("a fork with its own proof", lambda log, fork: fork.request(40), 422, "root"),
    ("a fork of the same size", lambda log, fork: fork.request(40, 40), 422, "root of the same size"),
    ("proof between equal sizes", lambda log, fork: log.request(40, 40, proof=[EMPTY]), 422, "no hashes"),
]


def renamed(log, origin):
    return Log(log.tiles.folder, origin=origin, size=0).request(0, 0)


@pytest.mark.parametrize(("name", "make", "status", "message"), REFUSALS, ids=[case[0] for case in REFUSALS])
def test_refusals(opened, log, tmp_path, name, make, status, message):
    """Each refusal has the status of tlog-witness, and leaves what was cosigned last as it was."""
    fork = Log(tmp_path / "fork", "b", 70)
    witness = opened()
    assert ask(witness, log.request(0, 40))[0] == 200
    before = last(witness)
    answer = witness.add_checkpoint(make(log, fork))
    assert answer.status == status
    assert re.search(message, answer.body.decode())
    assert answer.media_type == ("text/x.tlog.size" if status == 409 else "text/plain; charset=utf-8")
    assert last(witness) == before


def test_first_sight(opened, log):
    """From size 0 there is nothing to prove: hashes are refused, and an empty tree with another root too."""
    witness = opened()
    assert ask(witness, log.request(0, proof=[EMPTY]))[0] == 422
    wrong = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), [signer()])
    assert ask(witness, AddCheckpoint(0, (), wrong).encode())[0] == 422
    assert ask(witness, log.request(1))[1] == b"0\n"
    assert last(witness) is None


def test_lake_key_holds_for_every_shard_of_the_lakes_log(opened, tmp_path):
    """The key of a lake is believed for each of its `_lake` logs, an old and a new key alike; each log is on its own."""
    witness = opened([LAKE_KEY, signer("lab", 2).verifier])
    for origin, seed in [("lab/_lake/main-1a2b3c4d", 1), ("lab/_lake/self-5e6f7081", 2)]:
        log = Log(tmp_path / str(seed), size=5 + seed, origin=origin)
        assert ask(witness, log.request(0, signers=[signer(origin, seed)]))[0] == 200
        assert read_unverified(last(witness, origin)).size == 5 + seed


def test_key_of_one_log(opened, tmp_path):
    """A key named as an origin holds for that log, of whatever form its origin is, and for no other."""
    witness = opened([signer("example.com/behind-the-sofa").verifier])
    log = Log(tmp_path / "other", size=3, origin="example.com/behind-the-sofa")
    assert ask(witness, log.request(0))[0] == 200
    assert ask(witness, renamed(log, "example.com/behind-the-sofa/_lake"))[0] == 404


def test_restart_remembers(opened, log, tmp_path):
    """A witness started again has its key and its sizes: a fork made meanwhile is refused."""
    first = opened()
    assert ask(first, log.request(0, 40))[0] == 200
    again = opened(now=NOW_SECONDS + 9)
    assert again.signer.verifier == first.signer.verifier
    assert ask(again, Log(tmp_path / "fork", "b", 70).request(40))[0] == 422
    assert ask(again, log.request(0)) == (409, b"40\n")
    assert ask(again, log.request(40))[0] == 200


def test_two_processes_cannot_share_a_state(opened, tmp_path):
    """The second witness on one state is refused while the first runs."""
    opened()
    with pytest.raises(UnavailableError, match="got one that runs"):
        open_witness(tmp_path / "state", TrustedLogs([LAKE_KEY]), clock=lambda: 0, say=print)


def test_concurrent_requests_cosign_one_tree(opened, tmp_path):
    """Of 32 requests at once, for two trees and many sizes, all that are cosigned are of one tree that only grows."""
    witness = opened()
    logs = [Log(tmp_path / word, word, 64) for word in "ab"]
    bodies = [logs[n % 2].request(0, 1 + n) for n in range(32)]
    bodies += [logs[n % 2].request(1 + m, 33 + n) for n in range(32) for m in range(0, 32, 7)]
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(witness.add_checkpoint, bodies))
    cosigned = [
        read_unverified(AddCheckpoint.parse(b).note) for b, a in zip(bodies, answers, strict=True) if a.status == 200
    ]
    assert cosigned
    assert {answer.status.value for answer in answers} <= {200, 409, 422}
    true = [log for log in logs if log.checkpoint(cosigned[0].size).root == cosigned[0].root]
    assert len(true) == 1
    assert all(true[0].checkpoint(checkpoint.size) == checkpoint for checkpoint in cosigned)
    assert read_unverified(last(witness)).size == max(checkpoint.size for checkpoint in cosigned)


def test_what_cannot_be_stored_is_not_cosigned(opened, log, monkeypatch):
    """With a full disk no cosignature leaves, and the size stays."""
    witness = opened()
    assert ask(witness, log.request(0, 40))[0] == 200

    def refuse(file, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("warehouse.ledger.witness.replace_file", refuse)
        with pytest.raises(OSError, match="No space"):
            witness.add_checkpoint(log.request(40))
    assert read_unverified(last(witness)).size == 40
    assert ask(witness, log.request(40))[0] == 200


def test_storing_comes_before_answering(opened, log, monkeypatch):
    """When the cosignature is made known, the file with it is on the disk already."""
    witness = opened()
    seen = []
    monkeypatch.setattr(witness, "_say", lambda message: seen.append((message, read_unverified(last(witness)).size)))
    ask(witness, log.request(0, 40))
    assert seen == [(f"200 {ORIGIN} size 40", 40)]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("emptied", lambda text: b""),
        ("another root", lambda text: text.replace(text.split(b"\n")[2], b"A" * 43 + b"=")),
        ("smaller", lambda text: text.replace(b"\n40\n", b"\n39\n")),
        ("without cosignature", lambda text: b"\n".join(text.split(b"\n")[:-2]) + b"\n"),
        ("of another log", lambda text: text.replace(ORIGIN.encode(), b"lab/_lake/main-99999999")),
    ],
)
def test_damaged_state_stops_its_log(opened, log, name, damage):
    """What was cosigned last is never forgotten in silence: a damaged file is an error, not a fresh start."""
    witness = opened()
    assert ask(witness, log.request(0, 40))[0] == 200
    (file,) = (witness._folder).iterdir()
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CorruptionError):
        witness.add_checkpoint(log.request(40))


def test_rewritten_lake_is_caught(opened, log, tmp_path):
    """Whoever holds the signing key and rewrites a whole log gets no cosignature, and the old one contradicts the new log."""
    witness = opened()
    assert ask(witness, log.request(0))[0] == 200
    proof_of_then = last(witness)
    rewritten = Log(tmp_path / "rewritten", "a", 10).grow(80, word="forged")
    assert ask(witness, rewritten.request(70, 90))[0] == 422
    assert ask(witness, rewritten.request(0)) == (409, b"70\n")
    assert last(witness) == proof_of_then
    cosigned = read_unverified(proof_of_then)
    assert cosignatures(proof_of_then, [witness.signer.verifier])
    assert rewritten.tiles.root(cosigned.size) != cosigned.root
    assert log.tiles.root(cosigned.size) == cosigned.root


def test_key_is_private_and_kept(tmp_path):
    """The key is made once, readable by its owner alone, with a name that stays."""
    state = tmp_path / "state"
    made = make_witness_key(state)
    assert made.name.startswith("witness-")
    assert stat.S_IMODE((state / "key.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert make_witness_key(state).verifier == made.verifier
    with pytest.raises(SettingsError, match="keeps its name"):
        make_witness_key(state, name="other")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"name":"w","seed":"AA=="}', b'{"name":"a b","seed":"' + b"A" * 43 + b'="}']
)
def test_damaged_key(tmp_path, content):
    """A key that cannot be read is an error, never replaced."""
    file = tmp_path / "key.json"
    file.write_bytes(content)
    with pytest.raises(CorruptionError, match="expected the witness's key"):
        make_witness_key(tmp_path)
    assert file.read_bytes() == content


def test_refused_settings(opened, tmp_path):
    """No logs, a bad name, a state inside a lake, and a log that signs with the witness's key are refused."""
    with pytest.raises(SettingsError, match="at least one log"):
        TrustedLogs([])
    with pytest.raises(SettingsError, match="key name"):
        make_witness_key(tmp_path / "named", name="two words")
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "muniment.yaml").write_text("")
    with pytest.raises(SettingsError, match="outside every lake"):
        make_witness_key(tmp_path / "lake" / "deep" / "state")
    own = make_witness_key(tmp_path / "state").private_key
    with pytest.raises(SettingsError, match="key of its own"):
        opened([Ed25519Signer("lab", own).verifier])


@pytest.mark.parametrize("name", ["", "a" * 63, "g" * 64, "A" * 64, "../" + "a" * 61, "a" * 64 + "/x"])
def test_only_hashes_name_logs(opened, log, name):
    """Nothing but a SHA-256 in lower-case hex finds a checkpoint."""
    witness = opened()
    assert ask(witness, log.request(0))[0] == 200
    assert witness.last_checkpoint(name) is None
