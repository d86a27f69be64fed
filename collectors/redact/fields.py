"""Field rules: what is known of a value by the key or column that it stands under, before anybody looks at the value.

Four things can be known. An *identity* names a person by itself (`user.id`). A *keyed* value is what its key says, whatever it
looks like (`password`, `ssn`). A *name* is an identifier, an enumeration or a name of something technical: only detectors that
need no context look at it, so that trace ids, models and tools stay whole. Everything else is *text*.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from collectors.dialects.aliases import AUDIT_COLUMNS, RESOURCE_COLUMNS, SPAN_COLUMNS, Form


class Role(Enum):
    """What a field holds."""

    TEXT = "text"
    NAME = "name"
    IDENTITY = "identity"
    KEYED = "keyed"
    ACTOR = "actor"
    """An identity where the actor is a person."""

    @property
    def is_name(self) -> bool:
        """Whether only detectors that need no context look at the value."""
        return self is Role.NAME or self is Role.ACTOR


@dataclass(frozen=True, slots=True)
class Field:
    """The role of a field, and the detector whose finding a keyed value is."""

    role: Role
    detector: str | None = None


LONGEST_NAME = 64
"""Characters of a name that has spaces in it; what is longer is prose that stands where a name should, and is searched as a text."""


def is_prose(text: str) -> bool:
    """Whether a text is none of the names that stand in its field."""
    return len(text) > LONGEST_NAME and " " in text


TEXT, NAME, IDENTITY, ACTOR = Field(Role.TEXT), Field(Role.NAME), Field(Role.IDENTITY), Field(Role.ACTOR)

ACTOR_KEY, ACTOR_TYPE_KEY = "audit.actor.id", "audit.actor.type"
MACHINE_ACTORS = frozenset({
    "agent", "ai_agent", "assistant", "model", "service", "system", "tool", "job", "bot", "workload", "application", "api_key",
})  # fmt: skip
"""Types of actors that are no persons; an actor of any other type, or of none, may be one."""

_IDENTITY_KEYS = frozenset({
    *(alias.key for alias in SPAN_COLUMNS["user_id"][1]),
    *(alias.key for name in ("on_behalf_of", "subject_id") for alias in AUDIT_COLUMNS[name][1]),
})  # fmt: skip
_PERSONS = "user|subject|customer|patient|employee|member|person|applicant|candidate"
_IDENTITY_PARTS = (
    rf"(?:{_PERSONS})[._-]?(?:id|login)|user[._-]?(?:name|hash)|login[._-]?name|on_behalf_of|principal[._-]?name"
    r"|account[._-]?id|pseudo[._-]?id|user|uid|login"
)
_IDENTITY = re.compile(rf"(?:.*[._-])?(?:{_IDENTITY_PARTS})", re.IGNORECASE)

KEYED: tuple[tuple[str, str], ...] = (
    (
        r"pass[-_. ]?(?:word|wd|phrase)|pwd|passcode|(?:db|user|admin|root|smtp|ftp)[-_. ]?pass|security[-_. ]?answer",
        "secret",
    ),
    (r"(?:api|access|secret|private|signing|encryption|subscription|account)[-_. ]?keys?", "secret"),
    (r"(?:client|app|shared|webhook|consumer)[-_. ]?secret", "secret"),
    (r"(?:access|refresh|id|auth|bearer|session|api|secret|csrf|oauth)[-_. ]?token", "secret"),
    (r"(?:proxy[-_. ]?)?authorization|set[-_. ]?cookie|cookie|credentials?|connection[-_. ]?string", "secret"),
    (r"e[-_. ]?mail(?:[-_. ]?address)?", "email"),
    (r"(?:phone|mobile|telephone|fax|msisdn)(?:[-_. ]?(?:no|number))?", "phone"),
    (r"(?:card|pan|credit[-_. ]?card|account[-_. ]?pan)[-_. ]?(?:no|number)|pan|cvv2?|cvc", "card"),
    (r"iban", "iban"),
    (r"ssn|social[-_. ]?security(?:[-_. ]?(?:no|number))?", "ssn"),
    (
        r"(?:tax|national|passport|identity[-_. ]?card|driver'?s?[-_. ]?licen[cs]e)[-_. ]?(?:id|no|number)",
        "national_id",
    ),
    (r"(?:date[-_. ]?of[-_. ]?birth|birth[-_. ]?(?:date|day)|dob)", "date_of_birth"),
    (
        r"(?:first|last|given|family|middle|maiden|full|sur|customer|patient|employee|contact)[-_. ]?name|forename",
        "person",
    ),
    (r"(?:street|home|postal|billing|shipping|mailing)[-_. ]?address|address[-_. ]?line[-_. ]?\d?|street", "address"),
    (r"client[-_. ]?(?:address|ip)|(?:remote|peer|user|source)[-_. ]?ip|x[-_. ]forwarded[-_. ]for|net\.peer\.ip", "ip"),
)
"""Keys by their last part, and the detector whose finding their values are."""

WHOLE_KEYED: tuple[tuple[str, str], ...] = (
    ("token|secret|apikey|otp|pin|auth|bearer", "secret"),
    ("surname", "person"),
)
"""The same for keys that say so only when nothing stands before them: `token` is a secret, `eos_token` is none."""

_KEYED = tuple(
    (re.compile(rf"(?:.*[._-])?(?:{pattern})", re.IGNORECASE), Field(Role.KEYED, name)) for pattern, name in KEYED
) + tuple((re.compile(pattern, re.IGNORECASE), Field(Role.KEYED, name)) for pattern, name in WHOLE_KEYED)

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
"""Where a word begins in `homePhoneNumber`."""

_NAME_COLUMNS = frozenset(
    name
    for name, (form, _) in SPAN_COLUMNS.items()
    if form in {Form.TEXT, Form.REASONS} and name not in {"user_id", "answer"}
)
_NAME_KEYS = frozenset({
    *(alias.key for name in _NAME_COLUMNS for alias in SPAN_COLUMNS[name][1] if alias.key != "llm.invocation_parameters"),
    *(alias.key for _, aliases in RESOURCE_COLUMNS.values() for alias in aliases),
    *(alias.key for name, (_, aliases) in AUDIT_COLUMNS.items() if name not in {"reason", "resource_id"} for alias in aliases),
})  # fmt: skip
_NAME = re.compile(
    r"(?:telemetry|service|host|os|process\.runtime|k8s|cloud|container|deployment|otel|server|network|rpc|faas|aws|gcp|azure|thread)"
    r"\..*"
    r"|db\.(?:system|name|operation)(?:\..*)?|http\.(?:request\.method|response\.status_code|route|method|status_code|flavor)"
    r"|gen_ai\.(?:request|response|usage|operation|provider|token|output|tool|agent|data_source|evaluation)\.(?!.*(?:explanation|description)).*"
    r"|llm\.token_count\..*|llm\.usage\..*|ai\.(?:model|usage|telemetry\.functionId|operationId|response\.(?:id|model|timestamp)).*"
    r"|code\.(?:function|namespace|filepath|lineno|file|line).*|(?:mcp|a2a)\.(?:method|session|protocol|task|message|tenant).*"
    r"|exception\.type|error\.type|muniment\..*"
    r"|(?:.*[._-])?(?:ids?|uuid|guid|version|type|kind|hash|digest|sha256|md5|checksum|etag|model|status|level|unit|currency"
    r"|locale|timezone|created_?at|updated_?at|timestamp)"
    r"|.*(?:Id|Ids|UUID|At|Nano|Count|Number|Url)",
)

COLUMNS: dict[str, Field] = {
    **dict.fromkeys(
        (
            *_NAME_COLUMNS - {"entity_name", "entity_kind"}, "service_name", "scope_name", "trace_state", "event_name",
            "actor_type", "action", "resource_type", "outcome", "policy_id", "policy_version", "approval_id",
            "severity_text", "part", "type", "unit", "temporality", "action_digest",
        ),
        NAME,
    ),
    **dict.fromkeys(("user_id", "on_behalf_of", "subject_id"), IDENTITY),
    "actor_id": ACTOR,
    **dict.fromkeys(("name", "status_message", "body", "reason", "resource_id", "description"), TEXT),
}  # fmt: skip
"""Columns of texts by name, in every table that has them. The rest of a table was made here, and is not searched."""

JSON_COLUMNS = ("resource", "attributes", "envelope", "events", "links", "exemplars")
"""Columns of JSON text made by the decoder."""
TEXT_COLUMNS = (*JSON_COLUMNS, *(name for name, field in COLUMNS.items() if field is TEXT))
NAME_COLUMNS = tuple(name for name, field in COLUMNS.items() if field in {NAME, ACTOR})
IDENTITY_COLUMNS = tuple(name for name, field in COLUMNS.items() if field in {IDENTITY, ACTOR})
"""Columns of persons' ids; an actor that is no person is a name."""


