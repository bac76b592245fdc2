"""XHTML of a narrative: whether `Narrative.div` is well formed and holds only what FHIR allows in it.

http://hl7.org/fhir/R4/narrative.html#xhtml (txt-1, txt-2)

A narrative is shown to people as it came, so that what could run, load or send is refused here:
scripts, forms, frames, event attributes, addresses of other kinds than a link may have. The
parser is expat, which knows no entities beyond XML's five: those of XHTML are turned into
character references first, and a document type, the only place to define others, cannot stand
where the text has to begin with `<div`.
"""

from __future__ import annotations

import re
from html.entities import name2codepoint
from typing import Any, Final
from xml.parsers import expat

NAMESPACE: Final = "http://www.w3.org/1999/xhtml"

_MOST_FAULTS: Final = 10

_PLAIN: Final = re.compile(
    rf'<div xmlns="{re.escape(NAMESPACE)}">'
    r"((?:[^<>&\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]++"
    r"|</?(?:b|div|em|h[1-6]|i|li|ol|p|span|strong|table|tbody|td|th|thead|tr|ul)>|<br ?/>)*+)"
)
_TAG: Final = re.compile(r"<(/?[a-z1-6]+)>|<br ?/>")

_ELEMENTS: Final = frozenset(
    """
    a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd del dfn
    div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q samp small span strong sub
    sup table tbody td tfoot th thead tr tt ul var
    """.split()  # noqa: SIM905 - a table of names
)

_ATTRIBUTES: Final = frozenset(
    """
    abbr accesskey align axis char charoff class colspan dir headers id lang rowspan scope span
    style tabindex title valign width xml:lang xml:space
    """.split()  # noqa: SIM905 - a table of names
)
"""Allowed on every element."""

_ATTRIBUTES_OF: Final = {
    "a": frozenset(
        {"charset", "coords", "href", "hreflang", "name", "rel", "rev", "shape", "type"}
    ),
    "area": frozenset({"alt", "coords", "href", "nohref", "shape"}),
    "blockquote": frozenset({"cite"}),
    "br": frozenset({"clear"}),
    "del": frozenset({"cite", "datetime"}),
    "div": frozenset({"xmlns"}),
    "hr": frozenset({"noshade", "size"}),
    "img": frozenset(
        {"alt", "border", "height", "hspace", "ismap", "longdesc", "src", "usemap", "vspace"}
    ),
    "ins": frozenset({"cite", "datetime"}),
    "li": frozenset({"type", "value"}),
    "map": frozenset({"name"}),
    "ol": frozenset({"compact", "start", "type"}),
    "q": frozenset({"cite"}),
    "table": frozenset(
        {"bgcolor", "border", "cellpadding", "cellspacing", "frame", "height", "rules", "summary"}
    ),
    "td": frozenset({"bgcolor", "height", "nowrap"}),
    "th": frozenset({"bgcolor", "height", "nowrap"}),
    "tr": frozenset({"bgcolor"}),
    "ul": frozenset({"compact", "type"}),
}

_ADDRESSES: Final = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE | re.ASCII)
_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel", "fax", "ftp", "urn", "cid"})
_IMAGE: Final = re.compile(r"data:image/(?:png|jpe?g|gif|bmp|webp)[;,]", re.IGNORECASE)
_STYLE_THAT_ACTS: Final = re.compile(
    r"expression\s*\(|javascript:|vbscript:|behaviou?r\s*:|-moz-binding|@import|\\|/\*",
    re.IGNORECASE,
)
_ADDRESS_IN_STYLE: Final = re.compile(r"url\s*\(\s*[\"']?([^)]*)", re.IGNORECASE)

_ENTITY: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,30});")
_OF_XML: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9:\-]{0,31}")


