"""From rule files to the rules in force, or to a list of everything that is wrong with them, by file, line and key.

An error in one rule does not hide those of the others; nothing is compiled unless all of it is right.
"""

import re
from importlib.resources import files

from pipelines.incidents.clocks import LEGAL_CLOCKS
from pipelines.incidents.columns import GIVEN_PARAMETERS
from pipelines.incidents.config import RuleConfig, RuleFile, Value
from pipelines.incidents.durations import parse_duration
from pipelines.incidents.rules import Reads, Rule, RuleSet, Severity
from warehouse.errors import MunimentError
from warehouse.names import LAKE_TENANT, check_name
from warehouse.policies import Bundle, PolicyError, Problem, read_bundle
from warehouse.policies.entries import Once, read_entries
from warehouse.policies.family import list_family
from warehouse.policies.yaml_lines import Document, Place

KIND = "incidents"
VERSION = 1
MOST_RULES = 500
"""Most rules of all files together."""
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_RUNBOOK = re.compile(r"[a-z0-9-]+\.md")
_COLUMN = re.compile(r"[a-z_][a-z0-9_]*")
_LONGEST_ID = 100
_LONGEST_TITLE = 200


def compile_rules(bundle: Bundle, *, try_sql: bool = True) -> RuleSet:
    """Compile a lake's incident rules. The order of files and rules does not matter.

    `try_sql` also runs each rule on a lake without rows; rules in force went through that when they were applied.

    Raises:
        PolicyError: they cannot be used; `problems` names everything that is wrong, by file, line and key.
    """
    compiler = _Compiler()
    for document, content in read_entries(bundle, RuleFile, "rules", "rule", compiler.problems):
        compiler.read_file(document, content)
    if not compiler.problems and try_sql:
        compiler.try_sql()
    if compiler.problems:
        raise PolicyError(compiler.problems)
    rules = sorted((rule for _, _, rule in compiler.rules), key=lambda rule: rule.id)
    if len(rules) > MOST_RULES:
        message = f"got {len(rules):,} rules, expected at most {MOST_RULES}"
        raise PolicyError([Problem(f"{bundle.kind}/*.yaml", 1, "", message)])
    return RuleSet(bundle.content_hash, tuple(rules))


def default_bundle() -> Bundle:
    """The rule files that `init` puts in force."""
    entries = (files("pipelines.incidents") / "default_policies").iterdir()
    return read_bundle(KIND, {entry.name: entry.read_bytes() for entry in entries if entry.name.endswith(".yaml")})


FAMILY = list_family(
    KIND, "incident rules", default_bundle, package="pipelines.incidents", key="rules", name="id", group="rule"
)


