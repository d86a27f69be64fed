"""What of a filter somebody typed may stand in the address of a page, which browsers and proxies keep.

Invariants:
- A person's name or address is turned into their token by the vault, for those who may reveal, and on record; the token is looked for
  instead, as records hold it, and stands in the address.
- Any other text stands there only where the detectors of redaction find nothing in it, whatever policy is in force; asking them makes
  no token.
"""

from functools import cache

from collectors.redact.detectors import BY_NAME
from collectors.redact.engine import PolicyRedactor
from collectors.redact.policy_compiler import strict_policy
from dashboards.search_desk import FilterText
from governance.access import Action
from muniment.story import RecordView
from muniment.wiring import CommandContext
from warehouse.errors import InputError, MunimentError, NotFoundError
from warehouse.names import LAKE_TENANT
from warehouse.questions.sought import Kind, Sought, classify


def filter_words(context: CommandContext, tenant: str, typed: str) -> FilterText:
    """A text to be looked for as it is.

    Raises:
        DeniedError: the principal may not read the tenant's records.
    """
    context.check(Action.RECORDS_READ, tenant)
    text = typed.strip()
    return FilterText(text, text if _names_nobody(text) else "")


def filter_person(context: CommandContext, tenant: str, typed: str, record_view: RecordView) -> FilterText:
    """Whom to look for: an actor as recorded, or a person by their token, name or address.

    Raises:
        DeniedError: the principal may not read the tenant's records.
        UnavailableError: that a name led to a token cannot be recorded: it is not told then.
    """
    context.check(Action.RECORDS_READ, tenant)
    text = typed.strip()
    try:
        sought = classify(text)
    except InputError:  # empty, or too long for any name: looked for as it is
        return FilterText(text, "")
    token = text if sought.is_token else _token(context, tenant, sought)
    if token is not None:
        if not sought.is_token:
            record_view(tenant, "subject", token, {"muniment.search.by_value": True})
        return FilterText(token, token)
    kept = _is_agent(context, tenant, text) or (sought.may_be_kept and _names_nobody(text))
    return FilterText(text, text if kept else "")


def _token(context: CommandContext, tenant: str, sought: Sought) -> str | None:
    may = context.access.decide(context.principal, Action.SUBJECT_REVEAL, tenant).allowed
    if Kind.PERSON not in sought.kinds or tenant == LAKE_TENANT or not may:
        return None
    try:
        return context.vault.find(tenant, sought.text)
    except MunimentError:
        return None  # looked for as it is, and kept out of the address if it could be a name


def _is_agent(context: CommandContext, tenant: str, text: str) -> bool:
    """Whether the registry knows an agent of this id, which is no person's name then."""
    try:
        context.control.agent(tenant, text)
    except NotFoundError:
        return False
    return True


def _names_nobody(text: str) -> bool:
    return _detectors().redact_text(LAKE_TENANT, text) == text


@cache
def _detectors() -> PolicyRedactor:
    """Every detector, masking; without a vault, so that nobody gets a token by being looked for."""
    return PolicyRedactor(strict_policy(BY_NAME), None)
