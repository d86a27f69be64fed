"""What the search box may ask: a story, and whose a token is."""

from typing import Protocol

from dashboards.viewer import Viewer
from warehouse.questions.story import Bounds
from warehouse.questions.story_lines import Story


class SearchDesk(Protocol):
    """Answers the search box. Each method MUST refuse, with `DeniedError`, what the viewer may not ask."""

    def story(self, viewer: Viewer, tenant: str, text: str, bounds: Bounds) -> Story:
        """Everything that belongs to what somebody typed. A person's name MUST neither come back nor be kept."""
        ...

    def reveal(self, viewer: Viewer, tenant: str, token: str, reason: str) -> str:
        """Whose a token is; the reason is on record."""
        ...
