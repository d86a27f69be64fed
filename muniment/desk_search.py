"""Carries out what the search box asks for: the functions of `muniment search` and `muniment subject reveal`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dashboards.search_desk import FilterText
from dashboards.viewer import Viewer
from muniment.filter_texts import filter_person, filter_words
from muniment.story import tell_story
from muniment.subjects import reveal_subject
from muniment.wiring import CommandContext
from warehouse.questions.story import Bounds
from warehouse.questions.story_lines import Story

RecordSearch = Callable[[CommandContext, str, str, str | None, Mapping[str, object]], None]
"""`record_search(context, tenant, kind, what, attributes)` records a view, or raises."""


@dataclass(frozen=True)
class LakeSearch:
    """The search of one lake; `context_of` gives the lake as the holder of a ticket sees it, or refuses."""

    context_of: Callable[[Viewer], CommandContext]
    record_search: RecordSearch

    def story(self, viewer: Viewer, tenant: str, text: str, bounds: Bounds) -> Story:
        """As `SearchDesk.story`."""
        context = self.context_of(viewer)
        return tell_story(
            context, tenant, text, bounds=bounds, record_view=lambda *view: self.record_search(context, *view)
        )

    def reveal(self, viewer: Viewer, tenant: str, token: str, reason: str) -> str:
        """As `SearchDesk.reveal`."""
        return reveal_subject(self.context_of(viewer), tenant=tenant, token=token, reason=reason)

    def filter_words(self, viewer: Viewer, tenant: str, typed: str) -> FilterText:
        """As `SearchDesk.filter_words`."""
        return filter_words(self.context_of(viewer), tenant, typed)

    def filter_person(self, viewer: Viewer, tenant: str, typed: str) -> FilterText:
        """As `SearchDesk.filter_person`."""
        context = self.context_of(viewer)
        return filter_person(context, tenant, typed, lambda *view: self.record_search(context, *view))
