"""Counters of senders' SDKs against what came: OpenTelemetry's semantic conventions for SDK metrics (`otel.sdk.*`).

What an SDK counts is compared with the records whose own times lie in what the counters cover, on the sender's clock alone. At both
ends of that time it is not known which records were counted: a batch waits in a queue before it is sent. So the records that ended up
to a minute from an end count as present when it is asked what is missing, and as absent when it is asked what came in excess: what is
said to be missing is missing, and at most `border` more is.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.quality.finding import Finding, Place, Sender, places_of, sql_of
from warehouse.clock import NANOS_PER_DAY
from warehouse.query import QuerySession

BORDER_NS = 60_000_000_000
"""A batch leaves an SDK's queue after 5 s, and its export ends after 10 s more where nobody set it otherwise; retried ones take longer."""
KINDS = ("spans", "logs", "metrics")
QUERIES = (("counters", "said"), ("counters", "records", "arrived"), ("counters", "records", "present"))
_EPOCH = dt.date(1970, 1, 1)
_NOBODY = "no counters"
_ONE_POINT = "one point of each counter: nothing to compare it with"
_SEVERAL = "several destinations, and none that counts them together"
_SURPLUS = "more came than the counters say"


@dataclass
class Said:
    """What one sender's counters of one kind of records rose by, by role, destination and kind of error."""

    rises: dict[str, dict[str, dict[str, int]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(dict)))
    covered: set[str] = field(default_factory=set)
    open: int = 0
    from_unix_nano: int | None = None
    to_unix_nano: int | None = None
    places: set[Place] = field(default_factory=set)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in a row of `said.sql`."""
        if row["role"] == "open":
            self.open += row["level"]
            return
        errors = self.rises[row["role"]][row["destination"]]
        errors[row["error"] or ""] = errors.get(row["error"] or "", 0) + row["increase"]
        if row["covered"]:
            self.covered.add(row["role"])
            begins, ends = row["from_unix_nano"], row["to_unix_nano"]
            self.from_unix_nano = begins if self.from_unix_nano is None else min(self.from_unix_nano, begins)
            self.to_unix_nano = ends if self.to_unix_nano is None else max(self.to_unix_nano, ends)
        self.places.add(Place(row["shard"], None, None))

    def basis(self) -> str | None:
        """The counters to go by: those nearest to the receiver that count each record once. None where there are none."""
        once = {role for role in self.covered if len(self.rises[role]) == 1}
        if "exported" in once and len(self.rises["processed"]) <= 1:
            return "exported"
        if "processed" in once and "exported" not in self.covered:
            return "processed"
        return next((role for role in ("made", "exported") if role in once), None)

    def count(self, role: str) -> tuple[int, dict[str, int]]:
        """How many records went well by the counters of a role, and how many did not by kind of error."""
        well, errors = 0, defaultdict[str, int](int)
        for destination in self.rises[role].values():
            well += destination.get("", 0)
            for error, number in destination.items():
                if error and number:
                    errors[error] += number
        return well, dict(errors)


@dataclass(frozen=True)
class Account:
    """Records of one sender: what its SDK says of them, and what came.

    Attributes:
        sent: those that went well by the sender's counters, or that it made where nothing nearer to the receiver counts.
        failed: those whose export failed; some may have come all the same, as when an answer was lost.
        dropped: those that were thrown away before any export.
        arrived: those that came, up to a minute before the time that the counters cover too.
        certain: those of them of which it is sure that they were counted.
    """

    sent: int
    failed: int = 0
    dropped: int = 0
    arrived: int = 0
    certain: int = 0

    @property
    def said(self) -> int:
        """How many there should be."""
        return self.sent + self.failed + self.dropped

    @property
    def missing(self) -> int:
        """How many are missing for sure: in transit, of a failed export that did not come, or dropped."""
        in_transit = max(0, self.sent - self.arrived)
        not_sent = max(0, self.failed - max(0, self.arrived - self.sent))
        return in_transit + not_sent + self.dropped

    @property
    def surplus(self) -> int:
        """How many came for sure that the counters do not know of."""
        return max(0, self.certain - self.sent - self.failed)


def find_uncounted(session: QuerySession, day: dt.date, until_unix_nano: int) -> list[Finding]:
    """Reconcile the SDK counters of every sender of a UTC day with its records; points after `until_unix_nano` are left out.

    Raises:
        QueryError: the records cannot be read.
    """
    since = ((day - _EPOCH).days - 1) * NANOS_PER_DAY
    counted = {"day": day, "since": since, "until": until_unix_nano}
    said: dict[tuple[str, Sender], Said] = defaultdict(Said)
    for row in session.query(sql_of(*QUERIES[0]), counted).to_pylist():
        said[row["kind"], Sender.of(row)].add(row)
    arrived: dict[tuple[str, Sender, str], list[dict[str, Any]]] = defaultdict(list)
    for row in session.query(sql_of(*QUERIES[1]), counted | {"border": BORDER_NS}).to_pylist():
        arrived[row["kind"], Sender.of(row), row["role"]].append(row)
    present: dict[tuple[str, Sender], list[dict[str, Any]]] = defaultdict(list)
    for row in session.query(sql_of(*QUERIES[2]), counted).to_pylist():
        present[row["kind"], Sender.of(row)].append(row)
    findings = []
    for kind, sender in sorted({*said, *present}):
        words = said.get((kind, sender), Said())
        basis = words.basis()
        if basis is None:
            findings.append(_unmeasured(kind, sender, words, present[kind, sender]))
        else:
            findings.append(_reconciled(kind, sender, words, basis, arrived[kind, sender, basis]))
    return findings


def check_name(kind: str) -> str:
    """The name of the check of a kind of records."""
    return f"completeness-{kind}-counted"


def _unmeasured(kind: str, sender: Sender, words: Said, rows: list[dict[str, Any]]) -> Finding:
    reason = _SEVERAL if words.covered else _ONE_POINT if words.rises else _NOBODY
    arrived = _sum(rows, "arrived")
    places = places_of(rows) or tuple(words.places)
    return Finding(check_name(kind), sender, arrived, None, places, {"reason": reason, "arrived": arrived})


def _reconciled(kind: str, sender: Sender, words: Said, basis: str, rows: list[dict[str, Any]]) -> Finding:
    sent, failures = words.count(basis)
    drops = words.count("processed")[1] if basis != "made" and len(words.rises["processed"]) <= 1 else {}
    if basis == "processed":
        failures = {}
    still_open = words.open if basis == "made" else 0
    account = Account(
        sent=max(0, sent - still_open),
        failed=sum(failures.values()),
        dropped=sum(drops.values()),
        arrived=_sum(rows, "arrived"),
        certain=_sum(rows, "certain"),
    )
    unknown = account.surplus > 0 and account.missing == 0
    details = {
        "basis": basis,
        "sent": account.sent,
        "failed": account.failed,
        "dropped": account.dropped,
        "open": still_open,
        "errors": failures | drops,
        "arrived": account.arrived,
        "border": account.arrived - account.certain,
        "surplus": account.surplus,
        "from_unix_nano": words.from_unix_nano,
        "to_unix_nano": words.to_unix_nano,
    } | ({"reason": _SURPLUS} if unknown else {})
    places = places_of(rows) or tuple(sorted(words.places, key=lambda place: place.shard))
    return Finding(check_name(kind), sender, account.said, None if unknown else account.missing, places, details)


def _sum(rows: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(row[name] for row in rows)
