"""What a control file may say, key by key."""

import msgspec


class TestConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What satisfies a control: which share of the population must be without exception, and whether it may be empty.

    `empty` says what an empty population means: nothing (`insufficient`), or, where `coverage` counts records of the time, that
    nothing bad happened (`satisfied`).
    """

    __test__ = False  # no test of pytest's

    share: float = 1.0
    empty: str = "insufficient"


class ControlConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One control. Without `sql` it is a mapping: text alone, which produces no finding.

    `about` names the columns by which the next period knows an exception again, such as the credential; by default its record.
    """

    id: str
    title: str
    citation: str
    question: str
    evidence: str
    limits: str
    sql: str | None = None
    coverage: str | None = None
    about: list[str] = []
    test: TestConfig = msgspec.field(default_factory=TestConfig)


class ControlFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file in `LAKE/policies/controls/`: one framework."""

    framework: str
    title: str
    note: str = ""
    controls: list[ControlConfig]
