"""A link must cut as a network does: silently, with what was sent on its way, or by closing connections."""

import socket
from collections.abc import Iterator

import pytest

from tests.support.links import Link
from tests.support.raw_server import RawServer
from tests.support.waiting import wait_until


class _Echo(RawServer):
    """Sends back what it receives."""

    def talk(self, connection: socket.socket) -> None:
        while data := connection.recv(1000):
            connection.sendall(data)


@pytest.fixture
def link() -> Iterator[Link]:
    with _Echo() as server:
        made = Link(server.port)
        yield made
        made.close()


def connect(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=5.0)


def test_bytes_pass_in_both_directions(link: Link) -> None:
    with connect(link) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
    wait_until(lambda: link.connections == 0, what="both ends to be closed")


def test_a_silent_cut_holds_what_was_sent_until_the_link_is_restored(link: Link) -> None:
    with connect(link) as client:
        client.sendall(b"a")
        assert client.recv(100) == b"a"
        link.cut(silently=True)
        client.sendall(b"b")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        link.restore()
        client.settimeout(5.0)
        assert client.recv(100) == b"b"


def test_a_silent_cut_accepts_a_connection_that_goes_through_later(link: Link) -> None:
    link.cut(silently=True)
    with connect(link) as client:
        client.sendall(b"late")
        link.restore()
        assert client.recv(100) == b"late"


def test_a_loud_cut_closes_connections_and_refuses_new_ones_until_restored(link: Link) -> None:
    with connect(link) as client:
        client.sendall(b"a")
        assert client.recv(100) == b"a"
        link.cut(silently=False)
        assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(link)
    link.restore()
    with connect(link) as client:
        client.sendall(b"back")
        assert client.recv(100) == b"back"
