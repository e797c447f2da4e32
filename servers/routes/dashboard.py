"""The operator's page."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_PAGE = files("servers").joinpath("dashboard.html").read_text(encoding="utf-8")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@router.get("/")
@router.get("/dashboard")
async def dashboard() -> Response:
    """State, gripper, cameras, a stop button and recover, in one page without other files."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
