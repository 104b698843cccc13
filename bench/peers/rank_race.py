"""Fits LightGBM and Sona in turn on the same queries, one thread each.

    rank_race.py FOLDER RANK_SPEED ROUNDS QUERIES CANDIDATES FEATURES

The queries are made by `rank_speed` and written to FOLDER. Sona's NDCG is measured by Sona, LightGBM's by numpy, by the same
formula, equal scores in the order of the candidates.
"""

import json
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def sona(binary, folder, sizes):
    environment = os.environ | {"RAYON_NUM_THREADS": "1"}
    text = subprocess.run([binary, *sizes, folder], env=environment, check=True, capture_output=True, text=True).stdout
    seconds, cpu = re.search(r"fit ([\d.]+) s, cpu ([\d.]+) s", text).groups()
    return {"seconds": float(seconds), "cpu": float(cpu), "ndcg": float(re.search(r"test NDCG@10 ([\d.]+)", text)[1])}, text


def lightgbm(folder, sizes):
    script = os.path.join(HERE, "rank_lightgbm.py")
    command = [sys.executable, script, folder, *sizes[1:]]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def show(name, result):
    print(f"  {name:9} {result['seconds']:7.2f} s  cpu {result['cpu']:7.2f} s  NDCG@10 {result['ndcg']:.5f}", flush=True)


def main():
    folder, binary, rounds, *sizes = sys.argv[1:]
    print("{} queries of {} candidates, {} features, 120 trees of 15 leaves".format(*sizes))
    ratios = {"seconds": [], "cpu": []}
    for _ in range(int(rounds)):
        ours, text = sona(binary, folder, sizes)
        theirs = lightgbm(folder, sizes)
        show("sona", ours)
        show("lightgbm", theirs)
        for key, ratio in ratios.items():
            ratio.append(ours[key] / theirs[key])
    medians = {key: statistics.median(ratio) for key, ratio in ratios.items()}
    print(f"  sona / lightgbm, median of {rounds}: time {medians['seconds']:.2f}, cpu {medians['cpu']:.2f}")
    print("\n".join(text.splitlines()[3:]))


if __name__ == "__main__":
    main()
