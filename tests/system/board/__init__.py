"""Stand-ins for a Raspberry Pi 3 Model B: a quick one (chroot) and a whole one (QEMU's raspi3b)."""

from .base import Board, BoardError
from .chroot import ChrootBoard
from .full import FullBoard

__all__ = ["Board", "BoardError", "ChrootBoard", "FullBoard"]
