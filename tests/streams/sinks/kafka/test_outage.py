"""When Kafka counts as away, and when it is back."""

from streams.sinks.kafka.kafka_health import Outage, ProducerStall


def test_a_lost_connection_becomes_an_outage_only_if_it_lasts() -> None:
    outage = Outage()
    outage.lost(10.0)
    assert not outage.begins(10.5, waiting=True)
    assert outage.begins(11.5, waiting=True)


def test_an_outage_is_told_once_and_its_end_says_how_long_it_was() -> None:
    outage = Outage()
    outage.lost(10.0)
    assert outage.begins(12.0, waiting=True)
    outage.lost(13.0)
    assert not outage.begins(14.0, waiting=True)
    assert outage.on
    assert outage.arrived(25.0) == 15.0
    assert not outage.on
    assert outage.arrived(26.0) is None


def test_a_silent_broker_is_away_too() -> None:
    outage = Outage()
    assert not outage.begins(0.0, waiting=True)
    assert not outage.begins(7.9, waiting=True)
    assert outage.begins(8.0, waiting=True)


def test_silence_without_anything_to_deliver_means_nothing() -> None:
    outage = Outage()
    outage.lost(0.0)
    assert not outage.begins(100.0, waiting=False)
    outage.arrived(101.0)
    assert not outage.begins(200.0, waiting=True)
    outage.arrived(207.0)
    assert not outage.begins(209.0, waiting=True)


def test_a_producer_that_hears_nothing_while_kafka_answers_others_is_stuck() -> None:
    deafness = ProducerStall()
    assert not deafness.found(0.0, away=True, answered=False)
    assert not deafness.found(60.0, away=True, answered=True)
    assert not deafness.found(69.0, away=True, answered=True)
    assert deafness.found(70.0, away=True, answered=True)
    assert not deafness.found(71.0, away=True, answered=True), "its successor gets its own chance"


def test_a_producer_that_hears_in_time_is_not_stuck() -> None:
    deafness = ProducerStall()
    assert not deafness.found(0.0, away=True, answered=True)
    assert not deafness.found(9.0, away=False, answered=True)
    assert not deafness.found(11.0, away=True, answered=True)


def test_it_knows_how_long_it_lasts() -> None:
    outage = Outage()
    assert outage.seconds(10.0) == 0.0
    outage.lost(10.0)
    assert outage.begins(11.5, waiting=True)
    assert outage.seconds(20.0) == 10.0
    outage.arrived(25.0)
    assert outage.seconds(30.0) == 0.0
