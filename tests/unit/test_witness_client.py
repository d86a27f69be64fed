"""The client's side: what is sent to a witness, what of its answers is believed, and what is kept."""

import http.server
import re
import threading
from hashlib import sha256

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.settings import MunimentConfig
from warehouse.errors import Permanent, Transient
from warehouse.lake import Lake
from warehouse.ledger.add_checkpoint import AddCheckpoint
from warehouse.ledger.checkpoint import Checkpoint, read_unverified, sign_checkpoint
from warehouse.ledger.cosignature import WitnessSigner, cosignatures
from warehouse.ledger.errors import NoteError
from warehouse.ledger.heads import read_heads
from warehouse.ledger.log_tiles import LogTiles
from warehouse.ledger.note import Ed25519Signer
from warehouse.ledger.proofs import verify_consistency
from warehouse.ledger.signing import make_keys
from warehouse.ledger.witnessing import (
    CosignatureStore,
    WitnessClient,
    WitnessEndpoint,
    WitnessError,
    WitnessRefusalError,
    WitnessUnavailableError,
    parse_endpoint,
)

ORIGIN = "lab/_lake/main-1a2b3c4d"
WITNESS = WitnessSigner("witness.example/w1", Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32))
OTHER = WitnessSigner("witness.example/w2", Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32))
VKEY = WITNESS.verifier.vkey


