"""Inspects processes that may end at any moment: an ended process has no name, no command line, and counts as gone."""

from collections.abc import Container

import psutil


def gone(process: psutil.Process) -> bool:
    """Return whether it has ended, reaped or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_zombie(process: psutil.Process) -> bool:
    """Return whether it has ended and is not reaped."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def is_stopped(process: psutil.Process) -> bool:
    """Return whether a SIGSTOP holds it."""
    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def name_of(process: psutil.Process) -> str:
    """Return its name; empty after its end."""
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def command_line(process: psutil.Process) -> list[str]:
    """Return its arguments; none after its end."""
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:
        return []


def below(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    """Return its children; none after its end."""
    try:
        return list(process.children(recursive=recursive))
    except psutil.NoSuchProcess:
        return []


def living_children(process: psutil.Process, names: Container[str]) -> dict[str, psutil.Process]:
    """Return the children with one of these names that have not ended."""
    named = [(name_of(child), child) for child in below(process)]
    return {name: child for name, child in named if name in names and not gone(child)}
