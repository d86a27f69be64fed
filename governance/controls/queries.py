"""Control files' queries, held to what a query may say before they are in force: a wrong one would keep every pack from being built."""

from governance.controls.config import ControlFile
from warehouse.errors import QueryError
from warehouse.policies import Bundle, PolicyError, Problem
from warehouse.policies.yaml_lines import convert, read_document
from warehouse.query.guard import check_query
from warehouse.query.views import VIEWS


def check_queries(bundle: Bundle) -> None:
    """Check each query of a bundle that compiles: one SELECT over the tables, with functions that are allowed.

    Raises:
        PolicyError: one is not; `problems` names each by file, line and key.
    """
    problems: list[Problem] = []
    for name, text in bundle.files.items():
        document = read_document(name, text)
        for at, control in enumerate(convert(document, ControlFile).controls):
            for key, sql in (("sql", control.sql), ("coverage", control.coverage)):
                try:
                    if sql is not None:
                        check_query(sql, VIEWS)
                except QueryError as exc:
                    problems.append(document.problem(("controls", at, key), str(exc)))
    if problems:
        raise PolicyError(problems)
