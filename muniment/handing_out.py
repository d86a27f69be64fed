"""Whether somebody may have records whole: what is handed out in a file, or found by a control, cannot hide a column or a row.

A session of SQL shows what policy leaves of rows and columns. A proof holds every column of its record, and a finding over rows that
some may not see would be another finding: so these are for whoever may read all that goes into them, and refused to others.
"""

from collections.abc import Collection

from governance.access import Action
from governance.access.columns import columns_of
from governance.controls.framework import Framework
from muniment.wiring import CommandContext
from warehouse.errors import DeniedError
from warehouse.query.guard import check_query
from warehouse.query.limits import ROW_CLASSES
from warehouse.query.views import VIEWS
from warehouse.tables.contents import CONTENTS


def check_whole(context: CommandContext, tenant: str, tables: Collection[str], what: str) -> None:
    """Refuse `what`, which holds rows of `tables` with everything in them, to whoever may not read some of it.

    Raises:
        DeniedError: policy hides a table, a column or a class of rows from the principal.
    """
    if CONTENTS.name in tables:
        context.check(Action.CONTENTS_READ, tenant)
    hidden = hidden_of(context, tenant, tables)
    if hidden:
        raise DeniedError(
            f"{context.principal.recorded_by} may not have {what} in tenant {tenant}: it holds whole records, and policy hides "
            f"{'; '.join(hidden)}",
            hint="`muniment sql` shows what may be read; who may read everything can hand it out",
        )


def hidden_of(context: CommandContext, tenant: str, tables: Collection[str]) -> list[str]:
    """What policy hides of these tables from the principal, in words; empty where it may read all of them."""
    limits = context.access.limits(context.principal, [tenant])
    hidden = []
    for table in sorted(tables):
        every = frozenset[str]().union(*columns_of(table).values())
        if table not in limits.columns:
            hidden.append(f"the table {table}")
        elif missing := sorted(every - set(limits.columns[table])):
            hidden.append(f"{len(missing)} columns of {table}")
    if classes := sorted(ROW_CLASSES - limits.classes):
        hidden.append(f"rows of the class {', '.join(classes)}")
    return hidden


def tables_of(framework: Framework) -> frozenset[str]:
    """The tables that the controls of a framework read."""
    texts = (sql for control in framework.controls for sql in (control.sql, control.coverage) if sql is not None)
    return frozenset[str]().union(*(check_query(sql, VIEWS).views for sql in texts))
