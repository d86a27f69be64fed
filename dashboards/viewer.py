"""Who looks at a page."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Viewer:
    """Who looks at a page: the ticket by which the desk knows who that is, the name to show, the roles, and the tenants that may be read.

    Only the ticket counts: the desk gave it out, and believes nothing else that stands here.
    """

    ticket: str = field(repr=False)
    name: str
    roles: tuple[str, ...]
    tenants: tuple[str, ...]
