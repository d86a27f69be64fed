"""Signed notes, keys as text, checkpoints and cosignatures, against notes and keys that other programs made."""

import base64
import subprocess
import sys
from pathlib import Path

import cryptography
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import warehouse
from warehouse.ledger.checkpoint import (
    Checkpoint,
    log_origin,
    open_checkpoint,
    read_unverified,
    sign_checkpoint,
    split_origin,
)
from warehouse.ledger.cosignature import WitnessSigner, WitnessVerifier, cosignatures
from warehouse.ledger.errors import BadSignatureError, NoteError, UnknownKeyError
from warehouse.ledger.note import (
    Ed25519Signer,
    Ed25519Verifier,
    Note,
    Signature,
    add_signatures,
    open_note,
    parse_note,
    parse_signature,
    sign_note,
)

# a key and a note of golang.org/x/mod/sumdb/note
KNOWN_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
KNOWN_TEXT = "This is an example message.\n"
KNOWN_LINE = (
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
KNOWN_NOTE = f"{KNOWN_TEXT}\n{KNOWN_LINE}".encode()
# a witness's key in public use
KNOWN_WITNESS_VKEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
# the checkpoint in the text of tlog-checkpoint and tlog-cosignature
KNOWN_CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

ORIGIN = "lab/acme/main-1a2b3c4d"
ROOT = bytes(range(32))
CHECKPOINT = Checkpoint(ORIGIN, 70_000, ROOT)


def signer(name=ORIGIN, seed=1):
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def witness(name="witness.example", seed=9):
    return WitnessSigner(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def test_known_key_and_note():
    """A key and a note made by Go's implementation read, verify and print back the same."""
    key = Ed25519Verifier.from_vkey(KNOWN_VKEY)
    assert (key.name, key.key_id.hex(), key.vkey) == ("example.com/foo", "530d903a", KNOWN_VKEY)
    assert open_note(KNOWN_NOTE, [key]).text == KNOWN_TEXT
    assert parse_note(KNOWN_NOTE).encode() == KNOWN_NOTE


def test_known_witness_key():
    """A cosigning key has type 0x04, in its text and in its key id."""
    key = WitnessVerifier.from_vkey(KNOWN_WITNESS_VKEY)
    assert (key.name, key.key_id.hex(), key.vkey) == ("remora.n621.de", "da77ade7", KNOWN_WITNESS_VKEY)


@pytest.mark.parametrize(
    ("name", "vkey", "expected"),
    [
        ("empty", "", "key name"),
        ("name alone", "example.com/foo", "expected base64|expected a key of type"),
        ("no key", "example.com/foo+530d903a", "expected a key of type"),
        ("space in name", KNOWN_VKEY.replace("/foo", "/f o"), "key name"),
        ("wide space in name", KNOWN_VKEY.replace("/foo", "/f\u2003o"), "key name"),
        ("control character in name", KNOWN_VKEY.replace("/foo", "/f\x01o"), "key name"),
        ("plus in name", KNOWN_VKEY.replace("/foo", "/f+o"), "expected base64"),
        ("wrong key id", KNOWN_VKEY.replace("530d903a", "530d903b"), "expected key id 530d903a"),
        ("key id in capitals", KNOWN_VKEY.replace("530d903a", "530D903A"), "expected key id 530d903a"),
        ("another name", KNOWN_VKEY.replace("/foo", "/bar"), "expected key id"),
        ("no padding", "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U", "expected base64"),
        ("line break", KNOWN_VKEY + "\n", "expected base64"),
        ("witness key", KNOWN_WITNESS_VKEY, "expected a key of type 0x01, got 0x04"),
        ("short key", "a+" + "00000000+" + base64.b64encode(b"\x01" + bytes(31)).decode(), "expected key id"),
    ],
)
def test_refused_vkeys(name, vkey, expected):
    """A vkey is refused unless each part fits the others."""
    with pytest.raises(NoteError, match=expected):
        Ed25519Verifier.from_vkey(vkey)


def test_vkey_key_size():
    """A key of another size is refused although its id fits."""
    with pytest.raises(NoteError, match="expected 32 bytes, got 31"):
        Ed25519Verifier("a", bytes(31))


def with_line(line, text=KNOWN_TEXT):
    return f"{text}\n{line}".encode()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty", b"", "expected text, an empty line"),
        ("text alone", KNOWN_TEXT.encode(), "expected text, an empty line"),
        ("no signature", f"{KNOWN_TEXT}\n".encode(), "expected text, an empty line"),
        ("no text", f"\n{KNOWN_LINE}".encode(), "expected text, an empty line"),
        ("no empty line", f"{KNOWN_TEXT}{KNOWN_LINE}".encode(), "expected text, an empty line"),
        ("no final newline", KNOWN_NOTE[:-1], "expected a newline"),
        ("carriage return", KNOWN_NOTE.replace(b"\n", b"\r\n"), "control characters"),
        ("tab", KNOWN_NOTE.replace(b" an ", b"\tan "), "control characters"),
        ("NUL", KNOWN_NOTE.replace(b" an ", b"\x00an "), "control characters"),
        ("not UTF-8", KNOWN_NOTE.replace(b" an ", b" \xff "), "expected UTF-8"),
        ("hyphen for dash", with_line(KNOWN_LINE.replace("—", "-")), "em dash"),
        ("text after signature", KNOWN_NOTE + b"more\n", "em dash"),
        ("no name", with_line("—  AAAAAAA=\n"), "key name"),
        ("name with plus", with_line(KNOWN_LINE.replace("/foo", "+foo")), "key name"),
        ("three parts", with_line(KNOWN_LINE.replace("/foo", " foo")), "expected base64"),
        ("not base64", with_line("— example.com/foo !!!!\n"), "expected base64"),
        ("stray bits in base64", with_line("— example.com/foo AAAAAAB=\n"), "stray bits"),
        ("key id alone", with_line("— example.com/foo AAAAAA==\n"), "a key id of 4 bytes and more"),
        ("too many signatures", with_line(KNOWN_LINE * 101), "at most 100 signatures"),
        ("too long", KNOWN_TEXT.encode() * 40_000 + b"\n" + KNOWN_LINE.encode(), "at most 1000000 bytes"),
    ],
)
def test_refused_notes(name, content, expected):
    """What is not a signed note is refused before any signature is checked."""
    with pytest.raises(NoteError, match=expected):
        open_note(content, [Ed25519Verifier.from_vkey(KNOWN_VKEY)])


