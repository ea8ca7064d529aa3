"""The baseline: aiohttp that serves the same bytes and does nothing else.

`python -m bench.supervision.bare_server DIRECTORY PATH …` prints its address; the last part of a path names its file.
"""

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web
from aiohttp.typedefs import Handler


def _handing_out(body: bytes) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/plain")

    return answer


async def _serve(directory: Path, paths: list[str]) -> None:
    app = web.Application()
    for path in paths:
        app.router.add_get(path, _handing_out((directory / Path(path).name).read_bytes()))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), sys.argv[2:]))
