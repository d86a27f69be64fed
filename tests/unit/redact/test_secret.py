"""Secrets: keys of providers, headers, and what is called a password or a token."""

import base64
import random
import string

import pytest

from collectors.redact.detectors.entropy import bits_a_character
from collectors.redact.detectors.secret import SECRET
from collectors.redact.detectors.secret_rules import SECRET_RULES
from tests.detection import found

_DRAW = random.Random(3)


def drawn(size: int, letters: str = string.ascii_letters + string.digits) -> str:
    """Random characters: no key of anybody stands in this file."""
    return "".join(_DRAW.choice(letters) for _ in range(size))


HEX, UPPER, BASE32 = "0123456789abcdef", string.ascii_uppercase + "234567", string.ascii_lowercase + "234567"
KEYS = [
    "mun_k" + drawn(12, HEX) + "_" + drawn(52, BASE32),
    "sk-ant-" + "api03-" + drawn(80),
    "sk-proj-" + drawn(60),
    "sk-" + "a1" + drawn(46),
    "AIza" + drawn(35),
    "AKIA" + drawn(16, UPPER),
    "ASIA" + drawn(16, UPPER),
    "ghp_" + drawn(36),
    "gho_" + drawn(36),
    "github_pat_" + drawn(22) + "_" + drawn(59),
    "glpat-" + drawn(20),
    "xoxb-" + drawn(12, string.digits) + "-" + drawn(24),
    "sk_live_" + drawn(24),
    "rk_live_" + drawn(24),
    "whsec_" + drawn(32),
    "SK" + drawn(32, HEX),
    "SG." + drawn(22) + "." + drawn(43),
    "npm_" + drawn(36),
    "pypi-" + "AgEIcHlwaS5vcmc" + drawn(60),
    "hf_" + drawn(34),
    "gsk_" + drawn(52),
    "dapi" + drawn(32, HEX),
    "eyJ" + drawn(30) + ".eyJ" + drawn(80) + "." + drawn(43),
]
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(drawn(64) for _ in range(6)) + "\n-----END RSA PRIVATE KEY-----"
VALUE = "Zk9" + drawn(37, string.ascii_letters) + "7x"
BASIC = base64.b64encode(b"admin:opensesame").decode()

BEHIND_A_CUE = [
    (f"Authorization: Bearer {VALUE}", VALUE),
    (f"Authorization: Basic {BASIC}", BASIC),
    (f"aws_secret_access_key = {VALUE}", VALUE),
    (f'{{"apiKey": "{VALUE}"}}', VALUE),
    (f'{{\\"client_secret\\": \\"{VALUE}\\"}}', VALUE),
    ("password=hunter2!x", "hunter2!x"),
    ("the password is Tr0ub4dor&3", "Tr0ub4dor&3"),
    ("Server=db;User Id=app;Password=S3cret!9;", "S3cret!9"),
    (f"AccountName=x;AccountKey={VALUE}==;EndpointSuffix=core.windows.net", VALUE + "=="),
    (f"https://hooks.slack.com/services/T000/B000/{VALUE}", f"T000/B000/{VALUE}"),
    (f"DB_PASSWD: {VALUE}", VALUE),
    ("<password>S3cret!9</password>", "S3cret!9"),
]
NO_SECRETS = [
    "max_tokens: 4096",
    "token: 4096",
    "<password>required</password>",
    "if token>max_tokens_of_model",
    "password: required",
    "password is incorrect",
    "api_key=${API_KEY}",
    "api_key=os.environ['KEY']",
    'token = "<YOUR_TOKEN>"',
    "password: ********",
    "secret: none",
    "sk-learn and sk-something-else",
    "the token is invalid",
    "bearer authentication is used",
    "Basic understanding of tokens",
    "eyJ is how they begin",
    "next_page_token is missing",
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:6])
@pytest.mark.parametrize("around", ["{}", "key {} leaked", '"{}"', "x={},", r"\n{}\n", "q%20{}%0A"])
def test_finds_keys_of_providers_whole(key, around):
    """A key is found with all its characters, whatever stands around it."""
    assert key in found(SECRET, around.format(key))


@pytest.mark.parametrize(("text", "secret"), BEHIND_A_CUE)
def test_finds_the_value_behind_a_name(text, secret):
    """The value is the match, its name stays."""
    assert found(SECRET, text) == [secret]


@pytest.mark.parametrize("text", NO_SECRETS)
def test_leaves_words_numbers_and_placeholders(text):
    """What stands in place of a secret is none."""
    assert found(SECRET, text) == []


def test_finds_a_private_key_as_a_block():
    """From the first line to the last, also with the line breaks of JSON."""
    assert found(SECRET, f"key:\n{PEM}\nend") == [PEM]
    escaped = PEM.replace("\n", "\\n")
    assert found(SECRET, f'"private_key": "{escaped}"') == [escaped]


def test_finds_a_private_key_that_was_cut_off():
    """A block without its end is secret to the end of the text."""
    cut = PEM[:200]
    assert found(SECRET, cut) == [cut]


def test_rules_have_names_of_their_own():
    """Each rule is one kind of secret."""
    assert len({rule.name for rule in SECRET_RULES}) == len(SECRET_RULES)


def test_entropy_of_a_known_text():
    """Four equally frequent characters have two bits each."""
    assert bits_a_character("abcdabcd") == 2.0
