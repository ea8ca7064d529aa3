"""Errors of requests other than Reddit's own (core.reddit.request_errors)."""

from core.reddit.request_errors import ServerTrouble, Unreachable


class NameLimited(ServerTrouble):
    """One address is answered 429 repeatedly while others are served: no other request has to wait."""

    def __init__(self) -> None:
        super().__init__("Reddit answers 429 to this request, and serves others")


class ProxyRefused(Unreachable):
    """The proxy itself answered: it does not forward the request. `status` is the HTTP status, if any."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class ProxyRejectsUs(ProxyRefused):
    """The proxy does not accept our user and password (407, or the SOCKS equivalent)."""


class ProxyResting(Unreachable):
    """The proxy failed too often and rests: nothing was sent, the task goes back."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the proxy rests for another {seconds:.0f} s: it is tried again by itself")
        self.seconds = seconds
