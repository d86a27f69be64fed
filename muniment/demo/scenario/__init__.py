"""What the agents do all day: one module a field of work."""

from collections.abc import Mapping

from muniment.demo.fleet import CLAIMS, FINANCE, FRAUD, HR, INTAKE, IT_SERVICE, LENDING, PROCUREMENT, SUPPORT
from muniment.demo.scenario import claims, finance, hr, intake, it_service, lending, procurement, support
from muniment.demo.world import Scenario

__all__ = ["WORK"]

WORK: Mapping[str, Scenario] = {
    SUPPORT.id: support.answer_ticket,
    PROCUREMENT.id: procurement.buy,
    FINANCE.id: finance.settle_invoice,
    CLAIMS.id: claims.assess,
    INTAKE.id: intake.talk,
    HR.id: hr.answer,
    LENDING.id: lending.prepare_loan,
    FRAUD.id: lending.screen_alert,
    IT_SERVICE.id: it_service.solve,
}
"""An agent's daily work, by agent id."""
