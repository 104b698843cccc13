"""implicit's loss of factors in a file (little-endian f32, users first), per unit of confidence.

    als_loss.py FILE.csr FACTORS.f32 FACTORS
"""

import sys

import numpy as np

from als_implicit import loss
from interactions import read

matrix = read(sys.argv[1])
values = np.fromfile(sys.argv[2], "<f4").reshape(-1, int(sys.argv[3]))
print(loss(matrix, values[: matrix.shape[0]].copy(), values[matrix.shape[0] :].copy()))
