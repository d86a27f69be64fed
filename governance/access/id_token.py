"""Checks an identity provider's ID token: OpenID Connect Core 1.0, section 3.1.3.7.

Invariants:
- Only signatures by a provider's own public key count: `none` and keyed hashes, which anybody who knows the client's secret can
  make, are refused, whatever the token's header says.
- No message holds a part of the token.
"""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from warehouse.errors import DeniedError

ProviderKeys = KeySet
"""The public keys of a provider, as `read_keys` makes them."""

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
_CLOCK_SECONDS = 30
"""How far the provider's clock may differ from this machine's."""
_LONGEST = 64 * 1024


class UnknownKeyError(DeniedError):
    """The token is signed by a key that the provider's key set does not name: it may have been replaced since that was read."""


def read_keys(content: Mapping[str, Any]) -> ProviderKeys:
    """The public keys of a provider's key set (RFC 7517); keys that are not for signing, or of an unknown kind, are left out.

    Raises:
        ValueError: it has no key that can be used.
    """
    listed = content.get("keys")
    found = []
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or each.get("kty") not in {"RSA", "EC", "OKP"}:
            continue
        try:
            found += KeySet.import_key_set({"keys": [each]}).keys
        except (JoseError, ValueError, TypeError, KeyError):
            continue  # of a kind that this program does not know: it signs nothing that is accepted here
    if not found:
        raise ValueError("expected a key set with at least one public key for signatures, got none")
    return KeySet(found)


def check_id_token(token: str, keys: ProviderKeys, *, issuer: str, client_id: str, now: float) -> dict[str, Any]:
    """The claims of a token that `issuer` signed for `client_id` and that holds at `now`, in seconds since 1970.

    Raises:
        UnknownKeyError: none of `keys` is the one that its header names.
        DeniedError: the signature does not hold, it comes from elsewhere, is meant for somebody else, is not valid yet or any more.
    """
    claims = _signed_claims(token, keys)
    if claims.get("iss") != issuer:
        raise _refused(f"expected one by {issuer}, got another issuer's")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    # A token for several may be presented by each of them; then `azp` says to whom it was given.
    party = claims.get("azp", client_id if len(audiences) == 1 else None)
    if client_id not in audiences or party != client_id:
        raise _refused("expected one that is meant for these pages, got one for another client")
    if _seconds(claims, "exp") <= now - _CLOCK_SECONDS:
        raise _refused("expected one that is valid still, got one that has expired")
    if "nbf" in claims and _seconds(claims, "nbf") > now + _CLOCK_SECONDS:
        raise _refused("expected one that is valid already, got one for later")
    return claims


def _signed_claims(token: str, keys: ProviderKeys) -> dict[str, Any]:
    if not 0 < len(token) <= _LONGEST:
        raise _refused("expected a signed token, got something else")
    try:
        read = jwt.decode(token, lambda guest: _key(guest.headers(), keys), algorithms=ALGORITHMS)
    except DeniedError:
        raise
    except (JoseError, ValueError, TypeError, KeyError) as exc:
        raise _refused(f"expected a token with a signature of the provider, got {type(exc).__name__}") from None
    return dict(read.claims)


def _key(header: Mapping[str, Any], keys: ProviderKeys) -> Any:
    """The key that the header names; where it names none, the only one there is."""
    named = header.get("kid")
    found = [key for key in keys.keys if named in {None, key.kid}]
    if len(found) != 1:
        raise UnknownKeyError("signed in by a provider: expected a token by one of the provider's keys, got another")
    return found[0]


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _refused(f"expected a claim {name} in seconds, got {type(value).__name__}")
    return value


def _refused(what: str) -> DeniedError:
    return DeniedError(f"signed in by a provider: {what}", hint="sign in again")
