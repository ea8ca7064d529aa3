"""The configuration: file, `.env`, environment and command line in, one frozen Config out, or all problems at once."""

from core.config.address import EMBEDDED
from core.config.load import load_config
from core.config.model import (
    Config,
    DatabaseSection,
    KafkaSection,
    MonitorSection,
    RedditSection,
    ScraperSection,
    StreamsSection,
    SupervisorSection,
    all_settings,
)
from core.config.proxy import Proxy
from core.errors import ConfigError, Problem
from core.redact import redact_url

__all__ = [
    "EMBEDDED",
    "Config",
    "ConfigError",
    "DatabaseSection",
    "KafkaSection",
    "MonitorSection",
    "Problem",
    "Proxy",
    "RedditSection",
    "ScraperSection",
    "StreamsSection",
    "SupervisorSection",
    "all_settings",
    "load_config",
    "redact_url",
]
