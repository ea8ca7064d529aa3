"""The secret texts inside configured values: texts that are never shown, and pairs that are sent encoded together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.masking.redact import is_secret_name, url_logins, url_passwords

#: Properties of librdkafka that go with a password or a secret.
_KAFKA_USERS = (
    "sasl.username",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.credentials.client.id",
)


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Secret texts, and pairs of user and password that are sent as one encoded text. Never shown."""

    texts: tuple[str, ...] = ()
    logins: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return "Secrets(hidden)"

    @classmethod
    def of(cls, texts: Iterable[str] = (), logins: Iterable[tuple[str, str]] = ()) -> "Secrets":
        """Remove duplicates and empty texts."""
        return cls(tuple(dict.fromkeys(filter(None, texts))), tuple(dict.fromkeys(logins)))

    def __add__(self, other: "Secrets") -> "Secrets":
        return Secrets.of((*self.texts, *other.texts), (*self.logins, *other.logins))


def of_client(client_id: str, client_secret: str) -> Secrets:
    """Return the secrets of an application at Reddit."""
    return Secrets.of([client_secret], [(client_id, client_secret)])


def of_url(url: str) -> Secrets:
    """Return the secrets inside an address."""
    return Secrets.of(url_passwords(url), url_logins(url))


def of_producer(producer: Mapping[str, object]) -> Secrets:
    """Return the secrets among the properties of a Kafka client."""
    texts: list[str] = []
    for name, value in producer.items():
        texts += [str(value)] if is_secret_name(name) else url_passwords(str(value))
    passwords = [str(value) for name, value in producer.items() if is_secret_name(name)]
    users = [str(producer[user]) for user in _KAFKA_USERS if user in producer]
    return Secrets.of(texts, [(user, password) for user in users for password in passwords])
