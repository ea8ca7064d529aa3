"""Serves the page's files, read once from the package."""

from pathlib import Path

from aiohttp import web

_FILES = Path(__file__).with_name("static")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Pages:
    """Serves the page at `/` and what it needs below `/static/`."""

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in _FILES.iterdir() if path.suffix in _TYPES}

    async def index(self, _request: web.Request) -> web.Response:
        """Answer with the page itself."""
        return self._answer("index.html")

    async def file(self, request: web.Request) -> web.Response:
        """Answer with one of its files; no other path exists."""
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return self._answer(name)

    def _answer(self, name: str) -> web.Response:
        kind = _TYPES[Path(name).suffix]
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8")
