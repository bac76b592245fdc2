"""Pages: templates filled, with what a browser may do with them.

https://jinja.palletsprojects.com, https://www.w3.org/TR/CSP3

No script but where one is named, nothing from elsewhere, nothing kept, no address of the page told to whom it leads.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
}


SCRIPTED: Final = "; script-src 'self'; connect-src 'self'"
"""What the policy of a page says besides that has a script of ours."""


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("coordhub.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(name: str, **shown: Any) -> bytes:
    return _templates().get_template(f"{name}.html").render(**shown).encode()


@cache
def style() -> bytes:
    """What all pages have in common, then what a desk has of its own."""
    parts = files("coordhub.portal").joinpath("static").iterdir()
    sheets = sorted(parts, key=lambda part: (part.name != "style.css", part.name))
    return b"".join(part.read_bytes() for part in sheets if part.name.endswith(".css"))


@cache
def script(name: str) -> bytes:
    return files("coordhub.portal").joinpath(f"static/{name}").read_bytes()
