import numpy as np
import pytest

from hytnas_host.search.growing import GrowingArray


def test_rows_come_in_order_and_cannot_be_changed_from_outside():
    growing = GrowingArray((2,), np.float64)
    expected = np.arange(400.0).reshape(200, 2)
    first = growing.rows
    for start in range(0, 200, 25):
        growing.extend(expected[start : start + 25])
    assert np.array_equal(growing.rows, expected)
    assert (len(growing), first.shape) == (200, (0, 2))
    with pytest.raises(ValueError, match="read-only"):
        growing.rows[0, 0] = 1.0
