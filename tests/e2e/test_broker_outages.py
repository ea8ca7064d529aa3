"""While the broker is away the streams go on; when it is back, everything arrives, in order, on its own."""

from tests.e2e.stages import EXACTLY_ONCE, SERIOUS, Stage, on
from tests.support.brokers import ApacheKafka
from tests.support.ledger import out_of_order
from tests.support.trial import Trial

KAFKA = Stage("at_least_once", "kafka")


@on(EXACTLY_ONCE, soak=(KAFKA,))
def test_the_broker_stopped_for_15_seconds_and_back(trial: Trial) -> None:
    trial.start()
    trial.pass_time(3)
    before = shown(trial)
    trial.outage_of_the_broker(15)
    assert shown(trial) - before >= 150, "the streams must go on while the broker is away"
    trial.finish(at_least=500)
    assert out_of_order(trial.records()) == []


@on(soak=(EXACTLY_ONCE, KAFKA))
def test_the_broker_killed_and_started_again_on_its_own_data(trial: Trial) -> None:
    """Twice: at once, and after some seconds of absence."""
    trial.start()
    assert isinstance(trial.broker, ApacheKafka)
    for absence in (0, 5):
        trial.pass_time(4)
        trial.broker.kill()
        trial.pass_time(absence)
        trial.broker.start()
    assert not trial.finish(at_least=400).lost


@on(EXACTLY_ONCE, soak=(SERIOUS,))
def test_the_publisher_killed_while_the_broker_is_away(trial: Trial) -> None:
    """It continues from the position on disk alone."""
    trial.start()
    trial.pass_time(3)
    trial.outage_of_the_broker(3)
    trial.system.kill_child("publisher")
    trial.outage_of_the_broker(3)
    assert not trial.finish(at_least=300).lost


def shown(trial: Trial) -> int:
    return sum(item.shown_at is not None for item in trial.simulator.truth())
