"""The device ``icount-a53``: an emulated Cortex-A53 whose clock is its own executed instructions.

Its latencies are *instruction-count latencies*: repeatable, and nobody's board's.
"""

from hytnas_host.devices.icount.building import Built, build, is_built
from hytnas_host.devices.icount.device import DEVICE_NAME, METHOD, open_icount

__all__ = ["DEVICE_NAME", "METHOD", "Built", "build", "is_built", "open_icount"]
