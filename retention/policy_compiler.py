"""From policy files to the retention policy in force, or to a list of everything that is wrong with them.

An error in one entry does not hide those of the others; nothing is compiled unless all of it is right.
"""

from functools import cache
from importlib.resources import files

from retention.policy import RetentionPolicy
from retention.policy_checks import find_gaps, find_long_contents, find_ties, find_undercuts
from retention.policy_config import PolicyFile
from retention.policy_reader import Entry, EntryReader
from warehouse.policies import Bundle, PolicyError, Problem, read_bundle
from warehouse.policies.family import list_family
from warehouse.policies.yaml_lines import Place, convert, read_document

KIND = "retention"
MOST_ENTRIES = 1_000
"""Most entries of all files together: each is held against each other."""


def compile_policy(bundle: Bundle) -> RetentionPolicy:
    """Compile a lake's retention policies. The order of files and entries does not matter.

    Raises:
        PolicyError: they cannot be used; `problems` names everything that is wrong, by file, line and key.
    """
    compiler = _Compiler()
    for name, text in bundle.files.items():
        compiler.read_file(name, text)
    if compiler.problems:
        raise PolicyError(compiler.problems)
    entries = compiler.entries
    if len(entries) > MOST_ENTRIES:
        message = f"got {len(entries):,} entries, expected at most {MOST_ENTRIES:,}"
        raise PolicyError([Problem(f"{bundle.kind}/*.yaml", 1, "", message)])
    rules = [entry.rule for entry in entries if entry.rule is not None]
    minimums = [entry.minimum for entry in entries if entry.minimum is not None]
    policy = RetentionPolicy(bundle.content_hash, rules, minimums)
    problems = [*find_ties(entries), *find_gaps(bundle.kind, entries), *find_undercuts(entries)]
    if not problems:
        problems += find_long_contents(policy, entries)
    if problems:
        raise PolicyError(problems)
    return policy


@cache
def default_policy() -> RetentionPolicy:
    """The policy that comes with the package, compiled: what is in force where none was applied."""
    return compile_policy(default_bundle())


def default_bundle() -> Bundle:
    """The policy files that `init` puts in force."""
    return read_bundle(KIND, _yaml_files("default_policies"))


def example_files() -> dict[str, bytes]:
    """Name and content of each policy to choose from; in force only once moved beside the others and applied."""
    return _yaml_files("default_policies/examples")


def _yaml_files(folder: str) -> dict[str, bytes]:
    entries = (files("retention") / folder).iterdir()
    return {entry.name: entry.read_bytes() for entry in entries if entry.name.endswith(".yaml")}


FAMILY = list_family(
    KIND, "retention rules", default_bundle, package="retention", key="retention", name="name", group="rule"
)


class _Compiler:
    """Reads the files of one bundle, and keeps what holds across them: each name stands once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.entries: list[Entry] = []
        self._names: dict[str, str] = {}

    def read_file(self, name: str, text: str) -> None:
        """Read the entries of one file."""
        try:
            document = read_document(name, text)
            content = convert(document, PolicyFile)
        except PolicyError as exc:
            self.problems += exc.problems
            return
        if not content.retention:
            self.problems.append(document.problem(("retention",), "got an empty list, expected one entry or more"))
        for at, config in enumerate(content.retention):
            place: Place = ("retention", at)
            reader = EntryReader(document, place, config)
            self.entries.append(reader.read())
            self.problems += reader.problems
            where = f"{name}:{document.problem((*place, 'name'), '').line}"
            if (first := self._names.setdefault(config.name, where)) is not where:
                message = f"got {config.name!r} twice, expected it once: {first} has it already"
                self.problems.append(document.problem((*place, "name"), message))
