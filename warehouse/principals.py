"""Who acts: every command, page, job and request carries a principal."""

from dataclasses import dataclass
from enum import StrEnum


class PrincipalKind(StrEnum):
    """How a principal was established."""

    LOCAL_USER = "user"
    API_KEY = "key"
    OIDC_USER = "oidc"
    JOB = "muniment"


@dataclass(frozen=True)
class Principal:
    """One who acts.

    `id` is the operating-system user name, the API key's id, the OIDC subject or the job's name. `tenants` bounds what
    the principal may touch at all; None means every tenant that its role allows. `groups` are those that an OIDC provider says the
    user is in; others have none.
    """

    kind: PrincipalKind
    id: str
    tenants: frozenset[str] | None = None
    groups: frozenset[str] = frozenset()

    @property
    def recorded_by(self) -> str:
        """The text that `recorded_by` columns hold, e.g. `key:k7f3…`, `user:alice` or `muniment:demo`."""
        return f"{self.kind.value}:{self.id}"
