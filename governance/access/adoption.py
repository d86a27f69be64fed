"""Access policies as a family of entries: each statement by its `@id`. `groups.yaml` is the organisation's own, and ships with nothing."""

from collections.abc import Mapping
from functools import partial

from governance.access.policy_compiler import CEDAR, KIND, default_bundle
from governance.access.statements import split_statements
from warehouse.policies import PolicyError, Problem
from warehouse.policies.blocks import Blocks, Where, ended
from warehouse.policies.family import Family, digest, read_shipped

_GROUP = "policy"


def statement_blocks(file: str, text: str) -> Blocks:
    """A Cedar file line by line: a statement with the comments and empty lines before it; the head ends at the first empty line.

    Raises:
        PolicyError: two statements share a line.
    """
    items: dict[Where, str] = {}
    head, start = "", 0
    for statement in split_statements(file, text):
        begin = text.index(statement.text, start)
        end = begin + len(statement.text)
        stop = text.find("\n", end) + 1 or len(text)
        rest = text[end:stop].strip()
        if rest and not rest.startswith("//"):
            raise PolicyError(
                [Problem(file, statement.line, statement.id, "got two policies on one line, expected one")]
            )
        if not items:
            head = text[: text.rfind("\n\n", 0, begin) + 1]
            start = len(head)
        items[_GROUP, statement.id] = ended(text[start:stop])
        start = stop
    return Blocks(head, items, text[start:])


def _parts(file: str, text: str) -> Mapping[Where, str]:
    if not file.endswith(CEDAR):
        return {}
    return {(_GROUP, each.id): digest(" ".join(each.text.split())) for each in split_statements(file, text)}


FAMILY = Family(
    KIND, "access policies", default_bundle, _parts, statement_blocks, partial(read_shipped, "governance.access")
)
