"""What people decided on controls: dispositions of exceptions, and reviews, as Muniment itself recorded them.

Only what a principal of this lake did through Muniment counts: nobody can send these names (`warehouse.catalogue.is_own`), and a
row that was imported under one of them, before they were reserved, does not bear the peer `local`.
"""

from importlib import resources

import pyarrow as pa

from warehouse.query import QuerySession

DISPOSED, REVIEWED = "exception.disposed", "control.reviewed"
"""Names of the two events."""


def control_decisions(session: QuerySession, framework: str) -> pa.Table:
    """The dispositions and reviews of a framework, oldest first: every one, those that were changed later too."""
    sql = resources.files("warehouse.questions").joinpath("sql/control_decisions.sql").read_text(encoding="utf8")
    return session.run_trusted(sql, {"framework": framework})
