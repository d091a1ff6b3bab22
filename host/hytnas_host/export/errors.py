"""Errors of exporting and reading model files."""

import errno
import os

from hytnas_agent.errors import HytnasError


class ExportError(HytnasError):
    """A network could not be exported, or its export does not compute what the network computes."""


class NoRoomError(HytnasError):
    """Model files cannot be written here: the disk is full, or the folder is not to be written."""


class ModelFileError(HytnasError):
    """A model file cannot be read, or is not what it says it is."""


def names_full_disk(text: str) -> bool:
    """Whether what a program said names a full disk, in the words of the operating system."""
    return any(os.strerror(number) in text for number in (errno.ENOSPC, errno.EDQUOT))
