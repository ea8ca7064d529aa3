"""A network link between a machine and a server that a test can cut: a TCP forwarder on a port of its own.

A *silent* cut holds every byte, as a network does that drops packets: connections stay open, and what was sent before
or during the cut arrives when the link is restored. A *loud* cut closes all connections and refuses new ones.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.support.ports import free_port

T = TypeVar("T")

_CHUNK = 65_536
_PATIENCE = 10.0


class Link:
    """One forwarder, from `port` of this host to the target's; open when it is made."""

    def __init__(self, target: int, *, port: int = 0) -> None:
        self.port = port or free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name=f"link-{self.port}")
        self._thread.start()
        self.restore()

    @property
    def connections(self) -> int:
        """The number of open ends; each connection has two once it is through."""
        return len(self._writers)

    def cut(self, *, silently: bool) -> None:
        """Let nothing through any more."""
        self._run(self._cut(silently=silently))

    def restore(self) -> None:
        """Let everything through again."""
        self._run(self._restore())

    def close(self) -> None:
        """End all connections and the thread."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    async def _cut(self, *, silently: bool) -> None:
        self._flowing.clear()
        if not silently:
            self._close_all()

    async def _restore(self) -> None:
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)

    async def _end(self) -> None:
        self._close_all()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _close_all(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far_writer: asyncio.StreamWriter | None = None
        try:
            # both ends may break at any time: that is what this link is for
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._flowing.wait()
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
                self._writers.add(far_writer)
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            for end in filter(None, (writer, far_writer)):
                self._writers.discard(end)
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Forward bytes until the source ends, holding them while the link is cut."""
        while data := await source.read(_CHUNK):
            await self._flowing.wait()
            sink.write(data)
            await sink.drain()
        await self._flowing.wait()
        with contextlib.suppress(OSError):  # the other side was faster
            sink.write_eof()
