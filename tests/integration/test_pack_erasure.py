"""Stored packs when a person is erased, and when a lake is backed up and restored: what goes, what stays, what comes back."""

import shutil
import time

import pytest

from muniment.certificates import list_documents
from muniment.erasing import carry_out, finish_erasures
from muniment.erasure_notes import read_notes
from muniment.erasure_plan import foresee_erasure
from muniment.evidence import build_pack
from muniment.holding import place_hold, release_hold
from muniment.restoring import RestoreOptions, restore
from muniment.wiring import command_context
from retention.holds import HoldScope
from tests.integration.test_erasing import (
    ANN,
    BOB,
    DAY_NANOS,
    DAYS,
    NO_MINIMUMS,
    WITH_MINIMUM,
    exports,
    made,
    order,
    use_policy,
)
from warehouse.backup.making import make_backup
from warehouse.clock import system_clock
from warehouse.errors import UnavailableError
from warehouse.ledger.certificates import PurgedIndices
from warehouse.ledger.signing import read_signing_keys
from warehouse.packs import pack_files, pack_holds_records, pack_names_words

__all__ = ["exports", "made"]
NAMES_HER, NAMES_NOBODY, RUNS = "pci-dss-2026-10.zip", "hipaa-2026-10.zip", "eu-ai-act-2026-10.zip"


@pytest.fixture(scope="module")
def packed(made, tmp_path_factory):
    """The lake with three stored packs of the days that its records are from."""
    lake = shutil.copytree(made, tmp_path_factory.mktemp("packed") / "lake")
    context = command_context(lake)
    use_policy(context, NO_MINIMUMS)
    folder = lake / "packs" / "acme"
    folder.mkdir(parents=True)
    now = time.time_ns()
    for name in (NAMES_HER, NAMES_NOBODY, RUNS):
        build_pack(
            context, framework=name.removesuffix("-2026-10.zip"), tenant="acme", from_unix_nano=now - (DAYS + 2) * DAY_NANOS,
            to_unix_nano=now - DAY_NANOS // 2, out=folder / name,
        )  # fmt: skip
    context.control.close()
    return lake


@pytest.fixture
def context(packed, tmp_path):
    """A copy of it."""
    context = command_context(shutil.copytree(packed, tmp_path / "lake"))
    yield context
    context.control.close()


def names(context):
    """The packs that are there."""
    return [file.name for file in pack_files(context.lake, "acme")]


def purged(context):
    """Packs whose deletion is on record, with the erasure that it names."""
    sql = (
        "select resource_id, attributes ->> '$.\"muniment.erasure\"' as erasure from audit_events "
        "where event_name = 'retention.purged' and resource_type = 'pack'"
    )
    with context.session(["acme"]) as session:
        return [(row["resource_id"], row["erasure"]) for row in session.run_trusted(sql).to_pylist()]


def test_a_pack_that_holds_what_was_erased_goes(context):
    """It is foreseen by name, deleted, on record with the erasure; a pack that names nobody stays."""
    person, note, _, _ = order(context)
    assert NAMES_HER in foresee_erasure(context, person).packs
    assert NAMES_NOBODY not in foresee_erasure(context, person).packs
    done = carry_out(context, note, value=ANN)
    assert NAMES_HER in done.packs
    assert names(context) == [NAMES_NOBODY]
    assert (f"acme/{NAMES_HER}", note.id) in purged(context)
    assert read_notes(context) == []


