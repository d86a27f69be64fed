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
from warehouse.policies.entries import Once, read_entries
from warehouse.policies.family import list_family
from warehouse.policies.yaml_lines import Document, Place

KIND = "retention"
MOST_ENTRIES = 1_000
"""Most entries of all files together: each is held against each other."""


def compile_policy(bundle: Bundle) -> RetentionPolicy:
    """Compile a lake's retention policies. The order of files and entries does not matter.

    Raises:
        PolicyError: they cannot be used; `problems` names everything that is wrong, by file, line and key.
    """
    compiler = _Compiler()
    for document, content in read_entries(bundle, PolicyFile, "retention", "entry", compiler.problems):
        compiler.read_file(document, content)
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
        self._names = Once(self.problems)

    def read_file(self, document: Document, content: PolicyFile) -> None:
        """Read the entries of one file."""
        for at, config in enumerate(content.retention):
            place: Place = ("retention", at)
            reader = EntryReader(document, place, config)
            self.entries.append(reader.read())
            self.problems += reader.problems
            self._names.claim(document, (*place, "name"), config.name)