def test_changed_text_and_signature():
    """A known key's signature that does not fit rejects the note, also beside one that does."""
    key = Ed25519Verifier.from_vkey(KNOWN_VKEY)
    with pytest.raises(BadSignatureError, match=r"example.com/foo\+530d903a does not fit"):
        open_note(KNOWN_NOTE.replace(b"example message", b"example massage"), [key])
    good = sign_note(KNOWN_TEXT, [signer("other")])
    both = add_signatures(good, [Signature(key.name, key.key_id, bytes(64))])
    assert open_note(both, [signer("other").verifier]).text == KNOWN_TEXT
    with pytest.raises(BadSignatureError):
        open_note(both, [signer("other").verifier, key])


@pytest.mark.parametrize("value", [b"\x00", bytes(63), bytes(65), b"\xff" * 64], ids=len)
def test_signatures_of_any_shape_fail(value):
    """Bytes that are no Ed25519 signature fail as signature, not as an error of another kind."""
    key = Ed25519Verifier.from_vkey(KNOWN_VKEY)
    with pytest.raises(BadSignatureError):
        open_note(Note(KNOWN_TEXT, (Signature(key.name, key.key_id, value),)).encode(), [key])


def test_unknown_keys_are_ignored():
    """Signatures by keys that share only the name or only the id with a known one are ignored; alone they do not do."""
    known = signer("log")
    same_name = Signature("log", b"\x00\x00\x00\x00", bytes(64))
    same_id = Signature("gol", known.verifier.key_id, bytes(64))
    note = Note("text\n", (same_name, same_id, same_id, known.sign("text\n"))).encode()
    assert [s.name for s in open_note(note, [known.verifier]).verified] == ["log"]
    with pytest.raises(UnknownKeyError, match=r"got only log\+00000000"):
        open_note(Note("text\n", (same_name, same_id)).encode(), [known.verifier])
    with pytest.raises(UnknownKeyError):
        open_note(note, [])