class _Compiler:
    """Reads the files of one bundle, and keeps what holds across them: each id stands once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.rules: list[tuple[Document, Place, Rule]] = []
        self._ids = Once(self.problems)

    def read_file(self, document: Document, content: RuleFile) -> None:
        """Read the rules of one file."""
        if content.version != VERSION:
            got = "nothing" if content.version is None else repr(content.version)
            self.problems.append(document.problem(("version",), f"got {got}, expected {VERSION}"))
        for at, config in enumerate(content.rules):
            reader = _RuleReader(document, ("rules", at))
            rule = reader.read(config)
            self.problems += reader.problems
            if rule is not None:
                self.rules.append((document, ("rules", at), rule))
            self._ids.claim(document, ("rules", at, "id"), config.id)

    def try_sql(self) -> None:
        """Run every rule on a lake without rows."""
        from pipelines.incidents.sql_check import EmptyLake

        lake = EmptyLake()
        for document, place, rule in self.rules:
            if (message := lake.problem(rule)) is not None:
                self.problems.append(document.problem((*place, "sql"), message))


class _RuleReader:
    """Reads one rule, and collects what is wrong with it."""

    def __init__(self, document: Document, place: Place) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._place = place

    def read(self, config: RuleConfig) -> Rule | None:
        """The rule; None where anything is wrong."""
        if not _ID.fullmatch(config.id) or len(config.id) > _LONGEST_ID:
            self._report(
                "id", f"got {config.id!r}, expected small letters, digits and single hyphens, such as tool-loop"
            )
        title = config.title
        if not title or title != title.strip() or not title.isprintable() or len(title) > _LONGEST_TITLE:
            self._report(
                "title", f"got {title[:60]!r}, expected 1 to {_LONGEST_TITLE} printable characters on one line"
            )
        if config.severity not in list(Severity):
            self._report("severity", f"got {config.severity!r}, expected {', '.join(Severity)}")
        if not _RUNBOOK.fullmatch(config.runbook):
            self._report(
                "runbook", f"got {config.runbook!r}, expected a file below docs/runbooks/, such as tool-loop.md"
            )
        if config.reads not in list(Reads):
            self._report("reads", f"got {config.reads!r}, expected {', '.join(Reads)}")
        self._check_columns(config)
        self._check_parameters(config)
        if unknown := [name for name in config.legal_clocks if name not in LEGAL_CLOCKS]:
            self._report("legal_clocks", f"got {', '.join(unknown)}, expected of {', '.join(LEGAL_CLOCKS)}")
        cooldown = self._duration("cooldown", config.cooldown, least=1)
        look_back, settle = self._times(config)
        if self.problems:
            return None
        return Rule(
            id=config.id,
            title=title,
            severity=Severity(config.severity),
            runbook=config.runbook,
            group_by=tuple(config.group_by),
            cooldown=cooldown,
            reads=Reads(config.reads),
            look_back=look_back,
            settle=settle,
            sql=config.sql,
            parameters=config.parameters,
            tenants=config.tenants,
            legal_clocks=tuple(config.legal_clocks),
        )

    def _times(self, config: RuleConfig) -> tuple[int, int]:
        if config.reads == Reads.ALL and config.look_back is None:
            self._report("look_back", "got nothing, expected how far a rule that reads all looks back, such as P1D")
        if config.reads == Reads.NEW and config.look_back is not None:
            self._report("look_back", "got it on a rule that reads what is new, expected it with `reads: all` alone")
        if config.reads == Reads.ALL and config.settle is not None:
            self._report("settle", "got it on a rule that reads all, expected it with `reads: new` alone")
        look_back = 0 if config.look_back is None else self._duration("look_back", config.look_back, least=1)
        return look_back, 0 if config.settle is None else self._duration("settle", config.settle, least=0)

    def _check_columns(self, config: RuleConfig) -> None:
        for at, name in enumerate(config.group_by):
            if not _COLUMN.fullmatch(name):
                self._report(("group_by", at), f"got {name!r}, expected the name of a column of the result")
        if len(set(config.group_by)) != len(config.group_by):
            self._report("group_by", "got a column twice, expected each once")

    def _check_parameters(self, config: RuleConfig) -> None:
        for name in config.parameters:
            if not _COLUMN.fullmatch(name) or name in GIVEN_PARAMETERS:
                given = ", ".join(GIVEN_PARAMETERS)
                self._report(
                    ("parameters", name), f"got {name!r}, expected small letters, digits and _, and not {given}"
                )
        for tenant, own in config.tenants.items():
            try:
                if tenant != LAKE_TENANT:
                    check_name(tenant, "tenant")
            except MunimentError as exc:
                self._report(("tenants", tenant), str(exc))
            for name, value in own.items():
                place = ("tenants", tenant, name)
                if name not in config.parameters:
                    known = ", ".join(config.parameters) or "none: the rule has no parameters"
                    self._report(place, f"got an unknown parameter, expected {known}")
                elif _kind(value) != _kind(config.parameters[name]):
                    wanted = _kind(config.parameters[name])
                    self._report(place, f"got {_kind(value)}, expected {wanted} as in parameters")

    def _duration(self, key: str, text: str, *, least: int) -> int:
        try:
            nanos = parse_duration(text)
        except ValueError as exc:
            self._report(key, str(exc))
            return 0
        if nanos < least:
            self._report(key, f"got {text!r}, expected more than none")
        return nanos

    def _report(self, key: str | Place, message: str) -> None:
        place = (key,) if isinstance(key, str) else key
        self.problems.append(self._document.problem((*self._place, *place), message))


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list"
