"""The type of tensors, apart so that the interface can be read without numpy."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
