"""Keys that a verifier brings along: as text or in files; anything else is bad input, with what was got and expected."""

import pytest

from muniment.cli.verifier_keys import WITNESS_HINT, check_quorum, read_keys
from warehouse.errors import InputError
from warehouse.ledger.cosignature import WitnessVerifier
from warehouse.ledger.note import Ed25519Verifier

KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"


def read(*given):
    return [key.vkey for key in read_keys(given, Ed25519Verifier.from_vkey, "--vkey")]


def test_keys_are_given_as_text_or_file(tmp_path):
    """One a line in a file, in order; empty lines and comments are none."""
    (tmp_path / "keys").write_text(f"# of the auditor\n\n  {KEY}  \n  # indented\n{KEY}\n")
    assert read(str(tmp_path / "keys"), KEY) == [KEY, KEY, KEY]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00garbage", "expected a file of keys, one a line, got bytes that are no text"),
        (b"", "got one without a key"),
        (b"# nothing else\n", "got one without a key"),
        (KEY.encode() + b"\nnonsense\n", r"line 2: expected a key name\+id\+key"),
        (KEY.replace("foo", "bar").encode(), "line 1: .*expected key id .*got '530d903a'"),
    ],
    ids=["no text", "empty", "comments alone", "a line that is no key", "a key under another name"],
)
def test_files_without_keys(tmp_path, content, message):
    """The message names option, file and line."""
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(str(tmp_path / "keys"))
    assert str(caught.value).startswith(f"--vkey {str(tmp_path)[:20]}")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("not-there", "expected a key name.* got neither"),
        ("", "got nothing"),
        ("/", "directory"),
        ("a" * 300, "too long"),
        ("a\0b", "null"),
        ("x+00000000+AAAA", "expected a key of type 0x01, got 0x00"),
    ],
)
def test_arguments_that_are_no_keys(argument, message):
    """Names that no file can have too: no error of the file system shows through."""
    with pytest.raises(InputError, match=message):
        read(argument)


def test_a_quorum_needs_as_many_witnesses():
    """One key under two names is one witness."""
    key = bytes(32)
    witnesses = [WitnessVerifier("a", key), WitnessVerifier("b", key)]
    check_quorum(1, witnesses)
    with pytest.raises(InputError, match="--require-witness 2: expected as many --witness keys, got 1"):
        check_quorum(2, witnesses)


def test_a_key_of_a_log_is_none_of_a_witness():
    """The hint says where a witness's key comes from."""
    with pytest.raises(InputError, match="expected a key of type 0x04, got 0x01") as caught:
        read_keys([KEY], WitnessVerifier.from_vkey, "--witness", hint=WITNESS_HINT)
    assert "muniment witness key" in caught.value.hint
