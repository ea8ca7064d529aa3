"""Errors of requests other than Reddit's own (core.reddit.request_errors)."""

from core.reddit.request_errors import ServerTrouble, Unreachable


class NameLimited(ServerTrouble):
    """A 429 for one address, again and again, while others are served: nobody else has to wait."""

    def __init__(self) -> None:
        super().__init__("Reddit answers 429 to this request, and serves others")


class ProxyRefused(Unreachable):
    """The proxy answered in its own name: it does not pass the request on. `status` is that of HTTP, if it has one."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class ProxyRejectsUs(ProxyRefused):
    """The proxy does not accept our user and password (407, or what SOCKS has for it)."""


class ProxyResting(Unreachable):
    """The proxy failed too often and is left alone for a while: nothing was sent, the task goes back."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the proxy rests for another {seconds:.0f} s: it is tried again by itself")
        self.seconds = seconds
