"""The configuration: file, `.env`, environment and command line become one frozen Config, or a list of all problems."""

from core.config.addresses import EMBEDDED
from core.config.load import load_config
from core.config.proxies import Proxy
from core.config.sections import (
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
from core.errors import ConfigError, Problem
from core.masking.redact import redact_url

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
