"""The image without an engine: each step of the Dockerfile in a root of its own, in namespaces that end with it.

The base image is played by this machine: its `/usr` and its Python, read-only. `pip install` is left out unless
GAPLESS_IMAGE_PIP=1, since it takes minutes; the packages of the running Python replace those that it would install.
"""

import os
import shlex
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.deploy.dockerfile import Stage
from tests.support.server import ServerProcess
from tests.support.system import ROOT
from tests.support.waiting import wait_until

_WITH_PIP = os.environ.get("GAPLESS_IMAGE_PIP") == "1"

#: Until it is healthy, seconds: building comes first.
PATIENCE = 900.0 if _WITH_PIP else 90.0

#: A network of its own, without a way out: the port is free, and nothing can be reached. pip needs ours.
UNSHARE = ("unshare", "--mount", "--pid", *(() if _WITH_PIP else ("--net",)), "--fork", "--kill-child")

_BASE = """
mkdir -p {root}
mount -t tmpfs -o mode=755 tmpfs {root}
cd {root}
mkdir -p etc proc dev tmp usr var/lib var/log opt python packages
chmod 1777 tmp
for name in bin sbin lib lib64; do
    if [ -L /$name ]; then cp -a /$name $name; elif [ -d /$name ]; then mkdir $name; mount --bind /$name $name; fi
done
mount --rbind /usr usr
mount --rbind /dev dev
mount -t proc proc proc
for name in pip.conf passwd group shadow gshadow login.defs nsswitch.conf ld.so.cache hosts ssl resolv.conf; do
    [ -e /etc/$name ] && cp -aL /etc/$name etc/ || true
done
case {prefix} in /usr*) ;; *) mkdir -p .{prefix}; mount --bind -o ro {prefix} .{prefix} ;; esac
mount --bind -o ro {packages} packages
ln -s {python} python/python
"""

_FOR_PIP = ("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")

_SEARCHED = "/python:/usr/sbin:/usr/bin"

_LOOPBACK_UP = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 1))"


class Image:
    """The script that builds the stages, and the container that it ends in."""

    def __init__(self, directory: Path, stages: Sequence[Stage]) -> None:
        self.stages = stages
        self.final = stages[-1]
        self._directory = directory
        # not below the directory of the test: that is for its owner alone, and the image runs as somebody else
        self._roots = Path(tempfile.mkdtemp(prefix="gapless-image-"))
        self._roots.chmod(0o755)
        self.output = directory / "container.out"
        self._server: ServerProcess | None = None

    def start(self, config: Path, environment: dict[str, str]) -> None:
        """Build, then become the container: read-only but for its volumes and /tmp, no capability, its own network."""
        lines = ["set -eu", "mount --make-rprivate /", shlex.join([sys.executable, "-c", _LOOPBACK_UP])]
        for number, stage in enumerate(self.stages):
            lines += self._build(stage, self._root(number))
        lines += self._run(config, environment)
        script = self._directory / "container.sh"
        script.write_text("\n".join(lines) + "\n")
        self._server = ServerProcess([*UNSHARE, "sh", str(script)], self.output)
        self._server.start()

    def _root(self, number: int) -> Path:
        return self._roots / f"stage{number}"

    def _build(self, stage: Stage, root: Path) -> list[str]:
        packages = sysconfig.get_path("purelib")
        lines = [_BASE.format(root=root, prefix=sys.base_prefix, packages=packages, python=_python())]
        for word, value in stage.steps:
            if word == "COPY":
                lines += self._copy(shlex.split(value), root)
            elif word == "RUN":
                command = ["chroot", str(root), "env", "-i", f"PATH={_SEARCHED}"]
                command += [f"{name}={os.environ[name]}" for name in _FOR_PIP if _WITH_PIP and name in os.environ]
                command += ["sh", "-euc", _quick(value)]
                lines.append(shlex.join(command))
        return lines

    def _copy(self, words: list[str], root: Path) -> list[str]:
        start = ROOT
        if words[0].startswith("--from="):
            names = [stage.name for stage in self.stages]
            start = self._root(names.index(words.pop(0).removeprefix("--from=")))
        source, target = words
        inside, outside = root / target.lstrip("/"), start / source.lstrip("/")
        return [f"mkdir -p {inside.parent}", f"cp -a --no-preserve=ownership {outside} {inside}"]

    def _run(self, config: Path, environment: dict[str, str]) -> list[str]:
        root, final = self._root(len(self.stages) - 1), self.final
        (user,), (home,) = final.values("USER"), final.values("WORKDIR")
        uid, gid = user.split(":")
        mounted = root / "etc/gapless/config.toml"
        lines = [f"mkdir -p {mounted.parent}", f"cp {config} {mounted}"]
        for volume in [*final.array("VOLUME"), "/tmp"]:
            place = f"{root}{volume}"
            lines += [f"mount -t tmpfs -o $(stat -c uid=%u,gid=%g,mode=%a {place}) tmpfs {place}"]
        lines.append(f"mount -o remount,ro {root}")
        variables = {**self._environment(), **environment}
        command = ["chroot", str(root), "setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"]
        command += ["--bounding-set", "-all", "--inh-caps", "-all", "env", "-i", "-C", home]
        command += [f"{name}={value}" for name, value in variables.items()]
        return [*lines, f"exec {shlex.join([*command, *final.array('ENTRYPOINT'), *final.array('CMD')])}"]

    def _environment(self) -> dict[str, str]:
        variables = self.final.environment()
        return {**variables, "PATH": variables["PATH"].replace("$PATH", _SEARCHED)}

    # seen from outside

    @property
    def init(self) -> psutil.Process:
        """Process 1 of the container."""
        assert self._server is not None
        assert self._server.running, self._server.tail()
        below = wait_until(psutil.Process(self._server.pid).children, what="process 1")
        return below[0]

    def execute(self, *command: str) -> list[str]:
        """The command that runs `command` beside process 1, as `docker exec` does."""
        (user,), (home,) = self.final.values("USER"), self.final.values("WORKDIR")
        uid, gid = user.split(":")
        enter = ["nsenter", "--target", str(self.init.pid), "--mount", "--pid", "--net", "--root"]
        enter += ["--setuid", uid, "--setgid", gid, "env", "-i", "-C", home]
        return [*enter, *(f"{name}={value}" for name, value in self._environment().items()), *command]

    def stop(self, timeout: float) -> int:
        """STOPSIGNAL to process 1; return the exit code."""
        assert self._server is not None
        (name,) = self.final.values("STOPSIGNAL")
        self.init.send_signal(signal.Signals[name])
        return self._server.wait(timeout)

    def wait(self, timeout: float) -> int:
        """Wait until it ends by itself; return the exit code."""
        assert self._server is not None
        return self._server.wait(timeout)

    def destroy(self) -> None:
        if self._server is not None:
            self._server.kill()
        for number in range(len(self.stages)):  # mounted in the namespace only: empty here
            if self._root(number).exists():
                self._root(number).rmdir()
        self._roots.rmdir()


def _quick(command: str) -> str:
    """Leave out what only fetches packages."""
    if "pip" not in command or _WITH_PIP:
        return command
    parts = [part.strip() for part in command.split("&&")]
    target = next(part.split()[-1] for part in parts if "-m venv" in part)
    stand_in = f"echo /packages > $(echo {target}/lib/python3*/site-packages)/stand_in.pth"
    return " && ".join([*(part for part in parts if "-m pip" not in part), stand_in])


def _python() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
