"""ID tokens of a provider: whose signature counts, for whom they are meant, and for how long they hold."""

import base64
import hashlib
import hmac
import json

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from governance.access.id_token import UnknownKeyError, check_id_token, read_keys
from warehouse.errors import DeniedError

ISSUER, CLIENT, NOW = "https://id.example", "pages", 1_000_000
OWN = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
CURVE = ECKey.generate_key("P-256", {"kid": "two"})
KEYS = read_keys(KeySet([OWN, CURVE]).as_dict())
GOOD = {"iss": ISSUER, "aud": CLIENT, "sub": "u-1", "iat": NOW - 10, "exp": NOW + 60}


def token(claims, key=OWN, **header):
    return jwt.encode({"alg": "RS256", "kid": "one", **header}, claims, key, algorithms=["RS256", "ES256", "HS256"])


def check(text, keys=KEYS):
    return check_id_token(text, keys, issuer=ISSUER, client_id=CLIENT, now=NOW)


def text_of(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def part(content):
    return text_of(json.dumps(content).encode())


def keyed(header, claims, secret):
    """A token with a keyed hash for its signature, by what everybody knows."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{text_of(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def changed(text, claims):
    """The token with other claims under the signature that it has."""
    header, _, signature = text.split(".")
    return f"{header}.{part(claims)}.{signature}"


@pytest.mark.parametrize(
    "text",
    [
        token(GOOD),
        token(GOOD, CURVE, alg="ES256", kid="two"),
        token(GOOD | {"aud": [CLIENT]}),
        token(GOOD | {"aud": [CLIENT, "other"], "azp": CLIENT}),
        token(GOOD | {"exp": NOW - 29}),
        token(GOOD | {"nbf": NOW + 29}),
    ],
)
def test_a_token_of_the_provider_for_these_pages_is_taken(text):
    """Signature, issuer, audience and time hold, within half a minute by which clocks may differ."""
    assert check(text)["sub"] == "u-1"


REFUSED = [
    ("other issuer", token(GOOD | {"iss": "https://id.example/"}), "expected one by"),
    ("no issuer", token({k: v for k, v in GOOD.items() if k != "iss"}), "expected one by"),
    ("other audience", token(GOOD | {"aud": "other"}), "meant for these pages"),
    ("no audience", token({k: v for k, v in GOOD.items() if k != "aud"}), "meant for these pages"),
    ("given to another", token(GOOD | {"aud": [CLIENT, "other"], "azp": "other"}), "meant for these pages"),
    ("given to nobody", token(GOOD | {"aud": [CLIENT, "other"]}), "meant for these pages"),
    ("other party", token(GOOD | {"azp": "other"}), "meant for these pages"),
    ("audience is a part", token(GOOD | {"aud": CLIENT + "2"}), "meant for these pages"),
    ("expired", token(GOOD | {"exp": NOW - 30}), "expired"),
    ("never expires", token({k: v for k, v in GOOD.items() if k != "exp"}), "a claim exp in seconds"),
    ("exp is true", token(GOOD | {"exp": True}), "a claim exp in seconds"),
    ("for later", token(GOOD | {"nbf": NOW + 31}), "for later"),
    ("another's key", token(GOOD, OTHER), "a signature of the provider"),
    ("nobody's", f"{part({'alg': 'none', 'kid': 'one'})}.{part(GOOD)}.", "a signature of the provider"),
    (
        "signed with the public key",
        keyed({"alg": "HS256", "kid": "one"}, GOOD, OWN.as_pem(private=False)),
        "a signature of the provider",
    ),
    ("changed", changed(token(GOOD), GOOD | {"sub": "u-2"}), "a signature of the provider"),
    ("empty", "", "expected a signed token"),
    ("no token", "a.b", "a signature of the provider"),
    ("not a text of ASCII", "é.é.é", "a signature of the provider"),
    ("endless", "a" * 100_000, "expected a signed token"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_every_other_token_is_refused(text, problem):
    """What does not hold is denied, and the message shows nothing of the token."""
    with pytest.raises(DeniedError, match=problem) as refused:
        check(text)
    assert "u-1" not in str(refused.value)


def test_a_key_that_is_not_known_is_told_apart():
    """It may be a new one: whoever asks can read the provider's keys again."""
    with pytest.raises(UnknownKeyError):
        check(token(GOOD, kid="three"))
    nameless = jwt.encode({"alg": "RS256"}, GOOD, OWN)
    with pytest.raises(UnknownKeyError):
        check(nameless)
    assert check(nameless, read_keys(KeySet([OWN]).as_dict()))["sub"] == "u-1"


def test_keys_that_sign_nothing_here_are_left_out():
    """Shared secrets, keys for encryption and unknown kinds are no keys of the provider's; a set without any is refused."""
    useless = [
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "shared"},
        OTHER.as_dict(private=False, use="enc"),
        {"kty": "AKP", "kid": "new"},
        {"kty": "RSA", "kid": "broken"},
        "no key",
    ]
    own = OWN.as_dict(private=False)
    assert [key.kid for key in read_keys({"keys": [*useless, own]}).keys] == ["one"]
    for content in ({"keys": useless}, {"keys": []}, {"keys": 1}, {}):
        with pytest.raises(ValueError, match="at least one public key"):
            read_keys(content)
