"""Rotating the signing key of a real lake: signatures, the event, interruptions, running collectors, compromise."""

import pytest

from muniment import rotating
from muniment.rotating import rotate_signing_key
from warehouse.commit import open_stores
from warehouse.errors import UnavailableError
from warehouse.ledger import keeper
from warehouse.ledger.checkpoint import open_checkpoint, read_unverified
from warehouse.ledger.rotation import is_acceptable, read_rotations, stolen_sizes
from warehouse.ledger.signing import read_signing_keys, write_keys
from warehouse.own_events import OwnEvent, own_event_records
from warehouse.query import open_session
from warehouse.writer import WriterConfig, open_writer

MONTH = 30 * 86_400


class PowerCut(BaseException):
    """The process ends here."""


def keys_of(context):
    return read_signing_keys(context.lake.keys)


def opened(context, known):
    """Every log's checkpoint as a verifier with these keys finds it."""
    found = {}
    for file in sorted((context.lake.path / "ledger").glob("*/*/checkpoint")):
        origin = read_unverified(file.read_bytes()).origin
        verifiers = [verifier.named(origin) for verifier in known]
        found[origin.split("/")[1]] = open_checkpoint(file.read_bytes(), origin=origin, verifiers=verifiers)
    return found


def rotations(context):
    """What the lake's own log tells of rotations."""
    with open_session(
        context.lake.path, tenants=["_lake"], principal=context.principal, settings=context.settings.query
    ) as session:
        rows = session.run_trusted(
            "select attributes from audit_events where event_name = 'key.rotated' order by log_index"
        )
    return read_rotations(rows.column("attributes").to_pylist())


def assert_all_acceptable(context):
    told = rotations(context)
    for checkpoint in opened(context, keys_of(context).verifiers("tools")).values():
        assert is_acceptable(checkpoint.checkpoint, checkpoint.verified, told)


def test_during_the_overlap_old_and_new_key_open_every_checkpoint(context, record):
    """Who knows either key can go on, in logs that grow and in those that do not."""
    (old,) = keys_of(context).verifiers("tools")
    rotated = rotate_signing_key(context, compromised=False, overlap_seconds=MONTH)
    new = keys_of(context).verifiers("tools")[0]
    assert rotated.vkeys == [new.vkey, old.vkey]
    record("acme", 5)
    for known in ([old], [new]):
        assert set(opened(context, known)) == {"_lake", "acme"}
    assert_all_acceptable(context)


def test_the_event_lists_the_sizes_at_the_old_keys_end(context):
    """300 records of the tenant, and one log.opened each for its log and the lake's own."""
    old = keys_of(context).keys[0].private_key.public_key().public_bytes_raw()
    rotate_signing_key(context, compromised=False, overlap_seconds=MONTH)
    (told,) = rotations(context)
    assert {name.split("/")[0]: size for name, size in told.sizes.items()} == {"_lake": 2, "acme": 300}
    assert told.old_key == old
    assert told.new_key == keys_of(context).keys[0].private_key.public_key().public_bytes_raw()
    assert not told.compromised


def test_a_thief_of_the_old_key_lengthens_no_log(context, record):
    """After the overlap a longer checkpoint by the old key alone is not acceptable."""
    old_keys = keys_of(context)
    rotate_signing_key(context, compromised=False, overlap_seconds=0)
    record("acme", 1)
    head = opened(context, keys_of(context).verifiers("tools"))["acme"].checkpoint
    signatures = [signer.sign(head.text) for signer in old_keys.signers(head.origin, 0)]
    assert not is_acceptable(head, signatures, rotations(context))
    assert_all_acceptable(context)


def test_a_compromised_key_signs_nothing_any_more(context):
    """Every checkpoint has the new signature alone; what came before rests on the stolen key all the same."""
    (old,) = keys_of(context).verifiers("tools")
    acme_before = opened(context, [old])["acme"].checkpoint
    rotated = rotate_signing_key(context, compromised=True, overlap_seconds=MONTH)
    assert rotated.compromised
    found = opened(context, keys_of(context).verifiers("tools"))
    assert all(len(checkpoint.verified) == 1 for checkpoint in found.values())
    assert found["acme"].checkpoint == acme_before
    told = rotations(context)
    assert [size for _, size in stolen_sizes(acme_before, found["acme"].verified, told)] == [300]
    (at_rotation,) = (size for _, size in stolen_sizes(found["_lake"].checkpoint, found["_lake"].verified, told))
    assert at_rotation == found["_lake"].checkpoint.size - 1  # the event itself is the new key's
    assert_all_acceptable(context)


