"""What a network is built for: the size of its input and the number of classes."""

import msgspec

from hytnas_datasets.errors import PlanError


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Square images of ``resolution`` x ``resolution`` pixels, classified into ``classes``.

    Raises
    ------
    PlanError
        If a value is not a positive integer.
    """

    resolution: int = 224
    in_channels: int = 3
    classes: int = 2

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PlanError(f"{field} of a task is {value!r}", "Give a positive integer")
