"""Cedar text cut into its policies, so that each can be named by file and line.

Only strings, comments and semicolons are looked at: what a policy says is the engine's to read. Cedar comments run from `//` to the
end of the line; a semicolon outside of strings and comments ends a policy.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"?|//[^\n]*|;|\s+|[^\s";/]+|/', re.DOTALL)
_ANNOTATION = re.compile(r'@(\w+)\s*\(\s*"((?:\\.|[^"\\])*)"\s*\)\s*')


@dataclass(frozen=True)
class Statement:
    """One policy as it stands in a file: `line` (from 1) is where its first word is, `text` its text without comments before it."""

    file: str
    line: int
    text: str

    @property
    def annotations(self) -> Mapping[str, str]:
        """The annotations that stand before it, such as `id`; one without a value is left out."""
        found, position = {}, 0
        while match := _ANNOTATION.match(self.text, position):
            found[match[1]] = match[2]
            position = match.end()
        return found

    @property
    def id(self) -> str:
        """Its `@id`, empty where it has none."""
        return self.annotations.get("id", "")

    def line_of(self, words: str) -> int:
        """The line on which `words` stand in it first; its own where they do not."""
        position = self.text.find(words)
        return self.line + (self.text.count("\n", 0, position) if position > 0 else 0)


def split_statements(file: str, text: str) -> Iterator[Statement]:
    """Cut a file into its policies; what stands after the last semicolon, unless it is a comment, is one too."""
    start: int | None = None
    for token in _TOKEN.finditer(text):
        words = token[0]
        if start is None:
            if words.isspace() or words.startswith("//"):
                continue
            start = token.start()
        if words == ";":
            yield Statement(file, text.count("\n", 0, start) + 1, text[start : token.end()])
            start = None
    if start is not None:
        yield Statement(file, text.count("\n", 0, start) + 1, text[start:].rstrip())
