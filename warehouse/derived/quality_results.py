"""Table `quality_results`: what the checks of a day's records found, and where the records are that they found."""

from warehouse.tables.columns import DAY, INT, TEXT, Column, Table

QUALITY_RESULTS = Table(
    name="quality_results",
    doc="results of data quality checks: a row a check and day, and one more for each sender and shard with unexpected records",
    columns=(
        Column("tenant_id", TEXT, "whose records were checked"),
        Column("day", DAY, "UTC date of the records"),
        Column("time_unix_nano", INT, "begin of the day"),
        Column("end_unix_nano", INT, "end of the day"),
        Column("check_name", TEXT, "which check"),
        Column("source_table", TEXT, "the table whose records were checked"),
        Column(
            "method",
            TEXT,
            "how: `sql` counts every record, `suite` looks at a sample of at most 10,000, `completeness` compares them with what senders say",
        ),
        Column(
            "query", TEXT, "SHA-256 of how it looked; `muniment quality show --json` has the SQL and the expectations"
        ),
        Column(
            "outcome",
            TEXT,
            "passed, failed, errored (nothing is known), empty (nothing to check) or unmeasured (no sender's counters say what there should "
            "be); of a sender's row that of the check, or unmeasured",
        ),
        Column(
            "sender",
            TEXT,
            "who recorded the unexpected records; in completeness the key, service.name and service.instance.id; NULL in the row of the "
            "whole check, and where the table does not say",
        ),
        Column("shard", TEXT, "the shard in whose log they are; NULL in the row of the whole check"),
        Column(
            "first_index", INT, "lowest log index of an unexpected record of the sender; NULL where none, or no log"
        ),
        Column("last_index", INT, "highest log index of an unexpected record of the sender"),
        Column(
            "total",
            INT,
            "records looked at that the check applies to, in completeness those that there should be; NULL where it errored or is unmeasured",
        ),
        Column(
            "unexpected",
            INT,
            "those of them that are not as expected, or missing; NULL where it errored or is unmeasured",
        ),
        Column("allowed", INT, "how many unexpected records the check lets pass; NULL in a sender's row"),
        Column("error", TEXT, "the kind of error, where it errored"),
        Column("computed_unix_nano", INT, "when it was checked"),
    ),
    ledgered=False,
    assigned=(),
    sort_by=("check_name", "method", "sender", "shard"),
    bloom=(),
)
