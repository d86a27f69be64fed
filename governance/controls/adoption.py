"""What this version ships against what a lake has in force, control by control, and the files that take it over.

A lake keeps the controls that it applied. Invariant: adopting changes only what is, word for word, a text that once came with the
package; what somebody wrote, changed or took out stays as they left it, down to their comments, and is named.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from governance.controls.blocks import Blocks
from governance.controls.framework import KIND, Controls, compile_controls, default_bundle, default_controls
from governance.controls.shipped import HEAD, Part, parts, was_shipped
from warehouse.policies import Bundle, PolicyError, Problem

Where = tuple[str, str]
"""Framework and control; the control is `HEAD` for the title and note of the framework."""


class Standing(StrEnum):
    """How a control in force stands to the one that this version ships."""

    SAME = "as shipped"
    NEW = "new"
    CHANGED = "changed"
    WITHDRAWN = "no longer shipped"
    OWN = "own"
    EDITED = "changed here"
    REMOVED = "removed here"

    @property
    def is_adopted(self) -> bool:
        """Whether adopting what is shipped changes it."""
        return self in {Standing.NEW, Standing.CHANGED, Standing.WITHDRAWN}


@dataclass(frozen=True)
class Adoption:
    """Each control's standing, and the bundle that would be in force after adopting."""

    standings: Mapping[Where, Standing]
    before: Bundle
    after: Bundle

    @property
    def waits(self) -> bool:
        """Whether this version ships something that is not in force."""
        return any(each.is_adopted for each in self.standings.values())

    def counts(self, framework: str | None = None) -> dict[Standing, int]:
        """How many controls stand how, of one framework or all; heads count only where they differ."""
        found = dict.fromkeys(Standing, 0)
        for (of, name), each in self.standings.items():
            if framework in {None, of} and (name != HEAD or each.is_adopted):
                found[each] += 1
        return found

    def summary(self, framework: str | None = None) -> str:
        """In a sentence how the controls in force, of one framework or all, differ from those shipped; empty where they do not."""
        said = [
            f"{count:,} {standing}"
            for standing, count in self.counts(framework).items()
            if count and standing is not Standing.SAME
        ]
        return f"controls in force against those of this version: {', '.join(said)}" if said else ""

    def named(self, *wanted: Standing) -> list[str]:
        """The controls that stand so, as people name them."""
        return [
            f"{framework} {name or '(title and note)'}"
            for (framework, name), each in self.standings.items()
            if each in wanted
        ]


def plan_adoption(in_force: Bundle | None, known: Collection[Where]) -> Adoption:
    """Compare what is in force with what this version ships; `known` is every control that was ever in force here.

    Raises:
        PolicyError: what is in force was written for another version, or cannot be changed line by line.
    """
    shipped = default_bundle()
    if in_force is None or in_force.content_hash == shipped.content_hash:
        return Adoption(dict.fromkeys(sorted(parts(default_controls())), Standing.SAME), shipped, shipped)
    theirs = compile_controls(in_force)
    old, new = parts(theirs), parts(default_controls())
    # a framework that was taken out whole stays out, with what was added to it since
    gone = {where for where in new if (where[0], HEAD) in known and where[0] not in theirs.frameworks}
    standings = {
        where: _standing(where, old.get(where), new.get(where), {*known, *gone}) for where in sorted({*old, *new})
    }
    for framework in theirs.frameworks.keys() - default_controls().frameworks.keys():
        if any(of == framework and each is Standing.OWN for (of, _), each in standings.items()):
            standings[framework, HEAD] = Standing.OWN  # whatever stays needs its head
    after = _merged(in_force, theirs, shipped, standings)
    _check(after, old, new, standings)
    return Adoption(standings, in_force, after)


def _standing(where: Where, old: Part | None, new: Part | None, known: Collection[Where]) -> Standing:
    if old is None:
        return Standing.REMOVED if where in known else Standing.NEW
    if old == new:
        return Standing.SAME
    if was_shipped(where, old):
        return Standing.WITHDRAWN if new is None else Standing.CHANGED
    return Standing.OWN if new is None else Standing.EDITED


def _merged(theirs: Bundle, compiled: Controls, shipped: Bundle, standings: Mapping[Where, Standing]) -> Bundle:
    files = dict(theirs.files)
    names = _file_names(theirs)
    for file, text in shipped.files.items():
        framework = _file_names(Bundle(KIND, {file: text})).popitem()[0]
        of = {name: each for (where, name), each in standings.items() if where == framework}
        if framework not in compiled.frameworks:
            if Standing.NEW in of.values():
                files[_free(file, files)] = text
        elif any(each.is_adopted for each in of.values()):
            name = names[framework]
            kept = {Standing.OWN, Standing.EDITED, Standing.REMOVED}
            files[name] = _spliced(name, files[name], text, of) if kept & set(of.values()) else text
    for framework in compiled.frameworks.keys() - default_controls().frameworks.keys():
        of = {name: each for (where, name), each in standings.items() if where == framework}
        name = names[framework]
        if set(of.values()) == {Standing.WITHDRAWN}:
            del files[name]
        elif Standing.WITHDRAWN in of.values():
            files[name] = _spliced(name, files[name], files[name], of)
    return Bundle(KIND, files)


def _spliced(file: str, theirs: str, shipped: str, of: Mapping[str, Standing]) -> str:
    """Their file with the shipped blocks of what is adopted, new ones behind the control that they follow as shipped."""
    ours, new = Blocks.read(file, theirs), Blocks.read(file, shipped)
    wanted = [name for name in ours.items if of[name] is not Standing.WITHDRAWN]
    for before, name in zip([None, *new.items], new.items, strict=False):
        if of[name] is Standing.NEW:
            wanted.insert(wanted.index(before) + 1 if before in wanted else len(wanted), name)
    taken = {name for name, each in of.items() if each in {Standing.NEW, Standing.CHANGED}}
    blocks = ours.with_items(wanted, taken, new)
    head = new.head if of.get(HEAD) is Standing.CHANGED else ours.head
    return head + blocks.text()[len(blocks.head) :]


def _check(
    after: Bundle, old: Mapping[Where, Part], new: Mapping[Where, Part], standings: Mapping[Where, Standing]
) -> None:
    """What was put together says what it should: each control one of the two texts, by its standing."""
    found = parts(compile_controls(after))
    wanted: dict[Where, Part] = {}
    for where, each in standings.items():
        if each in {Standing.NEW, Standing.CHANGED}:
            wanted[where] = new[where]
        elif each not in {Standing.WITHDRAWN, Standing.REMOVED}:
            wanted[where] = old[where]
    wrong = sorted(where for where in {*wanted, *found} if wanted.get(where) != found.get(where))
    if wrong:
        framework, name = wrong[0]
        message = "got lines that cannot be put together, expected a list of controls, each on lines of its own"
        raise PolicyError([Problem(_file_names(after).get(framework, framework), 1, name, message)])


def _file_names(bundle: Bundle) -> dict[str, str]:
    """The file of each framework."""
    found: dict[str, str] = {}
    for name, text in bundle.files.items():
        compiled = compile_controls(Bundle(KIND, {name: text}))
        found |= dict.fromkeys(compiled.frameworks, name)
    return found


def _free(file: str, taken: Collection[str]) -> str:
    return file if file not in taken else f"shipped-{file}"