class Scripted(http.server.ThreadingHTTPServer):
    """A witness that answers what the test says, one answer a request, and keeps the requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests = [], []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, AddCheckpoint.parse(body)))
        status, answer, *headers = self.server.script.pop(0)
        answer = answer(body) if callable(answer) else answer
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def server():
    made = Scripted()
    yield made
    made.shutdown()
    made.server_close()


class SmallLake:
    """A lake that has one log of `_lake`, and keys."""

    def __init__(self, path, size):
        self.lake = Lake(path)
        self.lake.keys.mkdir(parents=True)
        self.keys = make_keys(self.lake.keys, now_unix_nano=0)
        self.folder = path / "ledger" / "_lake" / "main-1a2b3c4d"
        self.size = 0
        self.grow(size)

    def grow(self, count):
        entries = [sha256(b"%d" % n).digest() for n in range(self.size, self.size + count)]
        LogTiles(self.folder).append(self.size, b"".join(entries))
        self.size += count
        checkpoint = Checkpoint(ORIGIN, self.size, LogTiles(self.folder).root(self.size))
        (self.folder / "checkpoint").write_bytes(sign_checkpoint(checkpoint, self.keys.signers(ORIGIN, 0)))
        return self.head()

    def head(self):
        found = read_heads(self.lake, self.keys, lake_name="lab")
        assert found.problems == ()
        (head,) = found.of_lake()
        return head


@pytest.fixture
def small(tmp_path):
    """A lake with a log of 70 entries."""
    return SmallLake(tmp_path / "lake", 70)


@pytest.fixture
def client(small, server):
    """A client of the scripted witness."""
    endpoint = WitnessEndpoint(f"http://127.0.0.1:{server.server_port}/some/prefix", WITNESS.verifier)
    store = CosignatureStore(small.lake, [WITNESS.verifier, OTHER.verifier])
    return WitnessClient(endpoint, store, timeout_seconds=5)


def cosign(signer=WITNESS, time_seconds=7):
    def answer(body):
        text = AddCheckpoint.parse(body).note.partition(b"\n\n")[0].decode() + "\n"
        return signer.cosign(text, time_seconds=time_seconds).line.encode()

    return answer


def test_first_request_and_growth(client, small, server):
    """The first request starts from 0 without hashes, the next from what was cosigned, with a proof that holds."""
    server.script = [(200, cosign()), (200, cosign(time_seconds=8))]
    first = small.head()
    assert not client.is_cosigned(first)
    assert client.cosign(first).time_seconds == 7
    assert client.is_cosigned(first)
    second = small.grow(30)
    assert not client.is_cosigned(second)
    client.cosign(second)
    (path, one), (_, two) = server.requests
    assert path == "/some/prefix/add-checkpoint"
    assert (one.old_size, one.proof, one.note) == (0, (), first.signed.note)
    assert (two.old_size, two.note) == (70, second.signed.note)
    verify_consistency(
        old_size=70, new_size=100, old_root=first.checkpoint.root, new_root=second.checkpoint.root, proof=two.proof
    )


def test_kept_files(client, small, server):
    """The cosigned checkpoint stands beside the log's own, with the log's signature and all cosignatures of it."""
    other = WitnessClient(WitnessEndpoint(client.endpoint.url, OTHER.verifier), client._store)
    server.script = [(200, cosign()), (200, cosign(OTHER)), (200, cosign(time_seconds=9))]
    head = small.head()
    client.cosign(head)
    other.cosign(head)
    newest = small.folder / "checkpoint.witnessed"
    assert newest.read_bytes().startswith(head.signed.note)
    assert {c.witness for c in cosignatures(newest.read_bytes(), [WITNESS.verifier, OTHER.verifier])} == {
        "witness.example/w1",
        "witness.example/w2",
    }
    grown = small.grow(1)
    client.cosign(grown)
    assert newest.read_bytes().startswith(grown.signed.note)
    assert [c.time_seconds for c in cosignatures(newest.read_bytes(), [WITNESS.verifier, OTHER.verifier])] == [9]
    kept = small.folder / "witnessed" / OTHER.verifier.key_id.hex()
    assert read_unverified(kept.read_bytes()).size == 70, "what the other witness cosigned last is kept too"
    assert client._store.last_cosigned_seconds(WITNESS.verifier) == 9
    assert client._store.last_cosigned_seconds(OTHER.verifier) == 7


def test_a_late_answer_does_not_take_the_newest_place(client, small, server):
    """A cosignature of a smaller tree is kept for its witness and does not replace a larger cosigned one."""
    other = WitnessClient(WitnessEndpoint(client.endpoint.url, OTHER.verifier), client._store)
    server.script = [(200, cosign()), (200, cosign(OTHER))]
    before = small.head()
    grown = small.grow(1)
    client.cosign(grown)
    other.cosign(before)
    assert read_unverified((small.folder / "checkpoint.witnessed").read_bytes()).size == 71


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_forged_file_does_not_keep_the_true_one_out(client, small, server, content):
    """What no witness cosigned is replaced, however large a tree it claims."""
    if content is None:
        forger = Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate())
        content = sign_checkpoint(Checkpoint(ORIGIN, 1 << 40, bytes(32)), [forger])
    (small.folder / "checkpoint.witnessed").write_bytes(content)
    server.script = [(200, cosign())]
    client.cosign(small.head())
    assert read_unverified((small.folder / "checkpoint.witnessed").read_bytes()).size == 70


def test_lost_state_is_rebuilt_from_the_answer(client, small, server):
    """An answer 409 names the size from which the second request starts, with a proof from there."""
    server.script = [(409, b"40\n"), (200, cosign())]
    client.cosign(small.head())
    assert [request.old_size for _, request in server.requests] == [0, 40]
    (_, (_, second)) = server.requests
    tiles = LogTiles(small.folder)
    verify_consistency(old_size=40, new_size=70, old_root=tiles.root(40), new_root=tiles.root(70), proof=second.proof)


ANSWERS = [
    ("down", [(503, b"busy\n")], WitnessUnavailableError, "got 503: busy"),
    ("too many", [(429, b"")], WitnessUnavailableError, "got 429"),
    ("refused", [(422, b"root: expected\n")], WitnessRefusalError, "got 422: root: expected"),
    ("unknown", [(404, b"origin\n")], WitnessRefusalError, "got 404"),
    ("forbidden", [(403, b"")], WitnessRefusalError, "got 403"),
    ("redirected", [(307, b"", ("location", "http://127.0.0.1:1/"))], WitnessRefusalError, "got 307"),
    ("conflict without size", [(409, b"other root")], WitnessRefusalError, "answer 409: answer: cosigned size"),
    ("another root", [(409, b"0\n")], WitnessRefusalError, "another root of .* at size 0"),
    ("other clients", [(409, b"40\n"), (409, b"50\n")], WitnessUnavailableError, "one client at a time"),
    ("still another root", [(409, b"40\n"), (409, b"40\n")], WitnessRefusalError, "another root of .* at size 40"),
    ("ahead", [(409, b"71\n")], WitnessRefusalError, "at size 71, and the log has only 70: it was cut"),
    ("empty", [(200, b"")], WitnessRefusalError, "expected a cosignature"),
    ("web page", [(200, b"<html>\n")], WitnessRefusalError, "em dash"),
    ("not UTF-8", [(200, b"\xff\xfe\n")], WitnessRefusalError, "expected a cosignature"),
    ("another witness's", [(200, cosign(OTHER))], WitnessRefusalError, "by its key, got none"),
    ("of another text", [(200, lambda _: WITNESS.cosign("a\n1\n" + "A" * 43 + "=\n", time_seconds=7).line.encode())],
     WitnessRefusalError, "does not fit"),
    ("twice", [(200, lambda body: cosign()(body) * 2)], WitnessRefusalError, "one signature a key"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "script", "error", "message"), ANSWERS, ids=[case[0] for case in ANSWERS])
def test_answers_that_are_no_cosignature(client, small, server, name, script, error, message):
    """Each answer but a cosignature by the configured key is an error, and nothing is kept."""
    server.script = list(script)
    with pytest.raises(error, match=message):
        client.cosign(small.head())
    assert server.script == []
    assert not (small.folder / "witnessed").exists()
    assert not (small.folder / "checkpoint.witnessed").exists()


def test_lines_of_other_keys_are_ignored(client, small, server):
    """A cosignature counts among others by keys that are not known here, and those are not kept."""
    server.script = [(200, lambda body: cosign(OTHER)(body) + cosign()(body))]
    client.cosign(small.head())
    assert b"witness.example/w2" not in (small.folder / "checkpoint.witnessed").read_bytes()


def test_nobody_there(client, small, server):
    """A witness that does not listen is unavailable, with its address in the message."""
    endpoint = WitnessEndpoint("http://127.0.0.1:1", WITNESS.verifier)
    with pytest.raises(WitnessUnavailableError, match=r"expected an answer from http://127\.0\.0\.1:1, got Connection"):
        WitnessClient(endpoint, client._store).cosign(small.head())


def test_error_kinds():
    """What may pass by itself is transient, what will not is permanent."""
    assert issubclass(WitnessUnavailableError, (WitnessError, Transient))
    assert issubclass(WitnessRefusalError, (WitnessError, Permanent))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("forged signature", lambda note: note[:-12] + b"AAAAAAAAA" + note[-3:], "does not fit"),
        ("another root", lambda note: note.replace(note.split(b"\n")[2], b"A" * 43 + b"="), "does not fit"),
        ("another log's", lambda note: note.replace(b"main-1a2b3c4d", b"main-00000000"), "known key|origin"),
        ("no note", lambda note: b"", "note"),
    ],
)
def test_altered_checkpoints_are_not_heads(small, name, damage, message):
    """A checkpoint that the lake's key did not sign is reported and never becomes part of a record of heads."""
    file = small.folder / "checkpoint"
    file.write_bytes(damage(file.read_bytes()))
    found = read_heads(small.lake, small.keys, lake_name="lab")
    assert found.heads == ()
    (problem,) = found.problems
    assert "main-1a2b3c4d: " in problem
    assert re.search(message, problem)


