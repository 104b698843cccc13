#!/usr/bin/env python3
"""EASE (Steck, *Embarrassingly shallow autoencoders for sparse data*, WWW 2019) in NumPy on validation rows, to be held
against the product's own collaborative sources.

    python3 bench/quality/ease_reference.py SEQUENCES LAMBDA...

SEQUENCES has lines `user item item …` in order (.gz works). As `sona evaluate --protocol last-item --validation` does it,
a user's last item is left out, the one before it is looked for among all items the user has not had, what comes before is
known, and all of that but its last item is fitted on. Prints HR@10, NDCG@10, seconds and the bytes of the matrix for each
λ, to be compared with

    sona evaluate --data SEQUENCES --models collaborative,item-item --validation

Needs numpy and scipy (`pip install numpy scipy`).
"""

import gzip
import sys
import time

import numpy as np
import scipy.sparse as sp
from scipy.linalg import cho_factor, cho_solve


def read(path):
    items, lists = {}, []
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as lines:
        for line in lines:
            had = dict.fromkeys(line.split()[1:])
            lists.append([items.setdefault(item, len(items)) for item in had])
    return lists, len(items)


def matrix(lists, items):
    rows = np.repeat(np.arange(len(lists)), [len(had) for had in lists])
    columns = np.concatenate([np.array(had, dtype=int) for had in lists])
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(lists), items))


def ease(fitted, ridge):
    gram = np.asarray((fitted.T @ fitted).todense(), dtype=np.float32)
    gram[np.diag_indices(len(gram))] += ridge
    inverse = cho_solve(cho_factor(gram, overwrite_a=True), np.eye(len(gram), dtype=np.float32), overwrite_b=True)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def main(path, ridges):
    lists, items = read(path)
    lists = [had for had in lists if len(had) >= 3]
    known, targets = matrix([had[:-2] for had in lists], items), np.array([had[-2] for had in lists])
    fitted = matrix([had[:-3] for had in lists], items)
    for ridge in ridges:
        start = time.time()
        weights = ease(fitted, ridge)
        seconds = time.time() - start
        hits, gains = [], []
        for at in range(0, len(targets), 500):
            had = known[at : at + 500]
            scores = np.asarray(had @ weights)
            scores[had.nonzero()] = -np.inf
            own = scores[np.arange(len(scores)), targets[at : at + 500]]
            # Equal scores count against us.
            rank = (scores >= own[:, None]).sum(1)
            hits.extend(rank <= 10)
            gains.extend(np.where(rank <= 10, 1 / np.log2(rank + 1), 0))
        print(f"lambda {ridge}: {len(hits)} users, HR@10 {np.mean(hits):.4f} NDCG@10 {np.mean(gains):.4f},"
              f" {seconds:.1f} s, {weights.nbytes} bytes", flush=True)


main(sys.argv[1], [float(ridge) for ridge in sys.argv[2:]])
