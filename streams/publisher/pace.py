"""What a round of work says about the next one."""

import enum


class Pace(enum.Enum):
    """How soon to go on."""

    BUSY = "go on at once"
    IDLE = "all that was captured is delivered: wait for news"
    BLOCKED = "there is work, but it cannot be done just now: wait a moment"
