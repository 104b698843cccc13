#!/usr/bin/env python3
"""The difference of two models' NDCG@10 on the same users, from the lists of `sona evaluate`, with its 95 % interval.

    SONA_FUSION_CONTENT=0.1 sona evaluate --data DATA --validation --models fused,fused-content \
        --scores top.txt --targets held-out.txt
    python3 bench/quality/paired.py held-out.txt top.fused.txt top.fused-content.txt

Users are resampled in pairs, 2,000 times, by a fixed seed: what both models find or miss alike does not widen the
interval. Needs Python 3.9 and nothing else.
"""

import random
import sys

from check_scores import metrics_of, read_lists, read_targets

METRIC = "ndcg@10"
RESAMPLES = 2000


def values_of(path, targets):
    lists = read_lists(path)
    return [metrics_of(lists.get(user, []), targets[user])[METRIC] for user in sorted(targets)]


def main(targets_path, first_path, second_path):
    targets = read_targets(targets_path)
    first, second = values_of(first_path, targets), values_of(second_path, targets)
    differences = [a - b for a, b in zip(first, second)]
    users = len(differences)
    chance = random.Random(1)
    means = sorted(sum(chance.choices(differences, k=users)) / users for _ in range(RESAMPLES))
    low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
    print(
        f"{METRIC} {sum(first) / users:.4f} against {sum(second) / users:.4f}: "
        f"{sum(differences) / users:+.4f} [{low:+.4f} {high:+.4f}] over {users} users"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
