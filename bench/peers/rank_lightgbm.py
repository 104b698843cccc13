"""Fits LightGBM's lambdarank on the queries that `rank_speed` wrote, with Sona's defaults, on one thread.

    rank_lightgbm.py FOLDER CANDIDATES FEATURES

Prints one line of JSON: seconds and processor seconds of the fit, binning included, and NDCG@10 of the held-out queries.
"""

import json
import sys
import time

import lightgbm
import numpy as np


def read(folder, name, candidates, features):
    x = np.fromfile(f"{folder}/{name}.features.f32", dtype="<f4").reshape(-1, features)
    gains = np.fromfile(f"{folder}/{name}.gains.f32", dtype="<f4")
    return x, gains, np.full(len(gains) // candidates, candidates)


def ndcg(gains, scores, candidates, at=10):
    gains, scores = gains.reshape(-1, candidates), scores.reshape(-1, candidates)
    discounts = 1 / np.log2(np.arange(2, at + 2))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :at]
    found = np.take_along_axis(gains, order, axis=1) @ discounts
    best = -np.sort(-gains, axis=1)[:, :at] @ discounts
    return float(np.mean(found[best > 0] / best[best > 0]))


def main():
    folder, candidates, features = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    x, gains, groups = read(folder, "train", candidates, features)
    grades = np.log2(gains + 1).round().astype(int)
    settings = {
        "objective": "lambdarank",
        "num_leaves": 15,
        "learning_rate": 0.08,
        "min_data_in_leaf": 50,
        "min_sum_hessian_in_leaf": 0,
        "lambda_l2": 1.0,
        "feature_fraction": 0.7,
        "lambdarank_truncation_level": 20,
        "max_bin": 255,
        "num_threads": 1,
        "deterministic": True,
        "seed": 1,
        "verbose": -1,
    }
    start, cpu = time.perf_counter(), time.process_time()
    data = lightgbm.Dataset(x, grades, group=groups)
    model = lightgbm.train(settings, data, num_boost_round=120)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    test, test_gains, _ = read(folder, "test", candidates, features)
    quality = ndcg(test_gains, model.predict(test, num_threads=1), candidates)
    print(json.dumps({"seconds": seconds, "cpu": cpu, "ndcg": quality}))


if __name__ == "__main__":
    main()
