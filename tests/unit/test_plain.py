"""A page as plain HTML, made of the messages that Streamlit's program would get."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from streamlit.proto.Block_pb2 import Block
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Navigation_pb2 import Navigation

from dashboards.plain import is_useful, marked, page, tree
from dashboards.plain_table import table

TAKEN = "<script>taken()</script>"
ESCAPED = "&lt;script&gt;taken()&lt;/script&gt;"


def put(path, element=None, block=None):
    """A message that puts an element or a block at a place."""
    message = ForwardMsg()
    message.metadata.delta_path.extend(path)
    if element is not None:
        message.delta.new_element.CopyFrom(element)
    else:
        message.delta.add_block.CopyFrom(block or Block(allow_empty=True))
    return message


def element(kind, **fields):
    """An element of a kind."""
    made = Element()
    for name, value in fields.items():
        part = getattr(made, kind)
        getattr(part, name).extend(value) if isinstance(value, list) else setattr(part, name, value)
    return made


def arrow(rows):
    """Rows as Streamlit sends them."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("heading", {"tag": "h1", "body": TAKEN}),
        ("heading", {"tag": TAKEN, "body": "x"}),
        ("markdown", {"body": TAKEN, "allow_html": True}),
        ("markdown", {"body": f":red[{TAKEN}] **{TAKEN}** `{TAKEN}` :{TAKEN}[x]"}),
        ("text", {"body": TAKEN}),
        ("alert", {"body": TAKEN, "format": 1}),
        ("metric", {"label": TAKEN, "body": TAKEN, "delta": TAKEN}),
        ("code", {"code_text": TAKEN}),
        ("button", {"label": TAKEN, "type": TAKEN}),
        ("checkbox", {"label": TAKEN}),
        ("selectbox", {"label": TAKEN, "options": [TAKEN]}),
        ("text_input", {"label": TAKEN, "default": TAKEN, "placeholder": TAKEN}),
        ("date_input", {"label": TAKEN, "default": [TAKEN]}),
        ("html", {"body": TAKEN}),
        ("vega_lite_chart", {"spec": TAKEN}),
    ],
)
def test_no_text_becomes_markup(kind, fields):
    """Whatever an element holds is shown as text, or not at all."""
    shown = page(tree([put([0, 0], element(kind, **fields))]), None, TAKEN)
    assert "<script" not in shown
    assert "alert(" not in shown


def test_a_tables_values_stay_text():
    """Names of columns and values too; a link leads to a page of this application alone."""
    rows = pa.table({TAKEN: [TAKEN, "x"], "open": ["/trace?trace=1&a=<b>#open", "javascript:taken()#open"]})
    shown = table(arrow(rows), json.dumps({"open": {"type_config": {"type": "link"}}}), 0)
    assert "<script" not in shown
    assert shown.count(ESCAPED) == 2
    assert shown.count("<a href=") == 1
    assert '<a href="/trace?trace=1&amp;a=&lt;b&gt;#open">open</a>' in shown


@pytest.mark.parametrize(
    "address", ["//taken.example#open", "/\\taken.example#open", "/\t/taken.example#open", "https://taken.example#open"]
)
def test_no_link_leads_to_another_machine(address):
    """A browser takes a second slash, also one turned round, for the beginning of a machine's name."""
    shown = table(arrow(pa.table({"open": [address]})), json.dumps({"open": {"type_config": {"type": "link"}}}), 0)
    assert "<a" not in shown


def test_values_are_written_as_the_table_will_show_them():
    """Counts in groups of three, money with its sign, times to the second, nothing where there is nothing; hidden columns not at all."""
    rows = pa.table(
        {
            "steps": [39_371],
            "cost": [1.5],
            "share": [0.25],
            "time": [datetime(2026, 11, 24, 22, 59, 27, 5, UTC)],
            "sure": [True],
            "none": pa.array([None], pa.int64()),
            "record number": [12_345],
            "secret": ["hidden"],
        }
    )
    form = {"steps": "localized", "cost": "$%.4f"}
    asked = {name: {"type_config": {"type": "number", "format": each}} for name, each in form.items()}
    shown = table(arrow(rows), json.dumps({**asked, "secret": {"hidden": True}}), 0)
    for said in (">39,371<", ">$1.5000<", ">0.25<", ">2026-11-24 22:59:27<", ">☑<", "<td></td>", ">12345<"):
        assert said in shown
    assert "hidden" not in shown
    assert "secret" not in shown


