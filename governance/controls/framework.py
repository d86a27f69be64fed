"""Frameworks as compiled from control files. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from governance.controls.config import ControlConfig, ControlFile
from warehouse.policies import Bundle, PolicyError, Problem, read_bundle
from warehouse.policies.yaml_lines import Document, Place, convert, read_document

KIND = "controls"
INSUFFICIENT, SATISFIED = "insufficient", "satisfied"
MOST_CONTROLS = 500
_FRAMEWORK = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.() -]{0,39}")
_PARAMETERS = ("$from", "$to")


@dataclass(frozen=True)
class Control:
    """One control. `sql` None makes it a mapping, which produces no finding.

    `sql` yields a row an item of the population, with the columns of `population.REQUIRED` and any others; `coverage` yields one
    number, of the records that the time has at all. `about` are the columns that say what an exception is about: by them the next
    period knows it again; where there are none, by its record.
    """

    framework: str
    id: str
    title: str
    citation: str
    question: str
    evidence: str
    limits: str
    sql: str | None = None
    coverage: str | None = None
    share: float = 1.0
    empty: str = INSUFFICIENT
    about: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The id as the name of a folder."""
        return _folder(self.id)


@dataclass(frozen=True)
class Framework:
    """One framework with its controls, in the order of their file."""

    id: str
    title: str
    note: str
    controls: tuple[Control, ...]

    @property
    def is_mapping_only(self) -> bool:
        """Whether none of its controls has a query."""
        return all(control.sql is None for control in self.controls)


@dataclass(frozen=True)
class Controls:
    """Every framework of a bundle, by id."""

    content_hash: str
    frameworks: Mapping[str, Framework] = field(default_factory=dict)


def compile_controls(bundle: Bundle) -> Controls:
    """Compile a lake's control files.

    Raises:
        PolicyError: they cannot be used; `problems` names everything that is wrong, by file, line and key.
    """
    found: dict[str, Framework] = {}
    problems: list[Problem] = []
    for name, text in bundle.files.items():
        try:
            document = read_document(name, text)
            content = convert(document, ControlFile)
        except PolicyError as exc:
            problems += exc.problems
            continue
        problems += _problems(document, content)
        if content.framework in found:
            message = f"got {content.framework!r} twice, expected a framework in one file"
            problems.append(document.problem(("framework",), message))
        found[content.framework] = Framework(
            content.framework,
            content.title,
            content.note,
            tuple(_control(content.framework, config) for config in content.controls),
        )
    if problems:
        raise PolicyError(problems)
    return Controls(bundle.content_hash, found)


@cache
def default_controls() -> Controls:
    """The controls that come with the package, compiled."""
    return compile_controls(default_bundle())


def default_bundle() -> Bundle:
    """The control files that come with the package."""
    entries = (files("governance.controls") / "defaults").iterdir()
    return read_bundle(KIND, {entry.name: entry.read_bytes() for entry in entries if entry.name.endswith(".yaml")})


def describe_changes(before: Controls, after: Controls) -> list[str]:
    """What differs between two sets of controls, in words."""
    old = {(control.framework, control.id): control for each in before.frameworks.values() for control in each.controls}
    new = {(control.framework, control.id): control for each in after.frameworks.values() for control in each.controls}
    said = [f"{framework} {name}: new" for framework, name in new.keys() - old.keys()]
    said += [f"{framework} {name}: gone" for framework, name in old.keys() - new.keys()]
    said += [
        f"{framework} {name}: changed"
        for framework, name in new.keys() & old.keys()
        if new[framework, name] != old[framework, name]
    ]
    return sorted(said)


def _folder(control: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", control).strip("-.").lower()


def _control(framework: str, config: ControlConfig) -> Control:
    return Control(
        framework,
        config.id,
        config.title,
        config.citation,
        config.question,
        config.evidence,
        config.limits,
        config.sql,
        config.coverage,
        config.test.share,
        config.test.empty,
        tuple(config.about),
    )


def _problems(document: Document, content: ControlFile) -> list[Problem]:
    found = []
    if not _FRAMEWORK.fullmatch(content.framework):
        found.append(document.problem(("framework",), f"got {content.framework!r}, expected [a-z0-9][a-z0-9-]{{0,39}}"))
    if not 1 <= len(content.controls) <= MOST_CONTROLS:
        found.append(document.problem(("controls",), f"got {len(content.controls)}, expected 1 to {MOST_CONTROLS}"))
    seen: set[str] = set()
    folders: dict[str, str] = {}
    for at, config in enumerate(content.controls):
        place: Place = ("controls", at)
        if not _ID.fullmatch(config.id):
            found.append(
                document.problem((*place, "id"), f"got {config.id!r}, expected letters, digits, dots, brackets")
            )
        if config.id in seen:
            found.append(document.problem((*place, "id"), f"got {config.id!r} twice, expected it once"))
        seen.add(config.id)
        folder = _folder(config.id)
        if (other := folders.setdefault(folder, config.id)) != config.id:
            message = f"got {config.id!r} beside {other!r}, expected ids that differ in letters or digits: both make the folder {folder}"
            found.append(document.problem((*place, "id"), message))
        found += _query_problems(document, place, config)
    return found


def _query_problems(document: Document, place: Place, config: ControlConfig) -> list[Problem]:
    found = []
    for key, sql in (("sql", config.sql), ("coverage", config.coverage)):
        missing = [name for name in _PARAMETERS if sql is not None and name not in sql]
        if missing:
            found.append(
                document.problem((*place, key), f"got no {' and no '.join(missing)}, expected a query over the period")
            )
    if not 0.0 < config.test.share <= 1.0:
        found.append(
            document.problem((*place, "test"), f"got a share of {config.test.share}, expected over 0, at most 1")
        )
    if config.test.empty not in {INSUFFICIENT, SATISFIED}:
        found.append(
            document.problem((*place, "test"), f"got {config.test.empty!r}, expected {INSUFFICIENT} or {SATISFIED}")
        )
    if config.test.empty == SATISFIED and config.coverage is None:
        found.append(
            document.problem(
                (*place, "test"), "got empty: satisfied without coverage, expected a query that counts records"
            )
        )
    return found
