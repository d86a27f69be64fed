"""Manifest and Delta log of a backup: what they say, and what is refused."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from deltalake import DeltaTable

from tests.rows import MemoryClaims, whole_batch
from warehouse.backup.delta_log import ENTRY, live_actions, log_entry
from warehouse.backup.manifest import (
    KIND,
    Manifest,
    StoredFile,
    StoredLog,
    open_manifest,
    read_unverified,
    sign_manifest,
)
from warehouse.commit import open_stores
from warehouse.delta import set_torn_entry_aside
from warehouse.errors import InputError
from warehouse.lake import make_lake
from warehouse.ledger.errors import BadSignatureError, UnknownKeyError
from warehouse.ledger.note import Ed25519Signer, sign_note
from warehouse.ledger.signing import make_keys
from warehouse.maintenance.log import application_ids
from warehouse.treated import UnsafeKeepAll
from warehouse.writer import WriterConfig, open_writer

SIGNER = Ed25519Signer("acme/backup", Ed25519PrivateKey.from_private_bytes(bytes(32)))
OTHER = Ed25519Signer("acme/backup", Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1"))
MANIFEST = Manifest(
    lake="acme",
    lake_id="00",
    generation=3,
    time_unix_nano="1795392000000000000",
    control="file",
    vkeys=(SIGNER.verifier.vkey,),
    logs=(StoredLog("acme/_lake/self-00000000", 2, "note\n"),),
    documents=("0" * 64,),
    files=(StoredFile("data/tables/spans/x.parquet", 5, "1" * 64), StoredFile("state-3/muniment.yaml", 2, "2" * 64)),
)


def test_a_manifest_reads_back_as_it_was_signed():
    """What was signed is what is read; a file's place in a lake is its path without the target's folder."""
    content = sign_manifest(MANIFEST, [SIGNER])
    assert open_manifest(content, [SIGNER.verifier]) == MANIFEST == read_unverified(content)
    assert [file.lake_path for file in MANIFEST.files] == ["tables/spans/x.parquet", "muniment.yaml"]


def test_a_manifest_by_nobody_known_is_refused():
    """Neither another's signature nor an altered text counts."""
    content = sign_manifest(MANIFEST, [SIGNER])
    with pytest.raises(UnknownKeyError):
        open_manifest(content, [OTHER.verifier])
    with pytest.raises(BadSignatureError):
        open_manifest(content.replace(b'"generation":3', b'"generation":4'), [SIGNER.verifier])


BODY = sign_manifest(MANIFEST, [SIGNER]).decode().split("\n")[2]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(f"acme/backup\nother\n{BODY}\n", f"expected {KIND}", id="another kind"),
        pytest.param(f"other/backup\n{KIND}\n{BODY}\n", "expected origin acme/backup", id="another lake"),
        pytest.param(f"acme/backup\n{KIND}\n{{}}\n", "missing required field", id="empty"),
        pytest.param(f"acme/backup\n{KIND}\n{BODY.replace('tables/spans', '../spans')}\n", "below the target", id="outside"),
        pytest.param(f"acme/backup\n{KIND}\n{BODY.replace('data/tables', '/data/tables')}\n", "below the target", id="absolute"),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(text, error):
    """A signed note that is something else, or that names files outside the target, is named as such."""
    with pytest.raises(InputError, match=error):
        open_manifest(sign_note(text, [SIGNER]), [SIGNER.verifier])


def test_the_log_of_one_entry_describes_the_table(tmp_path):
    """Opened from that entry alone a table has the same files, sizes, statistics, schema, settings and transactions."""
    lake = make_lake(tmp_path / "lake")
    make_keys(lake.keys, now_unix_nano=1)
    stores = open_stores(lake)
    writer = open_writer(
        lake, "w", MemoryClaims(), stores, config=WriterConfig(), clock=lambda: 1, lake_name="acme", redactor=UnsafeKeepAll()
    )  # fmt: skip
    writer.append(whole_batch("a")).result(120)
    writer.stop()
    for name, store in stores.items():
        handle = store.fresh()
        apps = application_ids(store.log, handle.version())
        transactions = {app: handle.transaction_version(app) for app in apps}
        entry = log_entry(handle, live_actions(handle), transactions, time_unix_milli=1)
        copy = tmp_path / "copy" / name / ENTRY
        copy.parent.mkdir(parents=True)
        copy.write_bytes(entry)
        assert set_torn_entry_aside(copy.parent) is None
        assert int(json.loads(entry.split(b"\n")[0])["commitInfo"]["muniment.actions"]) == entry.count(b"\n") - 1
        opened = DeltaTable(str(copy.parents[1]))
        assert opened.version() == 0
        assert opened.schema() == handle.schema()
        assert opened.metadata().configuration == handle.metadata().configuration
        assert opened.metadata().partition_columns == handle.metadata().partition_columns
        assert opened.protocol() == handle.protocol()
        assert {app: opened.transaction_version(app) for app in apps} == transactions
        assert live_actions(opened).sort("path").equals(live_actions(handle).sort("path"))