def test_a_known_key_signs_once():
    """Two signatures by one known key reject the note: which of the two would count?"""
    line = signer().sign("text\n")
    with pytest.raises(NoteError, match="one signature a key"):
        open_note(Note("text\n", (line, line)).encode(), [signer().verifier])


def test_ambiguous_keys():
    """Two known keys with one name and id are a mistake of the caller's."""
    key = Ed25519Verifier.from_vkey(KNOWN_VKEY)

    class Twin:
        name, key_id = key.name, key.key_id

        def verify(self, text, value):
            return True

    with pytest.raises(ValueError, match="expected one key a name and id"):
        open_note(KNOWN_NOTE, [key, Twin()])


def test_sixteen_signatures():
    """A note with sixteen signatures is accepted, all of them checked."""
    signers = [signer(f"log-{number}", number) for number in range(16)]
    opened = open_note(sign_note("text\n", signers), [one.verifier for one in signers])
    assert [signature.name for signature in opened.verified] == [f"log-{number}" for number in range(16)]


def test_text_may_hold_empty_and_signature_like_lines():
    """The last empty line parts text and signatures: what comes before is text, whatever it looks like."""
    text = f"first\n\n{KNOWN_LINE}\nlast\n"
    assert open_note(sign_note(text, [signer()]), [signer().verifier]).text == text


@pytest.mark.parametrize("text", ["", "\n", "no newline", "tab\there\n", "cr\r\n"])
def test_texts_that_are_not_signed(text):
    """Text without final newline or with control characters is not signed."""
    with pytest.raises(NoteError):
        sign_note(text, [signer()])


def test_one_key_under_each_origin():
    """The same private key has another id under another name, so a checkpoint cannot pass for another log's."""
    first, second = signer("lab/acme/main-00000001"), signer("lab/bolt/main-00000001")
    assert first.verifier.named(second.name) == second.verifier
    assert first.verifier.key_id != second.verifier.key_id
    note = sign_checkpoint(Checkpoint(first.name, 1, ROOT), [first])
    with pytest.raises(UnknownKeyError):
        open_note(note, [second.verifier])


def test_checkpoint_text():
    """The checkpoint printed in the specification reads and prints back the same."""
    checkpoint = Checkpoint.parse(KNOWN_CHECKPOINT)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.root.hex().startswith("0ac5186a91863e8e")
    assert checkpoint.text == KNOWN_CHECKPOINT
    assert Checkpoint.parse(KNOWN_CHECKPOINT + "one more\n").extensions == ("one more",)


