"""Principals out of an identity provider's claims, whose signature somebody else has checked."""

from collections.abc import Mapping

from warehouse.errors import DeniedError
from warehouse.principals import Principal, PrincipalKind

_LONGEST = 255
"""Longest `sub`: OpenID Connect Core 1.0, section 2."""


def signed_in(claims: Mapping[str, object], groups_claim: str) -> Principal:
    """The principal of a provider's user: `sub` says who, the claim named `groups_claim` in which groups.

    A claim that is not there, or not a list of texts, gives no groups: whoever has none has no role.

    Raises:
        DeniedError: the claims do not say who it is.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= _LONGEST:
        raise DeniedError(
            f"signed in by a provider: expected a claim sub of 1 to {_LONGEST} printable characters, got {type(subject).__name__}",
            hint="the identity provider has to say who the user is",
        )
    groups = claims.get(groups_claim)
    named = groups if isinstance(groups, list) else []
    return Principal(
        PrincipalKind.OIDC_USER, subject, groups=frozenset(name for name in named if isinstance(name, str) and name)
    )
