"""Shipped entries put into an organisation's files, and withdrawn ones taken out, without touching a line of anything else.

A file of which nothing is the organisation's own becomes the shipped one, byte for byte.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from warehouse.policies.blocks import Blocks, Where
from warehouse.policies.bundle import Bundle
from warehouse.policies.family import Family


@dataclass(frozen=True)
class Entry:
    """Where an entry stands, and the fingerprint of what it says."""

    file: str
    said: str


class Splicer:
    """One splicing: their files with what is taken from the shipped ones, whose entries are `old` and `new`."""

    def __init__(
        self,
        family: Family,
        theirs: Bundle,
        shipped: Bundle,
        old: Mapping[Where, Entry],
        new: Mapping[Where, Entry],
    ) -> None:
        self._family = family
        self._theirs = theirs
        self._shipped = shipped
        self._old = old
        self._new = new
        self._held = _by_file(old)
        self._comes = _by_file(new)
        self._homes = {file: self._home(wheres) for file, wheres in self._comes.items()}

    def spliced(self, *, taken: Collection[Where], dropped: Collection[Where], left: Collection[Where]) -> Bundle:
        """The files with the shipped text of the entries `taken`, without those `dropped`; those `left` were taken out here.

        Raises:
            PolicyError: a file cannot be changed line by line.
        """
        files = dict(self._theirs.files)
        for file, wheres in self._comes.items():
            fresh = [where for where in wheres if where in taken and where not in self._old]
            if self._homes[file] is None and fresh:
                files[_free(file, files)] = self._fresh(file, fresh)
        for file, held in self._held.items():
            coming = {where for at, wheres in self._comes.items() if self._homes[at] == file for where in wheres}
            if not {*held, *(coming - self._old.keys())} & {*taken, *dropped}:
                continue
            text = self._whole(file, taken, dropped, left)
            if text is None:
                text = self._spliced_file(file, taken, dropped)
            if text:
                files[file] = text
            else:
                del files[file]
        return Bundle(self._theirs.kind, files)

    def _home(self, wheres: Collection[Where]) -> str | None:
        """The file of theirs that holds what a shipped one does."""
        return next((self._old[where].file for where in wheres if where in self._old), None)

    def _fresh(self, file: str, fresh: Collection[Where]) -> str:
        """A shipped file of which only some entries come in."""
        text = self._shipped.files[file]
        if {*fresh} == {*self._comes[file]}:
            return text
        blocks = self._family.blocks(file, text)
        return blocks.with_items(where for where in blocks.items if where in fresh).text()

    def _whole(
        self, file: str, taken: Collection[Where], dropped: Collection[Where], left: Collection[Where]
    ) -> str | None:
        """The shipped file in whose place it stands, where nothing in either is the organisation's own."""
        staying = {where for where in self._held[file] if where not in dropped}
        for at, wheres in self._comes.items():
            coming = {*wheres}
            if self._homes[at] != file or not staying <= coming or coming & {*left}:
                continue
            if all(where in taken or (where in staying and self._is_same(where)) for where in coming) and all(
                where in staying or where not in self._old for where in coming
            ):
                return self._shipped.files[at]
        return None

    def _is_same(self, where: Where) -> bool:
        return self._old[where].said == self._new[where].said

    def _spliced_file(self, file: str, taken: Collection[Where], dropped: Collection[Where]) -> str:
        """Their file with the shipped blocks of what is taken, new ones behind the entry that they follow as shipped."""
        ours = self._family.blocks(file, self._theirs.files[file])
        wanted = [where for where in ours.items if where not in dropped]
        for at in (at for at, home in self._homes.items() if home == file):
            order = list(self._blocks(at).items)
            for before, where in zip([None, *order], order, strict=False):
                if where in taken and where not in self._old:
                    wanted.insert(wanted.index(before) + 1 if before in wanted else len(wanted), where)
        if not wanted:
            return ""
        others = {where: self._blocks(self._new[where].file) for where in wanted if where in taken}
        found = ours.with_items(wanted, others)
        if ours.owner is not None and ours.owner in taken:
            found = replace(found, head=self._blocks(self._new[ours.owner].file).head)
        return found.text()

    def _blocks(self, file: str) -> Blocks:
        return self._family.blocks(file, self._shipped.files[file])


def _by_file(entries: Mapping[Where, Entry]) -> Mapping[str, list[Where]]:
    found: dict[str, list[Where]] = defaultdict(list)
    for where, entry in entries.items():
        found[entry.file].append(where)
    return found


def _free(file: str, taken: Collection[str]) -> str:
    return file if file not in taken else f"shipped-{file}"
