"""A report becomes a PDF whatever characters a record holds."""

import re

import pytest

from governance.evidence.typeset import _shown, typeset
from warehouse.errors import UnavailableError

AT = 1_790_812_800


def data(text):
    """A report whose every text is this one."""
    comparison = {"before": text, "changed": text, "rows": []}
    plain = dict.fromkeys(("title", "note", "tenant", "lake", "from", "to", "as_of", "fingerprint", "trust"), text)
    counts = {"holds": 0, "certificates": 0}
    return plain | counts | {"completeness": [text], "losses": text, "comparison": comparison, "controls": []}


def test_it_is_pdf_a_as_far_as_its_bytes_tell():
    """It says so, names its colours, embeds each font, is tagged, bears a language and its title, and is neither locked nor active."""
    found = typeset(data("Sealed records"), AT)
    needed = (
        b"<pdfaid:part>2</pdfaid:part>",
        b"<pdfaid:conformance>B</pdfaid:conformance>",
        b"/OutputIntents",
        b"/S/GTS_PDFA1",
        b"/DestOutputProfile",
        b"/StructTreeRoot",
        b"/MarkInfo<</Marked true",
        b"/Lang(en)",
        b'<rdf:li xml:lang="x-default">Sealed records</rdf:li>',
    )
    assert [each for each in needed if each not in found] == []
    descriptors, files = (len(re.findall(each, found)) for each in (rb"/Type/FontDescriptor", rb"/FontFile[23]? "))
    assert descriptors == files > 0
    for forbidden in (rb"/Encrypt", rb"/JavaScript", rb"/Launch", rb"/EmbeddedFiles", rb"/LZWDecode"):
        assert forbidden not in found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("提示词变更 日本語 한국어", id="letters that no font has"),
        pytest.param("\U0001f525 launch \U0001f680", id="pictures"),
        pytest.param("ภาษาไทย", id="marks that join"),
        pytest.param("a\0b\x01c\x1b[31m\x7f", id="control characters"),
        pytest.param("\ue000\uf8ff\ufffe", id="private and no characters"),
        pytest.param('the text `"x"` could not be displayed \\u{41} "`', id="what the setter itself says"),
        pytest.param("a" + "\u0301" * 200 + "\u200d\ufeff", id="marks on marks"),
        pytest.param("العربية שלום हिन्दी Ελληνικά Кириллица", id="letters that there are"),
    ],
)
def test_any_text_can_be_set(text):
    """Characters without a glyph stand by their number; nothing that a sender writes keeps a pack from being built."""
    assert typeset(data(text), AT).startswith(b"%PDF-1.7")


def test_the_same_text_makes_the_same_bytes():
    """Also where characters are numbered; and another text, or one that looks like its number, makes others."""
    assert typeset(data("提"), AT) == typeset(data("提"), AT)
    assert typeset(data("提"), AT) != typeset(data("[U+63D0]"), AT)


def test_a_text_cannot_turn_the_direction_of_a_line():
    """Marks that turn it stand by their number, so that no text passes for another: more is drawn than the letters beside them."""
    assert len(typeset(data("\u202egnp.exe"), AT)) > len(typeset(data("gnp.exe"), AT))


def test_a_template_that_cannot_be_set_is_said():
    """What is not about characters is not tried again: it is an error of this system's own."""
    with pytest.raises(UnavailableError, match="cannot be set as PDF"):
        typeset({}, AT)


def test_a_long_word_does_not_run_over_what_stands_beside_it():
    """It may be broken where it is longer than a hash; a hash, which is copied, stays whole."""
    assert _shown({"a": ["x" * 70, "x" * 64, 7]}, re.compile("(?!)")) == {
        "a": ["x" * 32 + "\u200b" + "x" * 32 + "\u200b" + "x" * 6, "x" * 64, 7]
    }