def faults(div: str) -> list[str]:
    """All that is wrong with it, each as a sentence that repeats no content; empty if it is right."""
    plain = _PLAIN.fullmatch(div)
    if plain is not None and _is_right(plain[1]):
        return []
    if not div.lstrip().startswith("<div"):
        return ["txt-1: a narrative is one <div> element of XHTML."]
    reader = _Reader()
    try:
        reader.parser.Parse(_ENTITY.sub(_as_number, div).encode(), True)
    except expat.ExpatError as error:
        said = expat.ErrorString(error.code)
        return [
            *reader.found,
            f"txt-1: not well-formed XHTML ({said}, line {error.lineno}, column {error.offset}).",
        ]
    if not reader.has_content:
        reader.found.append("txt-2: a narrative has some content that is not whitespace.")
    return list(dict.fromkeys(reader.found))[:_MOST_FAULTS]


def _is_right(inner: str) -> bool:
    """Whether plain tags without attributes are paired, and there is something between them.

    `inner` is what follows the first tag. Most narratives are no more than that, and expat takes
    five times as long.
    """
    parts = _TAG.split(inner)
    opened = ["div"]
    for tag in parts[1::2]:
        if not opened:
            return False
        if tag is None:
            continue
        if tag[0] != "/":
            opened.append(tag)
        elif opened.pop() != tag[1:]:
            return False
    has_content = any(text and not text.isspace() for text in parts[::2])
    return not opened and parts[-1] == "" and has_content


def _as_number(match: re.Match[str]) -> str:
    name = match[1]
    if name in _OF_XML or name not in name2codepoint:
        return match[0]
    return f"&#{name2codepoint[name]};"


class _Reader:
    """One parse: what it found, and whether there was anything to read."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.has_content = False
        self.is_inside = False
        self.parser: Any = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._element
        self.parser.CharacterDataHandler = self._text
        self.parser.ProcessingInstructionHandler = self._instruction

    def _element(self, name: str, attributes: dict[str, str]) -> None:
        if not self.is_inside:
            self.is_inside = True
            if name != "div" or attributes.get("xmlns") != NAMESPACE:
                self.found.append(f'txt-1: a narrative is one <div xmlns="{NAMESPACE}">.')
        elif attributes.get("xmlns", NAMESPACE) != NAMESPACE:
            self.found.append("txt-1: all elements of a narrative are of XHTML.")
        if name == "img":
            self.has_content = True
        if name not in _ELEMENTS:
            self.found.append(f"txt-1: {_shown('element', name)} is not allowed in a narrative.")
        own = _ATTRIBUTES_OF.get(name, frozenset())
        for key, value in attributes.items():
            if key not in _ATTRIBUTES and key not in own and key != "xmlns":
                said = _shown("attribute", key)
                self.found.append(f"txt-1: {said} is not allowed there in a narrative.")
            elif key in _ADDRESSES and not _may_lead_there(name, value):
                self.found.append(f"txt-1: {key} of a narrative's {name} leads where it may not.")
            elif key == "style" and not _is_still(value):
                self.found.append("txt-1: a style in a narrative loads and runs nothing.")

    def _text(self, text: str) -> None:
        if not self.has_content and not text.isspace():
            self.has_content = True

    def _instruction(self, _target: str, _data: str) -> None:
        self.found.append("txt-1: a narrative has no processing instructions.")


def _shown(what: str, name: str) -> str:
    return f"the {what} {name}" if _NAME.fullmatch(name) else f"an {what}"


def _is_still(style: str) -> bool:
    return _STYLE_THAT_ACTS.search(style) is None and all(
        _may_lead_there("img", address) for address in _ADDRESS_IN_STYLE.findall(style)
    )


def _may_lead_there(element: str, address: str) -> bool:
    """Relative, within the document, or of a kind that runs nothing where it is opened."""
    plain = "".join(character for character in address if character > " ")
    scheme = _SCHEME.match(plain)
    if scheme is None or scheme[1].lower() in _SCHEMES:
        return True
    return element == "img" and _IMAGE.match(plain) is not None
