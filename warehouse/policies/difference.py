"""What would change: two bundles side by side, as a unified diff and in words."""

import difflib
from dataclasses import dataclass

from warehouse.policies.bundle import Bundle


@dataclass(frozen=True)
class FileChange:
    """One file that differs. `change` is `added`, `removed` or `changed`."""

    name: str
    change: str
    lines_added: int
    lines_removed: int

    def __str__(self) -> str:
        return f"{self.name} {self.change} (+{self.lines_added} -{self.lines_removed} lines)"


@dataclass(frozen=True)
class Difference:
    """What applying a folder would change: file by file, and as a unified diff, both empty where nothing would."""

    changes: tuple[FileChange, ...]
    unified: str

    def summary(self) -> str:
        """The change in a sentence."""
        return "nothing changes" if not self.changes else "; ".join(map(str, self.changes))


def compare(old: Bundle, new: Bundle) -> Difference:
    """Compare what is in force with what would be."""
    changes, parts = [], []
    for name in sorted({*old.files, *new.files}):
        before, after = old.files.get(name), new.files.get(name)
        if before == after:
            continue
        lines = list(
            difflib.unified_diff(
                _lines(before),
                _lines(after),
                fromfile="/dev/null" if before is None else f"in force/{name}",
                tofile="/dev/null" if after is None else f"folder/{name}",
            )
        )
        added = sum(line.startswith("+") for line in lines[2:])
        removed = sum(line.startswith("-") for line in lines[2:])
        kind = "added" if before is None else "removed" if after is None else "changed"
        changes.append(FileChange(name, kind, added, removed))
        parts += lines
    return Difference(tuple(changes), "".join(parts))


def _lines(text: str | None) -> list[str]:
    """Lines with their ends; a last one without is marked, as `diff` does, so that the next header begins a line."""
    if not text:
        return []
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([f"{last}\n\\ No newline at end of file\n"] if last else [])
