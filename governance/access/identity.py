"""Principals out of an identity provider's claims, whose signature somebody else has checked."""

from collections.abc import Mapping
from typing import Literal

from warehouse.errors import DeniedError
from warehouse.principals import Principal, PrincipalKind

_HOUR_SECONDS = 3600
_CLOCK_SECONDS = 300
"""How far the provider's clock may be ahead of this machine's."""

_LONGEST = 255
"""Longest `sub`: OpenID Connect Core 1.0, section 2."""


UserClaim = Literal["sub", "email"]
"""Which claim says who a user is."""


def signed_in(
    claims: Mapping[str, object],
    groups_claim: str,
    *,
    now: float,
    session_hours: float,
    user_claim: UserClaim = "sub",
) -> Principal:
    """The principal of a provider's user: `user_claim` says who, the claim named `groups_claim` in which groups.

    An address says who it is only where the provider says that it checked it (`email_verified`), in small letters: two ways to write
    it are one person. A claim that is not there, or not a list of texts, gives no groups: whoever has none has no role. `now` is in seconds since 1970:
    the claims hold for `session_hours` from their `iat`, however long a cookie keeps them.

    Raises:
        DeniedError: the claims do not say who it is, or since when, or the session has ended.
    """
    issued = claims.get("iat")
    age = now - issued if isinstance(issued, int | float) and not isinstance(issued, bool) else None
    if age is None or not -_CLOCK_SECONDS <= age < session_hours * _HOUR_SECONDS:
        raise DeniedError(
            f"signed in by a provider: the session ends {session_hours:g} hours after it began, and it has ended or does not say when that was",
            hint="sign in again",
        )
    subject = claims.get(user_claim)
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= _LONGEST:
        raise DeniedError(
            f"signed in by a provider: expected a claim {user_claim} of 1 to {_LONGEST} printable characters, got {type(subject).__name__}",
            hint="the identity provider has to say who the user is",
        )
    if user_claim == "email":
        subject = _checked_address(claims, subject)
    groups = claims.get(groups_claim)
    named = groups if isinstance(groups, list) else []
    return Principal(
        PrincipalKind.OIDC_USER,
        subject,
        groups=frozenset(name for name in named if isinstance(name, str) and _is_text(name)),
    )


def _is_text(name: str) -> bool:
    """Whether a name can be one of a group: half a character, as JSON can hold it, is none, and no policy engine reads it."""
    return bool(name) and not any("\ud800" <= letter <= "\udfff" for letter in name)


def shown_name(claims: Mapping[str, object], principal: Principal) -> str:
    """How a page calls a provider's user: by the address, where the provider checked it, else as records do."""
    address = claims.get("email")
    if claims.get("email_verified") is True and isinstance(address, str) and 0 < len(address) <= _LONGEST:
        return address if address.isprintable() else principal.id
    return principal.id


def _checked_address(claims: Mapping[str, object], address: str) -> str:
    if claims.get("email_verified") is not True:
        raise DeniedError(
            "signed in by a provider: expected an address that the provider checked (email_verified), got one that it did not",
            hint="have the address confirmed at the provider, or use the setting dashboards.sign_in.user_claim: sub",
        )
    return address.lower()
