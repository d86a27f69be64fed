"""The demo's entry point: simulate a month, send it, and say what became of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muniment.demo.exporters import Endpoints
from muniment.demo.fleet import tenant_names
from muniment.demo.sender import Delivered, Sender
from muniment.demo.simulation import Progress, simulate
from warehouse.errors import InputError


@dataclass(frozen=True)
class DemoResult:
    """What a demo did.

    `truth` is the content of `demo-truth.json`. `seconds` is the time from the first record to the last
    acknowledgement, `cpu_seconds` what this process spent meanwhile on simulating, encoding and sending.
    """

    truth: Mapping[str, Any]
    delivered: Delivered
    seconds: float
    cpu_seconds: float


def run_demo(
    *,
    seed: int,
    end_unix_nano: int,
    endpoints: Endpoints,
    keys: Mapping[str, str],
    days: int = 30,
    scale: float = 1.0,
    progress: Progress | None = None,
) -> DemoResult:
    """Play the fleet's last `days` days up to `end_unix_nano` and send them; returns once all is acknowledged.

    `keys` holds an API key for each of `tenant_names()`. The receivers must accept records as old as the window.
    `progress` is called with the share of the window done, 0 to 1.

    Raises:
        InputError: a key is missing, or `days` or `scale` cannot be simulated.
        DeliveryError: a receiver rejected records.
        UnavailableError: a receiver did not answer in spite of retries.
    """
    missing = [name for name in tenant_names() if name not in keys]
    if missing:
        raise InputError(
            f"demo keys: expected one for each of {', '.join(tenant_names())}; missing {', '.join(missing)}"
        )
    began, cpu_began = time.perf_counter(), time.process_time()
    with Sender(endpoints, keys) as sender:
        truth = simulate(
            seed=seed,
            end_unix_nano=end_unix_nano,
            days=days,
            scale=scale,
            outlet_for=sender.outlet_for,
            progress=progress,
        )
        delivered = sender.finish()
    return DemoResult(truth, delivered, time.perf_counter() - began, time.process_time() - cpu_began)
