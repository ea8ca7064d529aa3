"""The parts that the demo's script uses: processes, probes and screen."""

from dataclasses import dataclass

from core.config import Config
from core.status.statistics_block import Meter
from supervisor.demo.crawl_watch import CrawlWatch
from supervisor.demo.database import Database
from supervisor.demo.local_proxies import LocalProxy
from supervisor.demo.screen import Screen
from supervisor.demo.simulator_control import SimulatorControl
from supervisor.processes.control_inbox import ControlInbox


@dataclass(frozen=True, slots=True)
class DemoParts:
    """The parts, created once."""

    config: Config
    inbox: ControlInbox
    screen: Screen
    proxies: tuple[LocalProxy, ...]
    simulator_control: SimulatorControl
    meter: Meter
    database: Database
    crawl: CrawlWatch

    @classmethod
    def of(cls, config: Config, proxies: tuple[LocalProxy, ...], inbox: ControlInbox, screen: Screen) -> "DemoParts":
        """Create the parts that follow from the configuration."""
        assert config.database.sqlite_path is not None  # noqa: S101 - the demo configures it
        database = Database(config.database.sqlite_path)
        return cls(
            config=config,
            inbox=inbox,
            screen=screen,
            proxies=proxies,
            simulator_control=SimulatorControl(config.reddit.oauth_url),
            meter=Meter(config.supervisor.state_dir),
            database=database,
            crawl=CrawlWatch(config, database),
        )
