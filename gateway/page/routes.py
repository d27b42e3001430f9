"""Serves the page: GET / and /assets/..., from the package alone."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.health.answers import Refusal, packs
from gateway.health.sources import Sources
from gateway.page.shelf import INDEX, Asset, load_assets
from protocols.worker import in_daemon_thread


def routes(_: Sources) -> Sequence[Route]:
    """By path; all are asked by GET."""
    page = _Page()
    return [Route("/", page.index, methods=["GET"]), Route("/assets/{name:path}", page.asset, methods=["GET"])]


class _Page:
    """Has the files in memory from when somebody looks first."""

    def __init__(self) -> None:
        self._assets: dict[str, Asset] = {}

    async def index(self, request: Request) -> Response:
        return await self._answer(INDEX, request)

    async def asset(self, request: Request) -> Response:
        return await self._answer(request.path_params["name"], request)

    async def _answer(self, name: str, request: Request) -> Response:
        if not self._assets:
            self._assets = await in_daemon_thread("page", load_assets)
        asset = self._assets.get(name)
        if asset is None:
            raise Refusal(404, "the page has no such file", "load the page anew")
        if asset.headers["ETag"] in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=asset.headers)
        if packs(request):
            return Response(asset.packed, headers={**asset.headers, "Content-Encoding": "gzip"})
        return Response(asset.plain, headers=asset.headers)
