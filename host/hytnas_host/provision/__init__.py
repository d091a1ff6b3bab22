"""Putting the agent on a board over SSH, offline for the board: wheels, a virtual environment, a service.

`provision` does it and does it again without harm; `unprovision` removes everything. Both go by a connection;
`provision_enrolled` and `unprovision_enrolled` go by an entry of the inventory.
"""

from hytnas_host.provision.enrolled import provision_enrolled, unprovision_enrolled
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.plan import DEFAULT_PYTHON, ProvisionOptions
from hytnas_host.provision.provision import Provisioned, provision, unprovision
from hytnas_host.provision.steps import SilentSteps, Steps

__all__ = [
    "DEFAULT_PYTHON",
    "ProvisionError",
    "ProvisionOptions",
    "Provisioned",
    "SilentSteps",
    "Steps",
    "provision",
    "provision_enrolled",
    "unprovision",
    "unprovision_enrolled",
]