def test_a_long_table_holds_what_is_seen_of_it():
    """No more rows than stand in its height, and no more of a value than stands in a line."""
    rows = pa.table({"text": ["x" * 10_000_000] + ["y"] * 5_000})
    shown = table(arrow(rows), "", 0)
    assert shown.count("<tr>") == 1 + 11
    assert len(shown) < 5_000
    assert table(arrow(rows), "", 4_000_000).count("<tr>") == 1 + 40


def test_what_takes_a_place_replaces_what_stood_there():
    """As in the program: a spinner that is emptied leaves nothing, an element in a block's place takes its children along."""
    text = [element("text", body=word) for word in ("first", "second", "third")]
    root = tree([put([0]), put([0, 1]), put([0, 1, 0], text[0]), put([0, 0], text[1]), put([0, 1], text[2])])
    shown = page(root, None, "")
    assert "first" not in shown
    assert shown.index("second") < shown.index("third")


def test_only_the_chosen_tab_is_drawn():
    """Labels of all, contents of the first; what is folded stays folded."""
    tabs = [Block(tab=Block.Tab(label=label)) for label in ("one", "two")]
    fold = Block(expandable=Block.Expandable(label="more"))
    messages = [
        put([0, 0], block=Block(tab_container=Block.TabContainer())),
        *(put([0, 0, place], block=each) for place, each in enumerate(tabs)),
        put([0, 0, 0, 0], element("text", body="in one")),
        put([0, 0, 1, 0], element("text", body="in two")),
        put([0, 1], block=fold),
        put([0, 1, 0], element("text", body="folded")),
    ]
    shown = page(tree(messages), None, "")
    assert "<span>one</span><span>two</span>" in shown
    assert "in one" in shown
    assert "in two" not in shown
    assert "<details><summary>more</summary>" in shown


def test_the_sidebar_leads_to_the_pages_of_the_tenant():
    """Links work before any program runs; pages that are hidden have none."""
    pages = Navigation(page_script_hash="b")
    for name, place, hidden in (("Muniment", "", True), ("Overview", "overview", False), ("<b>", "b", False)):
        pages.app_pages.add(page_name=name, url_pathname=place, is_hidden=hidden, page_script_hash=place)
    shown = page(tree([]), pages, 'a"b')
    assert '<a href="/overview?tenant=a%22b">Overview</a>' in shown
    assert '<a href="/b?tenant=a%22b" aria-current=page>&lt;b&gt;</a>' in shown
    assert "Muniment" not in shown


def test_a_page_is_useful_with_an_answer_beside_its_title():
    """A title and a lead are none, nor is what stands in the sidebar."""
    title, lead, answer = (
        element("heading", tag="h1", body="t"),
        element("markdown", body="l"),
        element("text", body="a"),
    )
    begun = [put([0, 0], title), put([0, 1], lead), put([1, 0], answer)]
    assert not is_useful(tree(begun))
    assert is_useful(tree([*begun, put([0, 2], answer)]))
    assert not is_useful(tree([put([0, 2], answer)]))


def test_marks_are_those_of_the_pages():
    """Bold, slanted, colours and code; an icon leaves its room, and a star that stands alone is one."""
    assert marked(":red[:material/error:] **SLOs** · :red[needs <attention>] `x` *Show* 2 * 3 * 4") == (
        '<span class="red"><i class="icon"></i></span> <b>SLOs</b> · <span class="red">needs &lt;attention&gt;</span> <code>x</code> '
        "<em>Show</em> 2 * 3 * 4"
    )
