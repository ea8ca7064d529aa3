"""Records the monitor's address in `state_dir/monitor.json`, for commands that print it."""

import errno
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from core.process.procfs import free_port
from core.storage.private_files import replace_json


@dataclass(frozen=True, slots=True)
class Address:
    """A host and the port in use."""

    host: str
    port: int
    pid: int = 0

    @property
    def url(self) -> str:
        """The URL for a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 (compared, not bound)
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"


def address_path(state_dir: Path) -> Path:
    """Return the path of the file."""
    return state_dir / "monitor.json"


def write_address(state_dir: Path, address: Address) -> None:
    """Record the address. Raises OSError when it cannot be written."""
    replace_json(address_path(state_dir), {**asdict(address), "url": address.url})


def read_address(state_dir: Path) -> Address | None:
    """Return the monitor's current or last address, None when there was none."""
    try:
        content = json.loads(address_path(state_dir).read_text(encoding="utf-8"))
        return Address(str(content["host"]), int(content["port"]), int(content["pid"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def wanted_ports(state_dir: Path, host: str, port: int) -> list[int]:
    """Return the ports to try, in order: an open page finds the monitor again on its former port."""
    if port:
        return [port]
    former = read_address(state_dir)
    return [former.port, free_port(host)] if former and former.host == host else [free_port(host)]


def listen_hint(error: OSError, host: str, port: int) -> str:
    """Return a hint for an address that cannot be used."""
    if error.errno == errno.EADDRINUSE:
        return f"another program listens on port {port}: stop it, or set another monitor.port (0 selects a free one)"
    if error.errno == errno.EACCES:
        return f"only root may use port {port}: set a monitor.port above 1023"
    return f"monitor.host {host!r} is not an address of this machine: set 127.0.0.1, or 0.0.0.0 for all addresses"
