"""The page at /docs and the files it loads.

https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/
"""

from __future__ import annotations

import gzip as gzip_format
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

_HTML = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>coordhub: API</title>
<link rel="icon" type="image/png" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = b"""SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PACKED = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """What is answered for one name."""

    content: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)


def asset(name: str, *, gzip: bool) -> Asset | None:
    """The page itself for an empty name, a file for its name, None for any other.

    gzip: whether the reader can open gzip, as which the large files are kept.
    """
    if name == "":
        return Asset(_HTML, "text/html; charset=utf-8", {"Content-Security-Policy": _POLICY})
    if name == "start.js":
        return Asset(_START, "text/javascript; charset=utf-8")
    if name == "favicon.png":
        return Asset(_file("favicon-32x32.png"), "image/png")
    if name not in _PACKED:
        return None
    packed = _file(f"{name}.gz")
    keep = {"Cache-Control": "public, max-age=86400", "Vary": "Accept-Encoding"}
    if gzip:
        return Asset(packed, _PACKED[name], {**keep, "Content-Encoding": "gzip"})
    return Asset(gzip_format.decompress(packed), _PACKED[name], keep)


@cache
def _file(name: str) -> bytes:
    return files("coordhub.docs_assets").joinpath(name).read_bytes()
