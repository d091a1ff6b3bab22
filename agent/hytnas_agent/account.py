"""Whose account this is: a container may run as a user id that has neither a name nor a home."""

import getpass
import os
from pathlib import Path

from hytnas_agent.errors import AgentError


def user_name() -> str:
    """The user's name, or ``uid-1234`` where nothing knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def base_folder(variable: str, below_home: str) -> Path:
    """A base folder of the XDG specification: what ``variable`` holds, else ``below_home`` in the home.

    Raises
    ------
    AgentError
        The variable is not set, and the user has no home.
    """
    if chosen := os.environ.get(variable):
        return Path(os.path.expanduser(chosen)).absolute()
    home = os.path.expanduser("~")
    if home == "~":
        raise AgentError(
            f"user id {os.getuid()} has no home: HOME is not set, and the system does not know the user",
            f"Set HOME, or {variable}, to a folder of your own",
        )
    return Path(home).absolute() / below_home
