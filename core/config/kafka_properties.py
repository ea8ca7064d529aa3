"""[kafka.producer]: passed to librdkafka unchanged, except properties that would break a guarantee of the publisher."""

from collections.abc import Iterator, Mapping

from core.config.parsers import Fault, InvalidValue

Property = str | int | float | bool

_ORDER = "the publisher's idempotence needs it: without it a retry can lose, repeat or reorder records"

# Property → (values that keep the guarantees, lower case; why). No values: the property is not allowed in this table.
_GUARDED: dict[str, tuple[tuple[str, ...], str]] = {
    "enable.idempotence": (("true",), _ORDER),
    "acks": (("all", "-1"), "a record counts as delivered only when every in-sync replica has it"),
    "request.required.acks": (("all", "-1"), "a record counts as delivered only when every in-sync replica has it"),
    "queuing.strategy": (("fifo",), _ORDER),
    "delivery.report.only.error": (("false",), "the publisher needs the report of each delivered record"),
    "max.in.flight": (tuple("12345"), _ORDER),
    "max.in.flight.requests.per.connection": (tuple("12345"), _ORDER),
    "bootstrap.servers": ((), "cannot be set here: set kafka.bootstrap_servers instead"),
    "metadata.broker.list": ((), "cannot be set here: set kafka.bootstrap_servers instead"),
    "transactional.id": (
        (),
        'cannot be set here: set kafka.delivery = "exactly_once", and the publisher chooses the id',
    ),
}
_NEEDS_RETRIES = ("retries", "message.send.max.retries")
_ALIASES = {"compression.type": "compression.codec"}


def producer(raw: object) -> dict[str, Property]:
    """Parse the table; names may be quoted ("linger.ms" = 5) or not (linger.ms = 5), which TOML nests."""
    if not isinstance(raw, Mapping):
        raise InvalidValue(
            'must be a table: write [kafka.producer] on a line of its own, then lines such as "linger.ms" = 5'
        )
    taken: dict[str, Property] = {}
    faults: list[Fault] = []
    for name, value in _flat(raw):
        if isinstance(value, str | int | float):  # bool is an int
            taken[name] = value
            faults += _guard(name, value)
        else:
            faults.append(Fault("must be text in quotes, a number, true or false", f'."{name}"', value))
    if faults:
        raise InvalidValue(*faults)
    return taken


def merged(weaker: Mapping[str, Property], stronger: Mapping[str, Property]) -> dict[str, Property]:
    """Merge two tables: a property of the weaker stays unless the stronger sets it, by either name."""
    kept = {name: value for name, value in weaker.items() if _ALIASES.get(name) not in stronger}
    return {**kept, **stronger}


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _guard(name: str, value: Property) -> list[Fault]:
    at = f'."{name}"'
    if name in _NEEDS_RETRIES and str(value).strip() == "0":
        return [Fault(f"must be more than 0, or left out: {_ORDER}", at, value, plain=True)]
    if name not in _GUARDED:
        return []
    allowed, why = _GUARDED[name]
    if not allowed:
        return [Fault(why, at, value)]
    if str(value).strip().lower() in allowed:
        return []
    words = f"1 to {allowed[-1]}" if allowed[0] == "1" else " or ".join(f'"{word}"' for word in allowed)
    return [Fault(f"must be {words}, or left out: {why}", at, value, plain=True)]
