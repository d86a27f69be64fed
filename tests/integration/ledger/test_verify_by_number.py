"""A verification by number: every index is accounted for, audit events are held against their entries, other rows are not read."""


def first(lake, table):
    """The lowest index of a table's first file."""
    return lake.indices(table, 0)[0]


def test_it_counts_what_the_whole_one_counts(pristine, findings):
    """Of an undamaged lake both say the same."""
    whole, counted = pristine.verify(), pristine.verify(by_number=True)
    assert findings(counted) == []
    assert counted.result == whole.result
    assert [(log.tenant, log.shard, log.size, log.present) for log in counted.logs] == [
        (log.tenant, log.shard, log.size, log.present) for log in whole.logs
    ]


def test_what_is_missing_of_any_table_is_named(lake, findings):
    """A row of each table, gone."""
    gone = sorted(first(lake, table) for table in ("spans", "audit_events", "logs"))
    lake.delete_rows(*gone)
    assert findings(lake.verify(by_number=True)) == sorted(
        (("acme/main", "missing", index, index) for index in gone), key=str
    )


def test_rows_above_the_seal_and_twice_are_named(lake, findings):
    """An index that no seal promises, and one with two rows."""
    _, file = lake.find(first(lake, "spans"))
    lake.rewrite(file, lambda rows: [*rows, rows[0], rows[1] | {"log_index": 5_000}])
    kinds = {kind for _, kind, _, _ in findings(lake.verify(by_number=True))}
    assert kinds == {kind for _, kind, _, _ in findings(lake.verify())}


def test_altered_audit_events_are_named_and_other_rows_are_not_read(lake, findings):
    """What a span says is for the whole verification; what an audit event says is not left open."""
    span, event = first(lake, "spans"), first(lake, "audit_events")
    lake.change_row(span, name="forged")
    assert findings(lake.verify(by_number=True)) == []
    assert findings(lake.verify()) == [("acme/main", "altered", span, span)]
    lake.change_row(event, actor_id="forged")
    assert findings(lake.verify(by_number=True)) == [("acme/main", "altered", event, event)]


def test_a_changed_entry_is_named(lake, findings):
    """Entries and tiles are checked up to the signed root all the same."""
    bundle = next(file for file in sorted((lake.log() / "tile" / "entries").rglob("*")) if file.is_file())
    content = bytearray(bundle.read_bytes())
    content[10] ^= 1
    bundle.write_bytes(bytes(content))
    assert "altered-tile" in {kind for _, kind, _, _ in findings(lake.verify(by_number=True))}
