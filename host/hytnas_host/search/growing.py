"""Arrays that grow row by row without being copied each time."""

from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FIRST_ROWS: Final = 64


class GrowingArray:
    """Rows of equal shape; appending costs time in proportion to what is appended.

    Parameters
    ----------
    shape : tuple of int
        Of one row.
    dtype : dtype

    Examples
    --------
    >>> growing = GrowingArray((2,), np.float64)
    >>> growing.extend(np.array([[1.0, 2.0]]))
    >>> growing.rows.tolist()
    [[1.0, 2.0]]
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._buffer: NDArray[Any] = np.empty((_FIRST_ROWS, *shape), dtype=dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[Any]:
        """(n, ...) all rows so far, to be read only; what is appended later does not show in it."""
        view = self._buffer[: self._count]
        view.flags.writeable = False
        return view

    def extend(self, rows: NDArray[Any], /) -> None:
        """Append (k, ...) ``rows``."""
        needed = self._count + len(rows)
        if needed > len(self._buffer):
            larger = np.empty(
                (max(needed, 2 * len(self._buffer)), *self._buffer.shape[1:]), self._buffer.dtype
            )
            larger[: self._count] = self._buffer[: self._count]
            self._buffer = larger
        self._buffer[self._count : needed] = rows
        self._count = needed
