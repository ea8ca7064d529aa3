"""Limits concurrent requests: they wait, in order, for a free slot and for the end of a pause. Urgent ones go first.

A pause of one request (`pause`) and a pause of all (`hold`) occupy no slot. `shut` rejects at once all waiting
requests, and all new ones, until `open`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from scraper.http.transport.route import ProxyResting

Sleep = Callable[[float], Awaitable[None]]


class ConcurrencyLimiter:
    """Allows at most `slots` requests at once; used from one event loop."""

    def __init__(self, slots: int, clock: Callable[[], float], sleep: Sleep) -> None:
        self.in_flight = 0
        self._slots = slots
        self._clock = clock
        self._sleep = sleep
        self._waiting = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._held_until = float("-inf")
        self._shut_until: float | None = None
        self._shutting: asyncio.Event = asyncio.Event()

    @property
    def idle(self) -> int:
        """The number of free slots; 0 while any request waits or must wait."""
        if self._waiting or self.paused:
            return 0
        return self._slots - self.in_flight

    @property
    def paused(self) -> bool:
        """Whether more than a free slot is missing: a pause of all, or the proxy is shut."""
        return self._shut_until is not None or self.held

    @property
    def held(self) -> bool:
        """Whether all requests wait for the end of a pause."""
        return self._held_until > self._clock()

    @property
    def _has_room(self) -> bool:
        return self.in_flight < self._slots and not (self._queue or self._urgent)

    async def enter(self, *, urgent: bool = False) -> None:
        """Take a slot in turn, `urgent` before all that are not. Raises ProxyResting."""
        if self._has_room and not self.paused:
            self.in_flight += 1
            return
        self._waiting += 1
        try:
            while True:
                while (seconds := self._held_until - self._clock()) > 0:
                    await self.pause(seconds)
                await self._take_slot(urgent=urgent)
                if not self.paused:
                    return
                self.leave()  # too late: a pause began between the grant of the slot and this task's wakeup
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        """Give the slot to the request that has waited longest, or free it."""
        while waiting := self._urgent or self._queue:
            first = waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
        self.in_flight -= 1

    def hold(self, seconds: float) -> None:
        """Make all requests wait this many seconds; a longer pause that is already set is not shortened."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    async def pause(self, seconds: float) -> None:
        """Wait this many seconds without a slot. Raises ProxyResting."""
        self._raise_if_shut()
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        shutting = asyncio.ensure_future(self._shutting.wait())
        try:
            await asyncio.wait((sleeping, shutting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            shutting.cancel()
        self._raise_if_shut()

    def shut(self, until: float) -> None:
        """Reject all requests, waiting ones too, until `open`; `until` is the end time that they get."""
        self._shut_until = until
        self._shutting.set()
        while waiting := self._urgent or self._queue:
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_exception(ProxyResting(max(0.0, until - self._clock())))

    def open(self) -> None:
        """Accept requests again."""
        self._shut_until = None
        self._shutting.clear()

    def _raise_if_shut(self) -> None:
        if self._shut_until is not None:
            raise ProxyResting(max(0.0, self._shut_until - self._clock()))

    async def _take_slot(self, *, urgent: bool) -> None:
        self._raise_if_shut()
        if self._has_room:
            self.in_flight += 1
            return
        slot = asyncio.get_running_loop().create_future()
        (self._urgent if urgent else self._queue).append(slot)
        try:
            await slot  # a request that leaves hands over its slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled() and slot.exception() is None:
                self.leave()  # the slot was handed over at the moment of the cancellation
            raise
