"""What a page consists of, as plain HTML: what a browser can show before Streamlit's own program has come up in it.

It is made from the messages that the program would get. Nothing of it can be used yet but its links: fields and buttons are drawn as
they will stand, a chart as the room that it will take, a long table as the rows that are seen without scrolling.

Invariant: every text of a message is escaped, whatever Markdown it may hold; only bold, slanted and coloured text and icons are read from it, and only
where Streamlit reads Markdown too.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import quote

from streamlit.proto.Block_pb2 import Block
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Markdown_pb2 import Markdown
from streamlit.proto.Navigation_pb2 import Navigation

from dashboards.plain_table import table

_MAIN, _SIDEBAR = 0, 1
_USEFUL = frozenset({"dataframe", "table", "metric", "vega_lite_chart", "alert", "text"})
"""Elements that make a page an answer, which its title, its lead and its filters alone are not."""
_ALERTS = ("", "error", "warning", "info", "success")
_HEADINGS = frozenset({"h1", "h2", "h3"})
_CHART_PIXELS = 220
_ICON = '<i class="icon"></i>'


@dataclass
class Node:
    """A block or an element, and what stands in it by its place."""

    block: Block | None = None
    element: Element | None = None
    children: dict[int, "Node"] = field(default_factory=dict)

    def elements(self) -> Iterator[Element]:
        """The elements in it, in the order of the page."""
        if self.element is not None:
            yield self.element
        for _, each in sorted(self.children.items()):
            yield from each.elements()


def tree(messages: Iterable[ForwardMsg]) -> Node:
    """What the messages of one run put where."""
    root = Node()
    for message in messages:
        if message.WhichOneof("type") != "delta":
            continue
        node = root
        for place in message.metadata.delta_path:
            node = node.children.setdefault(place, Node())
        kind = message.delta.WhichOneof("type")
        if kind == "new_element":
            node.element, node.block, node.children = message.delta.new_element, None, {}
        elif kind == "add_block":
            node.element, node.block, node.children = None, message.delta.add_block, {}
    return root


def is_useful(root: Node) -> bool:
    """Whether a page that is not yet complete says more than its title, its lead and its filters."""
    kinds = [str(each.WhichOneof("type")) for each in root.children.get(_MAIN, Node()).elements()]
    return "heading" in kinds and not _USEFUL.isdisjoint(kinds)


def page(root: Node, pages: Navigation | None, tenant: str) -> str:
    """The whole page: the sidebar with its links, and what stands beside it."""
    links = "" if pages is None else _links(pages, tenant)
    aside = f"<aside><nav>{links}</nav>{_inside(root.children.get(_SIDEBAR, Node()))}</aside>"
    return f"{aside}<main>{_inside(root.children.get(_MAIN, Node()))}</main>"


def _links(pages: Navigation, tenant: str) -> str:
    query = f"?tenant={quote(tenant)}" if tenant else ""
    return "".join(
        f'<a href="/{quote(each.url_pathname)}{query}"'
        f"{' aria-current=page' if each.page_script_hash == pages.page_script_hash else ''}>{escape(each.page_name)}</a>"
        for each in pages.app_pages
        if not each.is_hidden and not each.is_default
    )


def _inside(node: Node) -> str:
    return "".join(_drawn(each) for _, each in sorted(node.children.items()))


def _drawn(node: Node) -> str:
    if node.element is not None:
        kind = str(node.element.WhichOneof("type"))
        draw = _ELEMENTS.get(kind)
        return "" if draw is None else draw(getattr(node.element, kind), node.element)
    return "" if node.block is None else _block(node, node.block)


def _block(node: Node, block: Block) -> str:
    kind = block.WhichOneof("type")
    if kind == "expandable":
        is_open = block.expandable.expanded or block.expandable.default_expanded
        return f"<details{' open' if is_open else ''}><summary>{marked(block.expandable.label)}</summary>{_inside(node)}</details>"
    if kind == "tab_container":
        tabs = [each for _, each in sorted(node.children.items()) if each.block is not None]
        labels = "".join(f"<span>{marked(each.block.tab.label)}</span>" for each in tabs if each.block is not None)
        first = _inside(tabs[block.tab_container.default_tab_index]) if tabs else ""
        return f'<div class="tabs">{labels}</div>{first}'
    if kind == "popover":
        return f'<span class="button">{marked(block.popover.label)}</span>'
    if kind == "dialog":
        return ""
    if kind == "column":
        return f'<div class="column" style="flex:{block.column.weight:.6g} 1 0">{_inside(node)}</div>'
    framed = (kind == "form" and block.form.border) or (kind == "flex_container" and block.flex_container.border)
    beside = kind == "horizontal" or (
        kind == "flex_container" and block.flex_container.direction == Block.FlexContainer.HORIZONTAL
    )
    inner = _inside(node)
    return f'<div class="{"beside" if beside else "below"}{" framed" if framed else ""}">{inner}</div>' if inner else ""


def marked(text: str) -> str:
    """A text in which Streamlit reads Markdown, as HTML: escaped first, then what is bold, slanted or coloured; an icon is the room that it takes."""
    found = escape(text)
    found = re.sub(r":material/[a-z0-9_]+:", _ICON, found)
    found = re.sub(r":([a-z]+)\[([^\[\]]*)\]", r'<span class="\1">\2</span>', found)
    found = re.sub(r"\*\*([^*\n]+)\*\*", r"<b>\1</b>", found)
    found = re.sub(r"(?<![*\w])\*([^*\s][^*\n]*)\*(?![*\w])", r"<em>\1</em>", found)
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", found).strip()


def _heading(found: Any, _: Element) -> str:
    tag = found.tag if found.tag in _HEADINGS else "h3"
    return f"<{tag}>{marked(found.body)}</{tag}>"


def _markdown(found: Markdown, _: Element) -> str:
    grey = ' class="caption"' if found.element_type == Markdown.CAPTION else ""
    return f"<p{grey}>{marked(found.body)}</p>"


def _alert(found: Any, _: Element) -> str:
    icon = f"{_ICON} " if found.icon else ""
    return f'<div class="alert {_ALERTS[found.format]}">{icon}<div>{marked(found.body)}</div></div>'


def _metric(found: Any, _: Element) -> str:
    more = f'<div class="caption">{escape(found.delta)}</div>' if found.delta else ""
    return f'<div class="metric"><div>{marked(found.label)}</div><strong>{escape(found.body)}</strong>{more}</div>'


def _dataframe(found: Any, element: Element) -> str:
    return table(found.arrow_data.data, found.columns, element.height_config.pixel_height)


def _code(found: Any, _: Element) -> str:
    return f"<pre>{escape(found.code_text)}</pre>"


def _chart(*_: object) -> str:
    return f'<div class="chart" style="height:{_CHART_PIXELS}px"></div>'


def _button(found: Any, _: Element) -> str:
    look = {"tertiary": " bare", "primary": " first"}.get(found.type, "")
    return f'<span class="button{look}">{f"{_ICON} " if found.icon else ""}{marked(found.label)}</span>'


def _field(value: Callable[[Any], str]) -> Callable[[Any, Element], str]:
    def draw(found: Any, _: Element) -> str:
        return f'<div class="field"><label>{marked(found.label)}</label><div>{escape(value(found)) or "&nbsp;"}</div></div>'

    return draw


def _chosen(found: Any) -> str:
    is_one = 0 <= found.default < len(found.options)
    return str(found.raw_value or (found.options[found.default] if is_one else found.placeholder))


_ELEMENTS: Mapping[str, Callable[[Any, Element], str]] = {
    "heading": _heading,
    "markdown": _markdown,
    "text": lambda found, _: f'<div class="text">{escape(found.body)}</div>',
    "alert": _alert,
    "metric": _metric,
    "dataframe": _dataframe,
    "code": _code,
    "vega_lite_chart": _chart,
    "button": _button,
    "download_button": _button,
    "link_button": _button,
    "checkbox": lambda found, _: f'<div class="check">{"☑" if found.default else "☐"} {marked(found.label)}</div>',
    "selectbox": _field(_chosen),
    "text_input": _field(lambda found: str(found.value or found.default or found.placeholder)),
    "text_area": _field(lambda found: str(found.value or found.default or found.placeholder)),
    "file_uploader": _field(lambda _: "Upload"),
    "number_input": _field(lambda found: f"{found.default:g}"),
    "date_input": _field(lambda found: ", ".join(found.default)),
    "multiselect": _field(lambda found: ", ".join(found.options[each] for each in found.default) or found.placeholder),
}
