"""Who looks at a page."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Viewer:
    """Who looks at a page: the ticket by which the desk knows who that is, the name to show, the roles, and the tenants that may be read.

    Only the ticket counts: the desk gave it out, and believes nothing else that stands here. `policies` names the access policies by
    which it was decided: two viewers are the same only where nothing of what they may do has changed.
    """

    ticket: str = field(repr=False)
    name: str
    roles: tuple[str, ...]
    tenants: tuple[str, ...]
    policies: str = field(default="", repr=False)
