"""The application: the page and its files, the login, the stream, what is read and what is done."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from web.access import COOKIE, SESSION_S, Access, Attempts
from web.actions import Actions, Commands
from web.answers import answer, raw_body, refused
from web.database import Database
from web.guard import SESSION, Guard
from web.picture import Painter
from web.reading import Reading
from web.stream import MOST_READERS, Hub

STATIC = Path(__file__).parent / "static"
SAID = "<!-- what was wrong -->"


class Page:
    """Everything of one page server."""

    def __init__(
        self, access: Access, database: Database, painter: Painter, commands: Commands, log: Callable[[str], None]
    ) -> None:
        self._access = access
        self._attempts = Attempts()
        self._database = database
        self._log = log
        self.hub = Hub(database, painter, log)
        self._reading = Reading(database, lambda: self.hub.view.session)
        self._actions = Actions(commands, log)

    def app(self) -> Starlette:
        """Return the page as an ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/login", self._form),
                Route("/login", self._login, methods=["POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                Route("/healthz", self._health),
                Route("/api/session", self._session),
                Route("/api/stream", self._stream),
                Route("/api/actions/{name}", self._actions.act, methods=["POST"]),
                *self._reading.routes(),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=[Middleware(Guard, access=self._access), Middleware(GZipMiddleware, minimum_size=1024)],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.hub.start()
        yield
        self.hub.stop()
        self.hub.join()
        self._database.close()

    async def _index(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})

    async def _health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _session(self, request: Request) -> Response:
        """Return what the page needs to act."""
        return answer({"token": self._access.token_of(request.scope[SESSION]), "password": self._access.needs_password})

    async def _stream(self, request: Request) -> Response:
        if self.hub.readers >= MOST_READERS:
            return refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_READERS} pages look already")
        cookie = request.cookies.get(COOKIE)

        async def frames() -> AsyncIterator[bytes]:
            yield b"retry: 1500\n\n"
            async for view in self.hub.views():
                if self._access.session_of(cookie) is None:
                    return  # the session has ended while the page was open
                yield b"data: " + view + b"\n\n" if view else b": still here\n\n"

        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(frames(), media_type="text/event-stream", headers=headers)

    # -- the login ----------------------------------------------------------------------------------------------

    async def _form(self, request: Request) -> Response:
        if request.scope[SESSION] is not None:
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        return _login_page("")

    async def _login(self, request: Request) -> Response:
        address = request.client.host if request.client is not None else ""
        wait_s = self._attempts.wait_s(address)
        if wait_s > 0:
            self._log(f"login from {address}: too many attempts")
            said = "Too many attempts. Wait a minute and try again."
            return _login_page(said, HTTPStatus.TOO_MANY_REQUESTS, {"retry-after": str(int(wait_s) + 1)})
        body = await raw_body(request)
        given = parse_qs((body or b"").decode("utf-8", "replace"), max_num_fields=4 if body else None)
        if not self._access.is_password((given.get("password") or [""])[0]):
            self._log(f"login from {address}: wrong password")
            return _login_page("That is not the password.", HTTPStatus.FORBIDDEN)
        self._attempts.forget(address)
        self._log(f"login from {address}")
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
        response.set_cookie(
            COOKIE, self._access.new_session(), SESSION_S, httponly=True, samesite="strict", secure=secure
        )
        return response

    async def _logout(self, _request: Request) -> Response:
        response = answer({"ok": True})
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response


def _login_page(said: str, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return the form, with one of our own sentences about what was wrong."""
    note = f'<p class="error" role="alert">{said}</p>' if said else ""
    page = (STATIC / "login.html").read_text().replace(SAID, note)
    return HTMLResponse(page, status, {"cache-control": "no-store", **(headers or {})})