def test_a_pack_is_not_made_of_what_is_erased_while_it_is_built(context):
    """The erasure looked for packs before this one was there: it is not left in its place, and can be built again."""
    _, note, _, _ = order(context)
    now = time.time_ns()
    out = context.lake.path / "packs" / "acme" / "pci-dss-2026-11.zip"
    period = {"from_unix_nano": now - (DAYS + 2) * DAY_NANOS, "to_unix_nano": now - DAY_NANOS // 2}

    def erase(text):
        if text == "writing the report":
            carry_out(context, note, value=ANN)

    with pytest.raises(UnavailableError, match="records were deleted while the pack was built"):
        build_pack(context, framework="pci-dss", tenant="acme", out=out, step=erase, **period)
    assert names(context) == [NAMES_NOBODY]
    assert not pack_names_words(build_pack(context, framework="pci-dss", tenant="acme", out=out, **period).file, [ANN])


def test_a_hold_keeps_packs_until_it_is_released(context):
    """What a hold keeps is named with it, and goes when the erasure is carried on after its release."""
    placed = place_hold(context, tenant="acme", scope=HoldScope(agents=("somebody-else",)), reason="case 7")
    hold = placed.placed.hold.id
    _, note, _, _ = order(context)
    done = carry_out(context, note, value=ANN)
    assert done.packs == ()
    assert {(each.by, each.name, each.reason) for each in done.staying if each.table == "packs"} == {
        ("hold", hold, NAMES_HER),
        ("hold", hold, RUNS),
    }
    assert len(names(context)) == 3
    assert [each.id for each in read_notes(context)] == [note.id]
    release_hold(context, hold, reason="closed")
    (carried,) = finish_erasures(context, "acme")
    assert sorted(carried.packs) == sorted([NAMES_HER, RUNS])
    assert names(context) == [NAMES_NOBODY]
    assert read_notes(context) == []


def test_a_pack_stays_with_records_that_the_law_keeps(context):
    """Spans stay for their minimum: the pack that holds nothing else of the person stays too, and says why."""
    use_policy(context, WITH_MINIMUM)
    _, note, _, _ = order(context)
    done = carry_out(context, note, value=ANN)
    assert done.packs == (NAMES_HER,)
    (pack,) = [each for each in done.staying if each.table == "packs"]
    assert (pack.by, pack.name, pack.reason) == ("minimum", "floor", RUNS)
    assert names(context) == [RUNS, NAMES_NOBODY]


def test_records_in_a_pack_are_found_by_number(context):
    """Those of an erasure that a certificate names, in populations and proofs; not by the numbers of another log."""
    pack = context.lake.path / "packs" / "acme" / NAMES_HER
    copied = shutil.copy(pack, context.lake.path / "copy.zip")
    person, note, _, _ = order(context)
    assert pack_names_words(pack, [person.token.upper()])
    assert not pack_names_words(pack, ["sub_" + "a" * 26])
    carry_out(context, note, value=ANN)
    documents = [each.stored.document for each in list_documents(context, "acme")]
    (shard,) = {run.shard for each in documents for run in each.deleted.runs}
    found = PurgedIndices.of_log(documents, tenant="acme", shard=shard)
    assert pack_holds_records(copied, {shard: found})
    assert not pack_holds_records(copied, {"another": found})
    assert not pack_holds_records(context.lake.path / "packs" / "acme" / NAMES_NOBODY, {shard: found})


def test_what_is_no_pack_stops_an_erasure(context):
    """Whether it names the person cannot be told: the erasure says so and is carried on later."""
    broken = context.lake.path / "packs" / "acme" / "gdpr-2026-10.zip"
    broken.write_bytes(b"no archive")
    _, note, _, _ = order(context)
    with pytest.raises(UnavailableError, match="expected an evidence pack"):
        carry_out(context, note, value=ANN)
    broken.unlink()
    (done,) = finish_erasures(context, "acme")
    assert NAMES_HER in done.packs


def back_up(context, target):
    """A backup of the lake."""
    target.mkdir(exist_ok=True)
    name = context.settings.lake
    return make_backup(context.lake, target, lake_name=name, control=context.lake.control_file, clock=context.clock)


def restored(context, target, to):
    """The lake made of the backup."""
    keys = read_signing_keys(context.lake.keys).verifiers(context.settings.lake)
    return restore(target, to, RestoreOptions(vkeys=keys), clock=system_clock)


def test_packs_are_backed_up_and_come_back(context, tmp_path):
    """To the byte, under their own names; a pack that was built anew, as large as before, is another file of the backup."""
    folder = context.lake.path / "packs" / "acme"
    back_up(context, tmp_path / "target")
    assert sum("/packs/acme/" in file.path for file in back_up(context, tmp_path / "target").manifest.files) == 3
    content = bytearray((folder / NAMES_NOBODY).read_bytes())
    content[-1] ^= 1
    (folder / NAMES_NOBODY).write_bytes(bytes(content))
    back_up(context, tmp_path / "target")
    restored(context, tmp_path / "target", tmp_path / "new")
    for name in (NAMES_HER, NAMES_NOBODY, RUNS):
        assert (tmp_path / "new" / "packs" / "acme" / name).read_bytes() == (folder / name).read_bytes()
    assert sorted(file.name for file in (tmp_path / "new" / "packs" / "acme").iterdir()) == sorted(
        [NAMES_HER, NAMES_NOBODY, RUNS]
    )


def test_packs_of_a_tenant_in_which_somebody_was_erased_do_not_come_back(context, tmp_path):
    """Nobody can say which of them name the person, so none is restored, and the restore says so."""
    settings = context.lake.path / "muniment.yaml"
    target = tmp_path / "target"
    back_up(context, target)
    settings.write_text(settings.read_text() + f"\nbackup: {{targets: ['{target}']}}\n")
    erasing = command_context(context.lake.path)
    _, note, _, _ = order(erasing, BOB)
    carry_out(erasing, note, value=BOB)
    done = restored(erasing, target, tmp_path / "new")
    assert not (tmp_path / "new" / "packs" / "acme").exists()
    assert any("packs of acme are not restored" in each for each in done.notes)
