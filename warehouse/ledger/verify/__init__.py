"""Verification of a whole lake: every record, its place in its log, and that none is missing.

`verify_lake` reads the tables and the logs as anybody could who holds a copy of the lake. It trusts only what its caller
brings along: keys of the log, keys of witnesses, and the caller's own memory of earlier checkpoints.
"""

from warehouse.ledger.verify.job import VerifyOptions
from warehouse.ledger.verify.report import LogReport, Result, VerifyReport
from warehouse.ledger.verify.run import verify_lake
from warehouse.ledger.verify.seen import Seen, check_seen, read_seen, update_seen

__all__ = [
    "LogReport",
    "Result",
    "Seen",
    "VerifyOptions",
    "VerifyReport",
    "check_seen",
    "read_seen",
    "update_seen",
    "verify_lake",
]
