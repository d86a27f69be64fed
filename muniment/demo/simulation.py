"""One simulated month: schedules the fleet's work and the seeded troubles, and plays it."""

import random
from collections.abc import Callable
from typing import Any

from muniment.demo.calendar import DAY, HOUR, MINUTE, Calendar, arrivals
from muniment.demo.fleet import AGENTS, CLAIMS, IT_SERVICE, LENDING, PROCUREMENT, SUPPORT
from muniment.demo.recorder import OutletFor
from muniment.demo.scenario import WORK, claims, it_service, procurement
from muniment.demo.scenario.lifecycle import plan_lifecycle
from muniment.demo.truth import make_truth
from muniment.demo.world import METRICS_EVERY, World
from warehouse.errors import InputError

Progress = Callable[[float], None]
"""Called as days of the window go by, with the share done: 0 to 1."""

_MORNING = 6 * HOUR


def simulate(
    *, seed: int, end_unix_nano: int, days: int, scale: float, outlet_for: OutletFor, progress: Progress | None = None
) -> dict[str, Any]:
    """Play `days` days that end at `end_unix_nano` and give all telemetry to the outlets; returns the truth.

    The same arguments give the same records, ids included. `scale` multiplies how much work arrives; the troubles and
    one run a day of each agent are there at every scale.

    Raises:
        InputError: `days` or `scale` outside what can be simulated.
    """
    if not scale > 0:
        raise InputError(f"demo scale: expected a number above 0, got {scale}")
    calendar = Calendar.ending(end_unix_nano, days)
    world = World(seed, calendar, outlet_for)
    _plan_days(world, seed, scale)
    plan_lifecycle(world)
    _plan_troubles(world)
    for at in range(-(-calendar.start // METRICS_EVERY) * METRICS_EVERY, calendar.end, METRICS_EVERY):
        world.at(at, world.flush_metrics)
    done = -1
    for now in world.runs_until_empty():
        day = (now - calendar.start) // DAY
        if progress is not None and day > done:
            progress(day / days)
            done = day
    world.close()
    if progress is not None:
        progress(1.0)
    return make_truth(
        seed=seed,
        start=calendar.start,
        end=calendar.end,
        scale=scale,
        tally=world.tally,
        troubles=world.troubles.listed(),
        planted=world.people.planted.as_lists(),
    )


def _plan_days(world: World, seed: int, scale: float) -> None:
    """Schedule each agent's daily work: a first run in the morning, then what arrives."""
    for number, agent in enumerate(AGENTS):
        rng = random.Random(f"arrivals/{seed}/{agent.id}")  # noqa: S311 - a simulation, and it must repeat
        for midnight in world.calendar.midnights:
            world.work(agent, midnight + _MORNING + number * 3 * MINUTE, WORK[agent.id])
            for at in arrivals(agent, midnight, scale, rng):
                world.work(agent, at, WORK[agent.id])


def _plan_troubles(world: World) -> None:
    """Schedule the work in which the seeded troubles show, so that they are there at every scale."""
    troubles = world.troubles
    world.work(PROCUREMENT, troubles.denied_then_executed.time, procurement.denied_then_handed_over)
    for number in range(12):
        world.work(CLAIMS, troubles.tool_failing.time + number * 10 * MINUTE + 30_000_000_000, claims.assess)
    for hour in range(1, 9):
        world.work(SUPPORT, troubles.slow_prompt.time + hour * HOUR, WORK[SUPPORT.id])
    world.work(CLAIMS, troubles.late_approval.time, claims.assess_with_late_approval)
    world.work(CLAIMS, troubles.health_data_abroad.time, claims.assess_abroad)
    for hour in range(1, 5):
        world.work(LENDING, troubles.model_switched.time + hour * HOUR, WORK[LENDING.id])
    for number in range(3):
        began = troubles.credential_twice.time + number * 4 * MINUTE
        world.work(IT_SERVICE, began, it_service.solve_from_home)
        world.work(IT_SERVICE, began + 2 * MINUTE, it_service.solve_from_elsewhere)