@lru_cache(maxsize=65_536)
def field_of(key: str) -> Field:
    """What is known of values under an attribute key, or under the last key of a nested value."""
    if key in _IDENTITY_KEYS:
        return IDENTITY
    if key == ACTOR_KEY:
        return ACTOR
    if key in _NAME_KEYS:
        return NAME
    words = _CAMEL.sub("_", key)
    for pattern, field in _KEYED:
        if pattern.fullmatch(words):
            return field
    if _IDENTITY.fullmatch(words):
        return IDENTITY
    return NAME if _NAME.fullmatch(key) else TEXT


def field_at(path: Sequence[str]) -> Field:
    """What is known of a value under these keys: by the last one, with the one above it, or by a secret that it is part of."""
    if not path:
        return TEXT
    field = field_of(path[-1])
    if len(path) == 1 or field.role in {Role.IDENTITY, Role.KEYED, Role.ACTOR}:
        return field
    if field_of(f"{path[-2]}.{path[-1]}").role is Role.IDENTITY:
        return IDENTITY
    above = (field_of(key) for key in path[:-1])
    return next((one for one in above if one.role is Role.KEYED and one.detector == "secret"), field)


# -- what the scanner looks for in place of reading keys

_END = r'\\*"\s{0,2}:'
KEY_TRIGGERS: tuple[str, ...] = (
    *(rf"(?:{pattern}){_END}" for pattern, _ in KEYED),
    *(rf'"(?:{pattern}){_END}' for pattern, _ in WHOLE_KEYED),
    rf"(?:{_IDENTITY_PARTS}|audit\.actor\.id){_END}",
    rf"(?:{_PERSONS}){_END}\s{{0,2}}\{{",
)
"""Keys of JSON text, escaped any number of times, whose values are identities or what the key says."""

FAST_IDENTITY_KEYS: tuple[str, ...] = (*sorted(_IDENTITY_KEYS), ACTOR_KEY)
FAST_IDENTITY_TRIGGERS: tuple[str, ...] = tuple(f'"{re.escape(key)}":"' for key in FAST_IDENTITY_KEYS)
"""The same where the decoder wrote key and text: the match ends where the text begins."""
