"""Making a producer, and getting rid of one without waiting for what it still holds."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import contextlib

from confluent_kafka import KafkaError, KafkaException, Producer

from core.errors import PermanentError, TransientError
from streams.publisher.settings import Settings
from streams.publisher.verdict import cause, said
from streams.publisher.watch import Watch


def connect(settings: Settings, watch: Watch) -> Producer:
    """Make a producer; the broker need not be there."""
    try:
        return Producer({**settings.producer, "error_cb": watch.on_error}, logger=watch)
    except KafkaException as exception:
        error = cause(exception)
        if error.code() == KafkaError._INVALID_ARG:
            raise PermanentError(f"correct [kafka.producer]: librdkafka says: {said(error)}") from exception
        raise TransientError(f"no Kafka producer could be made: {said(error)}") from exception


def discard(producer: Producer) -> None:
    """Drop what the producer holds: it is all in the spools. Without this its end would wait for a broker's answer."""
    producer.purge()
    # a producer that failed for good says so once more here, to nobody's use
    with contextlib.suppress(KafkaException):
        producer.poll(0)
