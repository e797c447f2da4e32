"""The route of the operator's page."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)


def _text(name: str) -> str:
    return files("servers").joinpath(name).read_text(encoding="utf-8")


_PAGE = _text("dashboard.html").replace("/* dashboard.css */", _text("dashboard.css"))


def _hash_of(tag: str) -> str:
    """The Content-Security-Policy source of the page's own inline script or style: nothing else runs on it."""
    found = re.search(f"<{tag}>(.*?)</{tag}>", _PAGE, re.DOTALL)
    assert found is not None, f"dashboard.html has no <{tag}>"
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}'"


_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash_of('style')}; script-src {_hash_of('script')}; img-src blob:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@router.get("/")
@router.get("/dashboard")
async def dashboard() -> Response:
    """State, gripper, cameras, a stop button, recover and login, in one page without other files."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
