"""A server of raw sockets: one thread per connection, which sends any bytes."""

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from typing import Self


class RawServer(ABC):
    """Listens on a port of its own within `with`."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @abstractmethod
    def talk(self, connection: socket.socket) -> None:
        """Serve one connection; it is closed afterwards, also after an OSError."""

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.talk(connection)
