"""Where the authorization server of this hub is asked, as clients see it.

https://www.rfc-editor.org/rfc/rfc6749#section-3
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin

PATH: Final = "/auth"
"""Beside the FHIR base, also behind a proxy that puts both below a path of its own."""


def address(base: str, name: str) -> str:
    """name: authorize, token, introspect, revoke ..."""
    return urljoin(base, f"{PATH.removeprefix('/')}/{name}")