ROOT_TEXT = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("two lines", "a\n1\n", "origin, size and root"),
        ("no final newline", f"a\n1\n{ROOT_TEXT}", "origin, size and root"),
        ("empty origin", f"\n1\n{ROOT_TEXT}\n", "origin, size and root"),
        ("empty extension", f"a\n1\n{ROOT_TEXT}\n\nb\n", "origin, size and root"),
        ("leading zero", f"a\n01\n{ROOT_TEXT}\n", "leading zeros"),
        ("sign", f"a\n+1\n{ROOT_TEXT}\n", "decimal number"),
        ("negative", f"a\n-1\n{ROOT_TEXT}\n", "decimal number"),
        ("other digits", f"a\n\N{ARABIC-INDIC DIGIT ONE}\n{ROOT_TEXT}\n", "decimal number"),
        ("hexadecimal", f"a\n0x1\n{ROOT_TEXT}\n", "decimal number"),
        ("2^63", f"a\n9223372036854775808\n{ROOT_TEXT}\n", r"less than 2\^63"),
        ("20 digits", f"a\n{10**19}\n{ROOT_TEXT}\n", "decimal number"),
        ("31-byte root", f"a\n1\n{base64.b64encode(bytes(31)).decode()}\n", "expected 32 bytes"),
        ("root in hex", f"a\n1\n{ROOT.hex()}\n", "expected 32 bytes"),
        ("URL alphabet", f"a\n1\n{base64.urlsafe_b64encode(bytes([255] * 32)).decode()}\n", "expected base64"),
    ],
)
def test_refused_checkpoints(name, text, expected):
    """A checkpoint has one spelling."""
    with pytest.raises(NoteError, match=expected):
        Checkpoint.parse(text)


def test_checkpoint_opens_for_its_log_alone():
    """A checkpoint is believed under its own origin and a key of that log; `read_unverified` only says what it claims."""
    note = sign_checkpoint(CHECKPOINT, [signer()])
    assert open_checkpoint(note, origin=ORIGIN, verifiers=[signer().verifier]).checkpoint == CHECKPOINT
    assert read_unverified(note) == CHECKPOINT
    with pytest.raises(UnknownKeyError):
        open_checkpoint(note, origin=ORIGIN, verifiers=[signer(seed=2).verifier])
    foreign = sign_checkpoint(Checkpoint("lab/bolt/main-1a2b3c4d", 1, ROOT), [signer()])
    with pytest.raises(NoteError, match="expected origin 'lab/acme/main-1a2b3c4d'"):
        open_checkpoint(foreign, origin=ORIGIN, verifiers=[signer().verifier])


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("a\nb", 1, ROOT),
        Checkpoint("", 1, ROOT),
        Checkpoint("a", -1, ROOT),
        Checkpoint("a", 1, ROOT[:31]),
        Checkpoint("a", 1, ROOT, ("b\nc",)),
        Checkpoint("a", 1, ROOT, ("",)),
    ],
)
def test_checkpoints_that_are_not_signed(checkpoint):
    """A checkpoint that would read back as another one is not signed."""
    with pytest.raises(NoteError):
        sign_checkpoint(checkpoint, [signer("a")])


def test_origins():
    """An origin has the parts lake, tenant and shard; the lake's own tenant included."""
    assert log_origin("lab", "_lake", "self-00ff00ff") == "lab/_lake/self-00ff00ff"
    assert split_origin(ORIGIN) == ("lab", "acme", "main-1a2b3c4d")
    for parts in (("", "a", "b"), ("a/b", "c", "d"), ("a", "b c", "d"), ("a", "b+", "d"), ("a", "b", "")):
        with pytest.raises(NoteError):
            log_origin(*parts)


def test_rotation_carries_both_signatures():
    """With two known keys both signatures are checked; a verifier with one of them accepts the note too."""
    old, new = signer(seed=1), signer(seed=2)
    note = sign_checkpoint(CHECKPOINT, [old, new])
    for keys in ([old], [new], [old, new]):
        opened = open_checkpoint(note, origin=ORIGIN, verifiers=[key.verifier for key in keys])
        assert len(opened.verified) == len(keys)


def test_cosignature_round_trip():
    """A cosignature is time and signature after the key id, over the checkpoint's text with a header that says so."""
    note = sign_checkpoint(CHECKPOINT, [signer()])
    line = witness().cosign(CHECKPOINT.text, time_seconds=1679315147)
    cosigned = add_signatures(note, [line])
    (found,) = cosignatures(cosigned, [witness().verifier])
    assert (found.witness, found.time_seconds) == ("witness.example", 1679315147)
    assert len(line.value) == 72
    witness().private_key.public_key().verify(
        line.value[8:], b"cosignature/v1\ntime 1679315147\n" + CHECKPOINT.text.encode()
    )
    assert open_checkpoint(cosigned, origin=ORIGIN, verifiers=[signer().verifier]).checkpoint == CHECKPOINT


