"""The routes: they turn a request into values and an outcome into a response. The gateway decides the outcome."""

from __future__ import annotations

from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from airflow_imiconnect.simulator.gateway import Gateway, Outcome
from airflow_imiconnect.simulator.page import Page
from airflow_imiconnect.simulator.wire import Unfinished, Wire, json_response, response_to

BASE = "/resources/v2"
_PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}


def create_app(gateway: Gateway, wire: Wire, *, latency: float, page: Page) -> FastAPI:
    """
    Return the application: create and status, a page for people, and ``/healthz``.

    Update, get and delete are not simulated: a known path with another method gets HTTP 405, any other path 404.

    :param latency: seconds to wait before each API response
    :param page: renders the page
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    async def answer(outcome: Outcome) -> Response:
        await wire.pause(latency)
        return response_to(outcome, wire)

    @app.post(BASE + "/customerappprofile/{app_id}")
    async def create(app_id: str, request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Unfinished()  # the request never arrived in full
        return await answer(gateway.create(request.headers.get("key"), app_id, body))

    @app.get(BASE + "/profile/status/{transid}")
    async def status(transid: str, request: Request) -> Response:
        return await answer(gateway.status(request.headers.get("key"), transid))

    @app.get("/healthz")
    async def healthz() -> Response:
        return json_response({"status": "ok"}, 200)

    @app.get("/")
    async def index(live: str = "1", app: str = "") -> Response:
        text = page.render(live=live != "0", open_app=app).encode("utf-8", "replace")
        return Response(text, media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)

    return app
