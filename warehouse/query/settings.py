"""Settings of query sessions, as `muniment.yaml` may give them."""

from typing import Annotated

import msgspec


class QuerySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one session may use.

    `timeout_seconds` bounds each query, from its start to its last row. What does not fit into `memory_limit_mib` is
    spilled to `LAKE/spill`, up to `spill_limit_mib`; a query over either fails.
    """

    memory_limit_mib: Annotated[int, msgspec.Meta(ge=64)] = 1024
    spill_limit_mib: Annotated[int, msgspec.Meta(ge=0)] = 10_240
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0)] = 60.0
