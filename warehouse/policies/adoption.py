"""What this version ships against what a lake has in force, entry by entry, and the files that take it over.

A lake keeps the policies that it applied. Invariant: adopting changes only what is, word for word, a text that once came with the
package; what somebody wrote, changed or took out stays as they left it, down to their comments, and is named.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from warehouse.policies.blocks import HEAD, Where
from warehouse.policies.bundle import Bundle
from warehouse.policies.errors import PolicyError, Problem
from warehouse.policies.family import Family
from warehouse.policies.splicing import Entry, Splicer


class Standing(StrEnum):
    """How an entry in force stands to the one that this version ships."""

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
    """Each entry's standing, and the bundle that would be in force after adopting; `noun` is what the entries are called."""

    noun: str
    standings: Mapping[Where, Standing]
    before: Bundle
    after: Bundle

    @property
    def waits(self) -> bool:
        """Whether this version ships something that is not in force."""
        return any(each.is_adopted for each in self.standings.values())

    def counts(self, group: str | None = None) -> dict[Standing, int]:
        """How many entries stand how, of one group or all; heads count only where they differ."""
        found = dict.fromkeys(Standing, 0)
        for (of, name), each in self.standings.items():
            if group in {None, of} and (name != HEAD or each.is_adopted):
                found[each] += 1
        return found

    def summary(self, group: str | None = None) -> str:
        """In a sentence how the entries in force, of one group or all, differ from those shipped; empty where they do not."""
        said = [
            f"{count:,} {standing}"
            for standing, count in self.counts(group).items()
            if count and standing is not Standing.SAME
        ]
        return f"{self.noun} in force against those of this version: {', '.join(said)}" if said else ""

    def named(self, *wanted: Standing) -> list[str]:
        """The entries that stand so, as people name them."""
        return [
            f"{group} {name or '(title and note)'}" for (group, name), each in self.standings.items() if each in wanted
        ]


def entries(family: Family, bundle: Bundle) -> dict[Where, Entry]:
    """Every entry of a bundle: the file that it stands in, and the fingerprint of what it says.

    Raises:
        PolicyError: a file cannot be read.
    """
    return {
        where: Entry(file, said)
        for file, text in bundle.files.items()
        for where, said in family.parts(file, text).items()
    }


def plan_adoption(family: Family, in_force: Bundle | None, known: Collection[Where]) -> Adoption:
    """Compare what is in force with what this version ships; `known` is every entry that was ever in force here.

    Raises:
        PolicyError: what is in force was written for another version, or cannot be changed line by line.
    """
    shipped = family.shipped()
    new = entries(family, shipped)
    if in_force is None or in_force.content_hash == shipped.content_hash:
        return Adoption(family.noun, dict.fromkeys(sorted(new), Standing.SAME), shipped, shipped)
    old = entries(family, in_force)
    groups = {group for group, _ in old}
    # a group that was taken out whole stays out, with what was added to it since
    gone = {where for where in new if (where[0], HEAD) in known and where[0] not in groups}
    standings = {
        where: _standing(family, where, old.get(where), new.get(where), {*known, *gone})
        for where in sorted({*old, *new})
    }
    kept = {group for (group, _), each in standings.items() if each is Standing.OWN}
    for where, each in standings.items():
        if where[1] == HEAD and each is Standing.WITHDRAWN and where[0] in kept:
            standings[where] = Standing.OWN  # whatever stays needs its head
    after = _merged(family, in_force, shipped, old, new, standings)
    _check(family, after, old, new, standings)
    return Adoption(family.noun, standings, in_force, after)


def _standing(family: Family, where: Where, old: Entry | None, new: Entry | None, known: Collection[Where]) -> Standing:
    if old is None:
        return Standing.REMOVED if where in known else Standing.NEW
    if new is not None and old.said == new.said:
        return Standing.SAME
    if old.said in family.ever().get(where, ()):
        return Standing.WITHDRAWN if new is None else Standing.CHANGED
    return Standing.OWN if new is None else Standing.EDITED


def _merged(
    family: Family,
    theirs: Bundle,
    shipped: Bundle,
    old: Mapping[Where, Entry],
    new: Mapping[Where, Entry],
    standings: Mapping[Where, Standing],
) -> Bundle:
    taken = {where for where, each in standings.items() if each in {Standing.NEW, Standing.CHANGED}}
    dropped = {where for where, each in standings.items() if each is Standing.WITHDRAWN}
    left = {where for where, each in standings.items() if each is Standing.REMOVED}
    return Splicer(family, theirs, shipped, old, new).spliced(taken=taken, dropped=dropped, left=left)


def _check(
    family: Family,
    after: Bundle,
    old: Mapping[Where, Entry],
    new: Mapping[Where, Entry],
    standings: Mapping[Where, Standing],
) -> None:
    """What was put together says what it should: each entry one of the two texts, by its standing."""
    found = entries(family, after)
    wanted: dict[Where, str] = {}
    for where, each in standings.items():
        if each in {Standing.NEW, Standing.CHANGED}:
            wanted[where] = new[where].said
        elif each not in {Standing.WITHDRAWN, Standing.REMOVED}:
            wanted[where] = old[where].said
    said = {where: entry.said for where, entry in found.items()}
    wrong = sorted(where for where in {*wanted, *said} if wanted.get(where) != said.get(where))
    if wrong:
        where = wrong[0]
        message = f"got lines that cannot be put together, expected {family.noun} each on lines of its own"
        raise PolicyError([Problem((found.get(where) or old.get(where) or new[where]).file, 1, where[1], message)])