def test_known_cosignature_time():
    """The time of the cosignature in the specification is the one in its text."""
    line = parse_signature(
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0"
        "xUe+mbIUBkBIfZ+qnA=="
    )
    assert (line.key_id.hex(), int.from_bytes(line.value[:8], "big"), len(line.value)) == ("8d66cf3f", 1679315147, 72)


def test_cosignatures_count_known_witnesses_once():
    """Unknown witnesses are ignored, one key under two names counts once, a false one rejects the note."""
    text = CHECKPOINT.text
    note = sign_checkpoint(CHECKPOINT, [signer()])
    one, alias, other = witness("w1"), witness("w2"), witness("w3", seed=8)
    cosigned = add_signatures(note, [w.cosign(text, time_seconds=7) for w in (one, alias, other)])
    assert cosignatures(cosigned, []) == ()
    assert [c.witness for c in cosignatures(cosigned, [one.verifier, alias.verifier])] == ["w1"]
    assert [c.witness for c in cosignatures(cosigned, [one.verifier, other.verifier])] == ["w1", "w3"]
    forged = add_signatures(note, [Signature("w1", one.verifier.key_id, (8).to_bytes(8, "big") + bytes(64))])
    with pytest.raises(BadSignatureError):
        cosignatures(forged, [one.verifier])
    earlier = one.cosign(text, time_seconds=7)
    redated = Signature("w1", earlier.key_id, (8).to_bytes(8, "big") + earlier.value[8:])
    with pytest.raises(BadSignatureError):
        cosignatures(add_signatures(note, [redated]), [one.verifier])
    with pytest.raises(NoteError, match="origin, size and root"):
        one.cosign("no checkpoint\n", time_seconds=7)


def test_a_note_signature_is_no_cosignature():
    """The two kinds of signature by one private key never pass for each other."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    plain, cosigning = Ed25519Signer("w", private), WitnessSigner("w", private)
    text = CHECKPOINT.text
    assert plain.verifier.key_id != cosigning.verifier.key_id
    assert not plain.verifier.verify(text, cosigning.cosign(text, time_seconds=7).value)
    assert not cosigning.verifier.verify(text, plain.sign(text).value)
    assert not cosigning.verifier.verify(text, b"")


def test_later_signature_replaces_the_same_keys():
    """A witness that cosigns again leaves one line, and the log's own signature stays first."""
    note = sign_checkpoint(CHECKPOINT, [signer()])
    for time_seconds in (7, 8):
        note = add_signatures(note, [witness().cosign(CHECKPOINT.text, time_seconds=time_seconds)])
    assert [s.name for s in parse_note(note).signatures] == [ORIGIN, "witness.example"]
    assert [c.time_seconds for c in cosignatures(note, [witness().verifier])] == [8]


def test_verifier_needs_the_standard_library_and_cryptography_alone():
    """Importing all that an offline verifier needs loads nothing else: it stays small enough to be read."""
    code = (
        "import sys\n"
        "from warehouse.ledger import tlog_proof, proofs, note, checkpoint, cosignature, record\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(names - set(sys.stdlib_module_names)))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('warehouse.')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, env=path_of_packages(), check=False
    )
    assert done.returncode == 0, done.stderr
    packages, modules = done.stdout.splitlines()
    assert set(packages.split()) - {"__main__", "_cffi_backend", "_openssl"} == {"cryptography", "warehouse"}
    assert {m for m in modules.split() if not m.startswith("warehouse.ledger")} == {"warehouse.errors"}


def path_of_packages():
    folders = {str(Path(package.__file__).parents[1]) for package in (cryptography, warehouse)}
    return {"PYTHONPATH": ":".join(folders)}
