"""Wires the report of what redaction found: access, session, question; reading it is recorded."""

from governance.access import Action
from muniment.wiring import CommandContext
from warehouse.questions.redactions import REDACTION_TABLES, RedactionReport, report_redactions


def redaction_report(context: CommandContext, tenant: str | None) -> RedactionReport:
    """What redaction found in the records of one tenant, or of all.

    Raises:
        NotFoundError: there is no such tenant.
        DeniedError: the principal may not read its records.
    """
    tenants = [tenant] if tenant else [known.id for known in context.control.list_tenants()]
    for name in tenants:
        context.check(Action.RECORDS_READ, name)
    if tenant:
        context.control.tenant(tenant)
    if not tenants:
        return RedactionReport((), ())
    for name in tenants:
        context.record("record.viewed", name, resource_type="redactions", action="report")
    with context.session(tenants, tables=REDACTION_TABLES) as session:
        return report_redactions(session)
