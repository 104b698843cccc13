"""Makes seeded interactions with the shape real ones have: few users do much, few items are met by many.

    interactions.py FILE.csr USERS ITEMS PAIRS

Activity is log-normal. An item is drawn by Zipf's law from a ranking: the common one, or with 60 % the one of the user's
group of taste, of which there are 64, so that there is something to learn. Values are geometric counts.

FILE.csr: b"CSR1", then little-endian u64 users, items, pairs, u64 row pointers, u32 items, f32 values.
"""

import struct
import sys

import numpy as np
import scipy.sparse as sp

SEED = 20_260
GROUPS = 64
ZIPF = 0.9
OF_GROUP = 0.6


def generate(users, items, pairs):
    """A CSR matrix with exactly `pairs` entries."""
    random = np.random.default_rng(SEED)
    activity = random.lognormal(0.0, 1.0, users)
    share = np.arange(1, items + 1, dtype=np.float64) ** -ZIPF
    ladder = np.cumsum(share) / share.sum()
    common = random.permutation(items)
    tastes = np.array([random.permutation(items) for _ in range(GROUPS)])
    group = random.integers(GROUPS, size=users)
    least, most = 4, items // 4

    cells = np.empty(0, dtype=np.int64)
    while cells.size < pairs:
        wanted = activity * (pairs / activity.sum())
        user = np.repeat(np.arange(users), np.clip(wanted, least, most).astype(np.int64))
        rank = np.minimum(np.searchsorted(ladder, random.random(user.size)), items - 1)
        item = np.where(random.random(user.size) < OF_GROUP, tastes[group[user], rank], common[rank])
        cells = np.union1d(cells, user * items + item)
    cells = np.sort(random.choice(cells, pairs, replace=False))
    values = random.geometric(0.5, pairs).astype(np.float32)
    return sp.csr_matrix((values, (cells // items, cells % items)), shape=(users, items))


def write(path, matrix):
    """Writes `matrix`, its rows sorted by item."""
    matrix.sort_indices()
    with open(path, "wb") as file:
        file.write(b"CSR1" + struct.pack("<3Q", *matrix.shape, matrix.nnz))
        for array, kind in ((matrix.indptr, "<u8"), (matrix.indices, "<u4"), (matrix.data, "<f4")):
            file.write(array.astype(kind).tobytes())


def read(path):
    """The matrix of a file."""
    with open(path, "rb") as file:
        if file.read(4) != b"CSR1":
            sys.exit(f"{path} is not a CSR1 file; remove it and start again")
        users, items, pairs = struct.unpack("<3Q", file.read(24))
        pointers = np.fromfile(file, "<u8", users + 1).astype(np.int64)
        columns = np.fromfile(file, "<u4", pairs).astype(np.int32)
        values = np.fromfile(file, "<f4", pairs)
    return sp.csr_matrix((values, columns, pointers.astype(np.int32)), shape=(users, items))


if __name__ == "__main__":
    write(sys.argv[1], generate(*map(int, sys.argv[2:])))
