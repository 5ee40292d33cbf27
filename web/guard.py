"""What every request passes: whose name it uses, whether it is logged in, and what the browser is told to forbid."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.access import COOKIE, Access, is_loopback

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
OPEN_PATHS = ("/login", "/healthz", "/static/")
"""What is answered without a session: nothing of it knows anything of what is traded."""
READING = ("GET", "HEAD")
SESSION = "fusebox.session"


class Guard:
    """Wraps the application.

    Without a password the request must name this host: a page elsewhere whose name was made to point here (DNS
    rebinding) names itself.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is not allowed; hand on the rest with its session."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope["path"] == "/login":
                    headers["referrer-policy"] = "same-origin"  # or the form's own Origin would be null
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-cache" if scope["path"].startswith("/static/") else "no-store"
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), str(scope["path"])
        if not self._access.needs_password and not is_loopback(name_of(headers.get("host", ""))):
            return PlainTextResponse("this page answers to localhost only: set a password to use another name\n", 421)
        session = self._access.session_of(HTTPConnection(scope).cookies.get(COOKIE))
        scope[SESSION] = session
        if session is None and not path.startswith(OPEN_PATHS):
            return RedirectResponse("/login", 303) if path == "/" else _said(401, "log in")
        if scope["method"] in READING:
            return None
        if not is_same_origin(headers):
            return _said(403, "this did not come from the page itself")
        if path == "/login":
            return None
        if session is None or not self._access.is_token(session, headers.get("x-fusebox-token", "")):
            return _said(403, "the page is out of date: load it again")
        return None


def name_of(host: str) -> str:
    """Return the name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_same_origin(headers: Headers) -> bool:
    """Whether the browser says that a request was made by a page of this very host and port."""
    origin, host = headers.get("origin", ""), headers.get("host", "")
    site = headers.get("sec-fetch-site", "same-origin")
    try:
        came_from = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(host) and came_from.lower() == host.lower() and site == "same-origin"


def _said(status: int, error: str) -> Response:
    return JSONResponse({"ok": False, "error": error}, status)
