#!/usr/bin/env python3
"""Recomputes the metrics of `sona evaluate` from its lists, sharing nothing with it, and compares.

    sona evaluate --data DATA --models fused --scores top.txt --targets held-out.txt --json > report.json
    python3 bench/quality/check_scores.py report.json held-out.txt fused=top.txt [--sequences FILE]

Fails if a metric differs by more than 1e-9, if a list is not in descending order of score, holds an item twice, or
puts a target before another item of the same score. With --sequences (lines `user item item ...`, last-item protocol)
the targets and the histories are worked out from the data as well. Needs Python 3.9 and nothing else.
"""

import gzip
import json
import math
import sys
from collections import defaultdict

CUTS = {"hr": (5, 10, 20), "ndcg": (5, 10, 20), "recall": (10, 20, 50)}


def read_lists(path):
    lists = defaultdict(list)
    with open(path) as lines:
        for line in lines:
            user, item, score = line.split()
            lists[user].append((item, float(score)))
    return lists


def read_targets(path):
    targets = defaultdict(set)
    with open(path) as lines:
        for line in lines:
            user, item = line.split()
            targets[user].add(item)
    return targets


def check_order(user, ranked, wanted):
    assert len({item for item, _ in ranked}) == len(ranked), f"{user}: an item twice"
    for (item, score), (following, lower) in zip(ranked, ranked[1:]):
        assert score >= lower, f"{user}: {following} after {item} has a higher score"
        tie = score == lower
        assert not (tie and item in wanted and following not in wanted), f"{user}: a tie for us"


def metrics_of(ranked, wanted):
    hits = [item in wanted for item, _ in ranked]
    out = {}
    for k in CUTS["hr"]:
        out[f"hr@{k}"] = 1.0 if any(hits[:k]) else 0.0
    for k in CUTS["ndcg"]:
        gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits[:k]) if hit)
        ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
        out[f"ndcg@{k}"] = gain / ideal
    for k in CUTS["recall"]:
        out[f"recall@{k}"] = sum(hits[:k]) / len(wanted)
    out["mrr"] = next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0)
    return out


def check_split(path, targets, lists):
    opener = gzip.open if path.endswith(".gz") else open
    expected = {}
    with opener(path, "rt") as lines:
        for line in lines:
            user, *items = line.split()
            items = list(dict.fromkeys(items))
            if len(items) >= 3:
                expected[user] = items
    assert {user: {items[-1]} for user, items in expected.items()} == dict(targets), "other targets"
    for user, ranked in lists.items():
        had = set(expected[user][:-1])
        assert not had & {item for item, _ in ranked}, f"{user}: an item of the history in the list"


def main(arguments):
    sequences = None
    if "--sequences" in arguments:
        at = arguments.index("--sequences")
        sequences = arguments[at + 1]
        del arguments[at : at + 2]
    report_path, targets_path, *named = arguments
    with open(report_path) as file:
        report = json.load(file)
    targets = read_targets(targets_path)
    assert len(targets) == report["users"], f"{len(targets)} users, reported {report['users']}"
    reported = {model["name"]: model["metrics"] for model in report["models"]}
    worst = 0.0
    for name, path in (argument.split("=", 1) for argument in named):
        lists = read_lists(path)
        assert set(lists) <= set(targets), "lists of users nobody asked for"
        if sequences:
            check_split(sequences, targets, lists)
        sums = defaultdict(float)
        for user, wanted in targets.items():
            ranked = lists.get(user, [])
            check_order(user, ranked, wanted)
            for metric, value in metrics_of(ranked, wanted).items():
                sums[metric] += value
        for metric, total in sorted(sums.items()):
            mine, theirs = total / len(targets), reported[name][metric]
            worst = max(worst, abs(mine - theirs))
            assert abs(mine - theirs) <= 1e-9, f"{name} {metric}: {mine} here, {theirs} reported"
        assert set(sums) == set(reported[name]), "other metrics"
        print(f"{name}: {len(sums)} metrics over {len(targets)} users agree")
    print(f"largest difference {worst:.1e}")


if __name__ == "__main__":
    main(sys.argv[1:])
