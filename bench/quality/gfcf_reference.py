#!/usr/bin/env python3
"""The formula of GF-CF in NumPy and SciPy, for the figures of the item-item source to be held against.

    python3 bench/quality/gfcf_reference.py PAIRS [SEED] [COMPONENTS]

PAIRS has a header and lines `user,item` (.gz works). An item of a user is cut off if the first 8 bytes of
SHA-256("SEED:user:item") mod 10000 are below 1500, as `sona evaluate --protocol full-ranking` does it; a user who would
be left with nothing keeps the first item. Prints Recall@20 and NDCG@20 over all users who lost an item, to be compared with

    SONA_ITEM_ITEM_NEIGHBOURS=0 SONA_ITEM_ITEM_COMPONENTS=256 sona evaluate --data PAIRS --models item-item

Needs numpy and scipy (`pip install numpy scipy`).
"""

import gzip
import hashlib
import sys

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

LOW_PASS = 0.3
SHARE = 1500


def cut(path, seed):
    train, test, users, items = [], {}, {}, {}
    by_user = {}
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as lines:
        next(lines)
        for line in lines:
            user, item = line.rstrip("\n").split(",")[:2]
            by_user.setdefault(user, {}).setdefault(item)
    for user, had in by_user.items():
        u = users.setdefault(user, len(users))
        gone = []
        for item in had:
            digest = hashlib.sha256(f"{seed}:{user}:{item}".encode()).digest()
            gone.append(int.from_bytes(digest[:8], "big") % 10000 < SHARE)
        if all(gone):
            gone[0] = False
        for item, away in zip(had, gone):
            i = items.setdefault(item, len(items))
            if away:
                test.setdefault(u, []).append(i)
            else:
                train.append((u, i))
    rows, columns = np.array(train).T
    shape = (len(users), len(items))
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape), test


def main(path, seed=1, components=256):
    r, test = cut(path, seed)
    inverse_root = lambda d: np.where(d > 0, 1 / np.sqrt(np.maximum(d, 1)), 0).astype(np.float32)
    du, di = np.asarray(r.sum(1)).ravel(), np.asarray(r.sum(0)).ravel()
    normal = sp.diags(inverse_root(du)) @ r @ sp.diags(inverse_root(di))
    normal = sp.csr_matrix(normal, dtype=np.float32)
    _, _, vt = svds(normal, k=components, random_state=0)
    inward, outward = vt * inverse_root(di), vt * np.sqrt(di)
    discounts = 1 / np.log2(np.arange(2, 22))
    recall, ndcg = [], []
    asked = sorted(test)
    for start in range(0, len(asked), 500):
        batch = asked[start : start + 500]
        had = r[batch]
        scores = np.asarray((had @ normal.T @ normal).todense())
        scores += LOW_PASS * (had @ inward.T) @ outward
        scores[had.nonzero()] = -np.inf
        best = np.argpartition(-scores, 20, axis=1)[:, :20]
        order = np.take_along_axis(scores, best, 1).argsort(1)[:, ::-1]
        best = np.take_along_axis(best, order, 1)
        for user, top in zip(batch, best):
            hits = np.isin(top, test[user])
            recall.append(hits.sum() / len(test[user]))
            ndcg.append((hits * discounts).sum() / discounts[: len(test[user])].sum())
    print(f"{len(asked)} users: Recall@20 {np.mean(recall):.4f}  NDCG@20 {np.mean(ndcg):.4f}")


if __name__ == "__main__":
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))