STEPS = {
    "before the event": "_record",
    "after the event": "_finish",
    "before the checkpoints are signed again": "_sign_all_again",
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_a_rotation_cut_off_between_two_steps_leaves_acceptable_checkpoints_and_goes_on(
    context, record, monkeypatch, step
):
    """At no instant is a checkpoint rejected, and the next rotation finishes with the same new key."""

    def power_cut(*_args, **_kwargs):
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(rotating, step, power_cut)
        with pytest.raises(PowerCut):
            rotate_signing_key(context, compromised=False, overlap_seconds=MONTH)
    made = keys_of(context)
    assert len(made.keys) == 2
    record("acme", 3)
    assert_all_acceptable(context)
    if made.rotating:
        rotated = rotate_signing_key(context, compromised=False, overlap_seconds=MONTH)
        assert rotated.resumed
        assert rotated.vkeys == [verifier.vkey for verifier in made.verifiers("tools")]
        assert_all_acceptable(context)
    assert not keys_of(context).rotating
    assert len(opened(context, keys_of(context).verifiers("tools")[:1])) == 2


def test_a_rotation_that_cannot_be_recorded_is_refused(context, monkeypatch):
    """The old key stays in force."""

    def refuse(*_args, **_kwargs):
        raise UnavailableError("no")

    monkeypatch.setattr(context.recorder, "record", refuse)
    with pytest.raises(UnavailableError):
        rotate_signing_key(context, compromised=False, overlap_seconds=MONTH)
    assert keys_of(context).keys[-1].ends_unix_nano is None
    assert rotations(context) == []


def test_a_log_whose_tiles_lack_the_signed_root_is_not_signed_again(context, log_folder):
    """A rotation vouches for nothing that it cannot see; the others are signed."""
    for tile in (log_folder("acme") / "tile/0").rglob("*"):
        if tile.is_file():
            tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])
    before = (log_folder("acme") / "checkpoint").read_bytes()
    rotated = rotate_signing_key(context, compromised=False, overlap_seconds=MONTH)
    assert "do not have the signed root" in rotated.failed[0]
    assert (log_folder("acme") / "checkpoint").read_bytes() == before


def test_a_checkpoint_that_no_key_of_the_lake_signed_is_named(context, log_folder):
    """It is neither listed in the event nor signed again."""
    file = log_folder("acme") / "checkpoint"
    file.write_bytes(file.read_bytes().replace(b"\n300\n", b"\n299\n"))
    rotated = rotate_signing_key(context, compromised=False, overlap_seconds=MONTH)
    assert "does not fit" in rotated.failed[0]
    assert not any(name.startswith("acme/") for name in rotations(context)[0].sizes)


@pytest.fixture
def running(context):
    """A writer of the shard `main` that holds its lock, as a collector does."""
    writer = open_writer(
        context.lake,
        "main",
        context.claims,
        open_stores(context.lake),
        config=WriterConfig(),
        clock=context.clock,
        lake_name="tools",
        redactor=context.redactor,
    )

    def write(tenant):
        events = [OwnEvent(tenant, "control.reviewed", "muniment:test")]
        writer.append(context.redactor.treat(own_event_records(events, now_unix_nano=context.clock()))).result(60)
        writer.flush()

    yield write
    writer.stop()


def test_a_running_shard_signs_its_idle_logs_again_with_its_next_commit(context, running):
    """The rotation leaves them to the process that writes them, which takes the new key up by itself."""
    running("idle")
    running("busy")
    rotated = rotate_signing_key(context, compromised=True, overlap_seconds=0)
    assert {origin.split("/")[1] for origin in rotated.left} == {"_lake", "busy", "idle"}
    running("busy")
    new = keys_of(context).verifiers("tools")[:1]
    assert set(opened(context, new)) >= {"busy", "idle", "acme", "_lake"}
    assert_all_acceptable(context)


def test_a_checkpoint_written_while_the_key_file_is_replaced_carries_both_signatures(context, record, monkeypatch):
    """The writer looks again before it goes on: the sizes that a rotation lists are read after the replacement."""
    (old,) = keys_of(context).verifiers("tools")
    replaced = []

    def replace_files(files):
        files = list(files)
        if not replaced:
            begun = keys_of(context).begin_rotation(now_unix_nano=context.clock())
            write_keys(context.lake.keys, begun)
            replaced.append(begun)
        keeper_replace_files(files)

    keeper_replace_files = keeper.replace_files
    monkeypatch.setattr(keeper, "replace_files", replace_files)
    record("acme", 1)
    for known in (old, replaced[0].verifiers("tools")[0]):
        assert opened(context, [known])["acme"].checkpoint.size == 301
