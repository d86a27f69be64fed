"""Certificates on backup targets: copied, listed, signed, and what is refused."""

from hashlib import sha256

import pytest

from warehouse.backup.config import BackupConfig
from warehouse.backup.documents import (
    FOLDER,
    KIND,
    LIST_FILE,
    backup_origin,
    mirror_documents,
    open_list,
)
from warehouse.errors import CorruptionError, UnavailableError
from warehouse.lake import make_lake
from warehouse.ledger.errors import BadSignatureError, CertificateError, UnknownKeyError
from warehouse.ledger.note import sign_note
from warehouse.ledger.signing import make_keys

NOW = 1_795_392_000_000_000_000


@pytest.fixture
def lake(tmp_path):
    lake = make_lake(tmp_path / "lake")
    make_keys(lake.keys, now_unix_nano=NOW)
    return lake


@pytest.fixture
def targets(tmp_path):
    found = [tmp_path / "one", tmp_path / "two"]
    for target in found:
        target.mkdir()
    return found


def document(lake, text):
    """A file of `LAKE/certificates`; the mirror looks at its name and its bytes alone."""
    lake.certificates.mkdir(exist_ok=True)
    file = lake.certificates / sha256(text.encode()).hexdigest()
    file.write_text(text)
    return file


def mirror(lake, targets, files):
    mirror_documents(targets, files, lake=lake, lake_name="acme", clock=lambda: NOW)


def listed(lake, target):
    keys = make_keys(lake.keys, now_unix_nano=NOW).verifiers(backup_origin("acme"))
    return open_list((target / LIST_FILE).read_bytes(), keys)


def test_every_target_gets_every_document(lake, targets):
    """Each target holds what was mirrored, byte by byte, and its signed list names it with the count."""
    files = [document(lake, "intent"), document(lake, "certificate")]
    mirror(lake, targets, files)
    for target in targets:
        assert {file.name: file.read_bytes() for file in files} == {
            file.name: file.read_bytes() for file in (target / FOLDER).iterdir() if len(file.name) == 64
        }
        assert sorted(listed(lake, target).sha256) == sorted(file.name for file in files)
        assert listed(lake, target).count == 2


def test_a_target_that_was_away_catches_up(lake, targets):
    """What an earlier call could not bring to a target goes along with the next one."""
    first = document(lake, "first")
    mirror(lake, targets[:1], [first])
    second = document(lake, "second")
    mirror(lake, targets, [second])
    assert set(listed(lake, targets[1]).sha256) == {first.name, second.name}


def test_the_list_never_gets_shorter(lake, targets):
    """A document that was lost in the lake, and even on the target, stays in the list: a restore then misses it."""
    first = document(lake, "first")
    mirror(lake, targets, [first])
    first.unlink()
    (targets[0] / FOLDER / first.name).unlink()
    mirror(lake, targets, [document(lake, "second")])
    assert first.name in listed(lake, targets[0]).sha256


def test_a_document_is_written_again_where_it_is_not_whole(lake, targets):
    """Bytes that are not what their name says, as a bad disk leaves them, are written over."""
    file = document(lake, "first")
    mirror(lake, targets, [file])
    (targets[0] / FOLDER / file.name).write_text("torn")
    mirror(lake, targets, [file])
    assert (targets[0] / FOLDER / file.name).read_text() == "first"


def test_a_list_by_another_key_is_not_believed(lake, targets, tmp_path):
    """Names in a list that this lake did not sign are not taken over; what lies there whole is."""
    other = make_lake(tmp_path / "other")
    make_keys(other.keys, now_unix_nano=NOW)
    mirror(other, targets[:1], [document(other, "theirs")])
    mirror(lake, targets[:1], [document(lake, "mine")])
    assert listed(lake, targets[0]).count == 2


def test_the_target_of_another_lake_is_refused(lake, targets):
    """Two lakes cannot share a target: the second one's certificates would answer for the first."""
    mirror_documents(targets, [document(lake, "x")], lake=lake, lake_name="other", clock=lambda: NOW)
    with pytest.raises(UnavailableError, match="expected certificates of acme/backup, got those of 'other/backup'"):
        mirror(lake, targets, [])


def test_a_target_that_is_not_there_is_not_made_up(lake, targets):
    """A disk that is not mounted is an error and no new folder: the purge must not report success."""
    targets[1].rmdir()
    with pytest.raises(UnavailableError, match="expected a folder that is there, got none"):
        mirror(lake, targets, [document(lake, "x")])
    assert not targets[1].exists()


def test_a_target_that_cannot_be_written_is_named(lake, targets):
    """A write that the disk refuses says which target, and that it may be tried again."""
    (targets[1] / FOLDER).write_text("in the way")
    with pytest.raises(UnavailableError, match=f"backup target {targets[1]}: certificates cannot be written"):
        mirror(lake, targets, [document(lake, "x")])


def test_an_altered_document_is_not_mirrored(lake, targets):
    """A file that is not what its name says stops the call before any list names it."""
    file = document(lake, "x")
    file.write_text("y")
    with pytest.raises(CorruptionError, match="expected the document of that SHA-256"):
        mirror(lake, targets, [file])
    assert not (targets[0] / LIST_FILE).exists()


def signed(lake, text):
    return sign_note(text, make_keys(lake.keys, now_unix_nano=NOW).signers("acme/backup", NOW))


CUT = '{"count":2,"heads":{},"lake":"acme","sha256":["' + "0" * 64 + '"],"time_unix_nano":"1"}'


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(f"acme/backup\n{KIND}\n{CUT}\n", "expected 2 names", id="cut"),
        pytest.param(f"acme/backup\nother\n{CUT}\n", f"expected {KIND}", id="another kind"),
        pytest.param(f"other/backup\n{KIND}\n{CUT.replace(':2', ':1')}\n", "expected the origin", id="another lake"),
        pytest.param(f"acme/backup\n{KIND}\n[]\n", "Expected `object`", id="no object"),
    ],
)
def test_a_list_that_is_none_is_refused(lake, text, error):
    """A list that was cut, or is something else, is named."""
    keys = make_keys(lake.keys, now_unix_nano=NOW).verifiers("acme/backup")
    with pytest.raises(CertificateError, match=error):
        open_list(signed(lake, text), keys)


def test_an_altered_list_is_refused(lake, targets, tmp_path):
    """One name exchanged, and the signature fails; another's key establishes nothing."""
    mirror(lake, targets, [document(lake, "x")])
    content = (targets[0] / LIST_FILE).read_bytes()
    keys = make_keys(lake.keys, now_unix_nano=NOW).verifiers("acme/backup")
    with pytest.raises(BadSignatureError):
        open_list(content.replace(b'"count":1', b'"count":2'), keys)
    other = make_lake(tmp_path / "other")
    with pytest.raises(UnknownKeyError):
        open_list(content, make_keys(other.keys, now_unix_nano=NOW).verifiers("acme/backup"))


def test_without_targets_nothing_is_done(lake):
    """A lake without targets mirrors nothing and fails at nothing."""
    files = [document(lake, "x")]
    before = sorted(lake.path.rglob("*"))
    mirror(lake, [], files)
    assert sorted(lake.path.rglob("*")) == before


@pytest.mark.parametrize(("targets", "error"), [(["backup"], "absolute"), (["/a", "/a"], "each folder once")])
def test_targets_are_absolute_and_named_once(targets, error):
    """A relative target would be another folder for every job that starts elsewhere."""
    with pytest.raises(ValueError, match=error):
        BackupConfig(targets=targets)
