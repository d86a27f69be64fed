"""What the search box may ask: a story, whose a token is, and what of a filter may stand in a page's address."""

from dataclasses import dataclass
from typing import Protocol

from dashboards.viewer import Viewer
from warehouse.questions.story import Bounds
from warehouse.questions.story_lines import Story


@dataclass(frozen=True)
class FilterText:
    """What somebody typed into a filter: what is looked for, and what of it may stand in the page's address, empty for nothing."""

    sought: str
    address: str


class SearchDesk(Protocol):
    """Answers the search box. Each method MUST refuse, with `DeniedError`, what the viewer may not ask."""

    def story(self, viewer: Viewer, tenant: str, text: str, bounds: Bounds) -> Story:
        """Everything that belongs to what somebody typed. A person's name MUST neither come back nor be kept."""
        ...

    def reveal(self, viewer: Viewer, tenant: str, token: str, reason: str) -> str:
        """Whose a token is; the reason is on record."""
        ...

    def filter_words(self, viewer: Viewer, tenant: str, typed: str) -> FilterText:
        """A text of a filter. What detectors find personal data in MUST stay out of the address."""
        ...

    def filter_person(self, viewer: Viewer, tenant: str, typed: str) -> FilterText:
        """Somebody in a filter: a name becomes their token for those who may reveal. It MUST NOT stand in the address."""
        ...
