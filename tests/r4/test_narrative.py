"""What a narrative may hold."""

from __future__ import annotations

import pytest

from coordhub.r4.narrative import faults

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def div(inner: str) -> str:
    return f"<div {XHTML}>{inner}</div>"


@pytest.mark.parametrize(
    "text",
    [
        div("7.50 %"),
        div("<p>a</p><br/><ul><li><b>b</b></li></ul>"),
        div("&nbsp;a &eacute; &amp; &#x41;"),
        div('<img src="#pic" alt="x"/>'),
        div('<img src="data:image/png;base64,QQ=="/>'),
        div('<a href="https://a.example">x</a> <a name="y">y</a>'),
        div(
            '<table class="grid" border="1"><tr><td colspan="2" style="color: red">x</td></tr></table>'
        ),
        div("<!-- said --> <![CDATA[a < b]]>"),
        f'  <div lang="de" xml:lang="de" {XHTML}>x</div>  ',
    ],
)
def test_given_what_fhir_allows_when_checked_then_it_is_right(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (div("<script>x</script>"), "the element script"),
        (div("<p><form><input/></form></p>"), "the element form"),
        (div("<iframe src='https://a.example'>x</iframe>"), "the element iframe"),
        (div("<style>p {}</style>x"), "the element style"),
        (div("<object>x</object>"), "the element object"),
        (div('<link rel="stylesheet" href="https://a.example"/>x'), "the element link"),
        (div('<p onclick="x">x</p>'), "the attribute onclick"),
        (div('<a href="javascript:x">x</a>'), "href"),
        (div('<a href=" java&#10;script:x">x</a>'), "href"),
        (div('<a href="data:text/html,x">x</a>'), "href"),
        (div('<img src="data:text/html,x"/>'), "src"),
        (div('<p style="background: url(javascript:x)">x</p>'), "style"),
        (div('<p style="width: expression(x)">x</p>'), "style"),
        (div('<svg xmlns="http://www.w3.org/2000/svg">x</svg>'), "the element svg"),
        (div("<?php x ?>x"), "processing instruction"),
        (div("<p>x"), "well-formed"),
        (div("<p><b>x</p></b>"), "well-formed"),
        (div("a</div><div>b"), "well-formed"),
        (div("&unknown;"), "well-formed"),
        (div("a & b"), "well-formed"),
        (div("a \x01"), "well-formed"),
        (div("  \n "), "txt-2"),
        (div("<p></p>"), "txt-2"),
        (div(""), "txt-2"),
        ("<div>x</div>", "one <div xmlns"),
        ("<p>x</p>", "one <div>"),
        ("plain", "one <div>"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]>' + div("&a;"), "one <div>"),
    ],
)
def test_given_what_fhir_does_not_allow_when_checked_then_it_is_said(text: str, says: str) -> None:
    assert any(says in fault for fault in faults(text)), faults(text)


def test_given_a_long_text_without_end_when_checked_then_it_takes_no_longer_than_its_length() -> (
    None
):
    assert faults(f"<div {XHTML}>" + "a " * 200_000)
    assert faults(f"<div {XHTML}>" + "<p>" * 100_000)
