"""One run of implicit's ALS with its defaults (conjugate gradient, three steps), as one line of JSON.

    als_implicit.py FILE.csr FACTORS ITERATIONS

Two threads of its own; the linear algebra library below it gets one, as implicit asks for. The loss is implicit's own,
worked out after the clock has stopped.
"""

import json
import sys
import time

from interactions import read

ALPHA = 10.0
REGULARIZATION = 0.01
THREADS = 2


def loss(matrix, users, items):
    """implicit's loss of factors, per unit of confidence."""
    import numpy as np
    from implicit.cpu._als import calculate_loss

    confidence = (matrix * np.float32(ALPHA)).astype(np.float32)
    return float(calculate_loss(confidence, users, items, REGULARIZATION, num_threads=THREADS))


def main():
    path, factors, iterations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    from implicit.cpu.als import AlternatingLeastSquares

    matrix = read(path)
    model = AlternatingLeastSquares(
        factors=factors,
        regularization=REGULARIZATION,
        alpha=ALPHA,
        iterations=iterations,
        num_threads=THREADS,
        random_state=1,
    )
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(matrix, show_progress=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    reached = loss(matrix, model.user_factors, model.item_factors)
    print(json.dumps({"seconds": wall, "cpu": cpu, "loss": reached}))


if __name__ == "__main__":
    main()
