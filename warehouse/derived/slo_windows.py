"""Table `slo_windows`: how many events were good, counted by window, and from which records."""

from warehouse.tables.columns import DAY, INT, TEXT, Column, Table

SLO_WINDOWS = Table(
    name="slo_windows",
    doc="counts of events for service-level objectives: a row an indicator, window and shard",
    columns=(
        Column("tenant_id", TEXT, "whose records were counted"),
        Column("day", DAY, "UTC date of the window"),
        Column("time_unix_nano", INT, "begin of the window"),
        Column("end_unix_nano", INT, "end of the window"),
        Column("sli", TEXT, "indicator, with the bound of its good values where it has one"),
        Column(
            "query", TEXT, "SHA-256 of everything that decides what is counted; `muniment slo list --json` has the SQL"
        ),
        Column("shard", TEXT, "the shard in whose log the counted records are"),
        Column("first_index", INT, "lowest log index of a counted record"),
        Column("last_index", INT, "highest log index of a counted record"),
        Column("total", INT, "events that count"),
        Column("good", INT, "those of them that were good"),
        Column("not_valid", INT, "events of which nobody can say whether they were good: neither good nor bad"),
        Column("late", INT, "events that count and came after the window had ended and been counted"),
        Column("computed_unix_nano", INT, "when its counts changed last"),
    ),
    ledgered=False,
    assigned=(),
    sort_by=("sli", "query", "time_unix_nano", "shard"),
    bloom=(),
)