def test_heads_are_taken_when_a_tenants_log_grew(small, tmp_path):
    """Growth of `_lake` alone calls for no record of heads; growth of another log takes all that grew."""
    origin = "lab/acme/main-1a2b3c4d"
    folder = small.lake.path / "ledger" / "acme" / "main-1a2b3c4d"
    assert read_heads(small.lake, small.keys, lake_name="lab").grown({}) == []
    tiles = LogTiles(folder)
    tiles.append(0, bytes(64))
    (folder / "checkpoint").write_bytes(
        sign_checkpoint(Checkpoint(origin, 2, tiles.root(2)), small.keys.signers(origin, 0))
    )
    found = read_heads(small.lake, small.keys, lake_name="lab")
    assert [head.to_json()[:2] for head in found.grown({})] == [[ORIGIN, 70], [origin, 2]]
    assert [head.to_json()[0] for head in found.grown({ORIGIN: 70, origin: 1})] == [origin]
    assert found.grown({ORIGIN: 60, origin: 2}) == []
    assert found.grown({ORIGIN: 70, origin: 2}) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "http"),
        ("127.0.0.1:7380", "http"),
        ("ftp://127.0.0.1", "http"),
        ("http://", "http"),
        ("http://user:secret@127.0.0.1", "without user"),
        ("http://127.0.0.1/?x=1", "without user"),
        ("http://127.0.0.1:99999", "http"),
    ],
)
def test_refused_urls(url, message):
    """Only an http(s) URL without secrets names a witness, and the message repeats no secret."""
    with pytest.raises(NoteError, match=message) as caught:
        parse_endpoint(url, VKEY)
    assert "secret" not in str(caught.value)


def test_settings_name_the_place_of_a_bad_witness():
    """Witnesses are checked when settings are read."""
    good = {"url": "https://witness.example.org/w", "vkey": VKEY}
    assert msgspec.convert({"witnesses": [good]}, MunimentConfig).witnesses[0].vkey == VKEY
    for changed, message in [
        ({"vkey": "x"}, r"\$.witnesses\[1\]"),
        ({"vkey": Ed25519Signer("log", WITNESS.private_key).verifier.vkey}, "type 0x04"),
        ({"url": "witness"}, "http"),
        ({"more": 1}, "unknown field"),
    ]:
        with pytest.raises(msgspec.ValidationError, match=message):
            msgspec.convert({"witnesses": [good, {**good, **changed}]}, MunimentConfig)
