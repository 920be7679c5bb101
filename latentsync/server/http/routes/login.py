"""/login and /logout: how a browser shows a token."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from latentsync.server.errors import ApiError
from latentsync.server.http.auth import COOKIE, SESSION_SECONDS, Gatekeeper, address_of
from latentsync.server.http.plain_pages import login_page

router = APIRouter(include_in_schema=False)


def _gatekeeper(request: Request) -> Gatekeeper:
    keeper: Gatekeeper = request.app.state.gatekeeper
    return keeper


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root


def _home(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{_root(request)}/", 303)


@router.get("/login")
async def form(request: Request) -> Response:
    return login_page(_root(request)) if _gatekeeper(request).keys else _home(request)


@router.post("/login")
async def login(request: Request) -> Response:
    body = (await request.body()).decode("utf-8", "replace")
    token = parse_qs(body, max_num_fields=10).get("token", [""])[0].strip()
    keeper = _gatekeeper(request)
    try:
        user = keeper.user(token, address_of(request))
    except ApiError as error:
        return login_page(_root(request), error.message, error.status, error.retry_after)
    if user is None:
        return login_page(_root(request), "No such token.", 401)
    answer = _home(request)
    answer.set_cookie(
        COOKIE,
        keeper.open_session(user),
        max_age=SESSION_SECONDS,
        path=f"{_root(request)}/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post("/logout")
async def logout(request: Request) -> Response:
    _gatekeeper(request).close_session(request.cookies.get(COOKIE))
    answer = RedirectResponse(f"{_root(request)}/login", 303)
    answer.delete_cookie(COOKIE, path=f"{_root(request)}/", httponly=True, samesite="strict")
    return answer
