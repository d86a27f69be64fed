"""What was promised and how it stands, as the page of objectives shows it."""

from dashboards.desk import Objective
from muniment.slos import slo_figures
from muniment.wiring import CommandContext
from pipelines.slo.figures import Burn


def read_objectives(context: CommandContext, tenant: str) -> list[Objective]:
    """A tenant's objectives with what is left of their budgets, by the figures that the command line gives too."""
    return [
        Objective(
            each.slo,
            each.title,
            each.objective,
            each.state,
            each.target,
            each.attainment,
            each.budget_remaining,
            each.coverage,
            each.total,
            each.window,
            "; ".join(_burn_words(burn) for burn in each.burns if burn.long_burn is not None),
        )
        for each in slo_figures(context, tenants=[tenant]).figures
    ]


def _burn_words(burn: Burn) -> str:
    """How fast a budget burns over a condition's longer window, against what it is held to."""
    told = f"{burn.long_burn:.1f} over {burn.long_seconds / 3600:g} h ({burn.severity} from {burn.factor:g})"
    return f"{told}, somebody is told now" if burn.firing else told
