"""Reads a bundle of access policies, and says by file and line what is wrong with it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

from governance.access import engine
from governance.access.groups import GROUPS_FILE, NO_GROUPS, read_groups
from governance.access.policy import AccessPolicy
from governance.access.statements import Statement, split_statements
from warehouse.policies import Bundle, PolicyError, Problem

KIND = "access"
CEDAR = ".cedar"
SCHEMA_FILE = "schema.cedarschema"
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_QUOTED = re.compile(r"`([^`]+)`")


def compile_policy(bundle: Bundle) -> AccessPolicy:
    """Read and check a bundle: every policy parses, has an id of its own, and is valid under the schema.

    Raises:
        PolicyError: it cannot be used; every problem that can be found at once is named.
    """
    policy = read_policy(bundle)
    validate_policy(policy)
    return policy


def read_policy(bundle: Bundle) -> AccessPolicy:
    """Read a bundle without asking the schema, which takes ten times as long: for one that was validated before.

    Raises:
        PolicyError: it is not made of policies with ids of their own.
    """
    statements = tuple(
        statement
        for file, text in bundle.files.items()
        if file.endswith(CEDAR)
        for statement in split_statements(file, text)
    )
    problems = [*_file_problems(bundle, statements), *_id_problems(statements)]
    groups = NO_GROUPS
    try:
        groups = read_groups(bundle.files[GROUPS_FILE]) if GROUPS_FILE in bundle.files else NO_GROUPS
    except PolicyError as exc:
        problems += exc.problems
    if problems:
        raise PolicyError(problems)
    policy = AccessPolicy(statements, bundle.content_hash, groups)
    try:
        templates = policy.has_templates
    except ValueError as exc:
        raise PolicyError(_parse_problems(statements) or [Problem(KIND, 1, "", str(exc))]) from exc
    if templates:
        raise PolicyError(_parse_problems(statements))
    return policy


def validate_policy(policy: AccessPolicy) -> None:
    """Check parsed policies under the schema.

    Raises:
        PolicyError: one of them names what does not exist, or can never hold.
    """
    found = engine.validate([statement.text for statement in policy.statements], schema_text())
    problems = {_placed(policy, each) for each in found}
    if problems:
        raise PolicyError(problems)


@cache
def default_bundle() -> Bundle:
    """The policies that come with the package."""
    folder = resources.files("governance.access") / "defaults"
    files = {file.name: file.read_text(encoding="utf8") for file in folder.iterdir() if file.name.endswith(CEDAR)}
    return Bundle(KIND, files)


def example_files() -> Mapping[str, bytes]:
    """Files beside the policies to read or to copy: the schema, and an example of `groups.yaml`."""
    folder = resources.files("governance.access") / "examples"
    return {SCHEMA_FILE: schema_text().encode()} | {
        file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".yaml")
    }


@cache
def schema_text() -> str:
    """The schema that policies are validated against, in Cedar's own syntax."""
    return (resources.files("governance.access") / SCHEMA_FILE).read_text(encoding="utf8")


def _file_problems(bundle: Bundle, statements: tuple[Statement, ...]) -> Iterator[Problem]:
    for file in bundle.files:
        if not file.endswith((CEDAR, GROUPS_FILE)):
            yield Problem(file, 1, "", f"got a file that nothing reads, expected {CEDAR} files and {GROUPS_FILE}")
    if not statements:
        yield Problem(
            f"{KIND}/*{CEDAR}", 1, "", "got no policy, expected at least one: without any, nobody may do anything"
        )


def _id_problems(statements: tuple[Statement, ...]) -> Iterator[Problem]:
    counts = Counter(statement.id for statement in statements)
    seen: dict[str, Statement] = {}
    for statement in statements:
        if not _ID.fullmatch(statement.id):
            message = f'got {statement.id!r}, expected @id("…") before it: lower-case letters, digits and dashes'
            yield Problem(statement.file, statement.line, "@id", message)
        elif counts[statement.id] > 1 and statement.id in seen:
            first = seen[statement.id]
            message = f"got {statement.id} twice, expected an id of its own: {first.file}:{first.line} has it"
            yield Problem(statement.file, statement.line, "@id", message)
        seen.setdefault(statement.id, statement)


def _parse_problems(statements: tuple[Statement, ...]) -> list[Problem]:
    return [
        Problem(each.file, _line(each, message), each.id, f"got no Cedar policy: {message}")
        for each in statements
        if (message := engine.parse_problem(each.text))
    ]


def _placed(policy: AccessPolicy, found: engine.EngineProblem) -> Problem:
    if found.place is None:
        return Problem(KIND, 1, "", found.message)
    statement = policy.statements[found.place]
    return Problem(statement.file, _line(statement, found.message), statement.id, found.message)


def _line(statement: Statement, message: str) -> int:
    quoted = _QUOTED.search(message)
    return statement.line_of(quoted[1]) if quoted else statement.line
