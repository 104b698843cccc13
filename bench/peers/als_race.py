"""Runs implicit's ALS and Sona's in turn on one matrix: who reaches implicit's loss first, and by how much.

    als_race.py FILE.csr ALS_SPEED ITERATIONS ROUNDS FACTORS...

Both minimise the same objective. implicit's time is that of its whole fit; Sona's is that of its fit up to the first pass
whose loss is at most implicit's, working out that loss included. To be sure of the loss Sona prints, implicit's function
works it out once a width from the factors Sona wrote.
"""

import json
import os
import statistics
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def run(command):
    """What a program printed, and its peak memory in MB. Linux hands a child the peak of its parent at its start, so
    this program must stay small: it reads neither matrix nor factors itself."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.posix_spawnp(
            command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)]
        )
        _, status, usage = os.wait4(child, 0)
        if status != 0:
            sys.exit(f"{' '.join(command)} failed")
        output.seek(0)
        return output.read(), usage.ru_maxrss / 1024


def implicit(path, factors, iterations):
    script = os.path.join(HERE, "als_implicit.py")
    text, memory = run([sys.executable, script, path, str(factors), str(iterations)])
    return json.loads(text) | {"memory": memory, "passes": iterations}


def sona(binary, path, factors, iterations, target, save=()):
    """A run of Sona, cut at the first pass that reaches `target`; the last pass if none does."""
    text, memory = run([binary, str(factors), str(iterations), path, *save])
    passes = []
    for line in text.splitlines():
        words = line.split()
        if words[1:2] == ["loss"]:
            passes.append({"passes": int(words[0]), "loss": float(words[2]),
                           "seconds": float(words[6]), "cpu": float(words[9])})
    reached = next((one for one in passes if one["loss"] <= target), None)
    return (reached or passes[-1]) | {"memory": memory, "reached": reached is not None}


def show(name, result, note=""):
    print(f"  {name:9} {result['passes']:>2} passes  loss {result['loss']:.6f}  {result['seconds']:7.2f} s"
          f"  cpu {result['cpu']:7.2f} s  peak {result['memory']:6.0f} MB{note}", flush=True)


def check(binary, path, factors, iterations):
    """Sona's printed loss beside implicit's function of the factors Sona wrote."""
    with tempfile.NamedTemporaryFile(suffix=".f32") as file:
        last = sona(binary, path, factors, iterations, 0.0, save=[file.name])
        script = os.path.join(HERE, "als_loss.py")
        theirs = float(run([sys.executable, script, path, file.name, str(factors)])[0])
    print(f"  sona's loss after {iterations} passes, as it prints it {last['loss']:.6f}, by implicit's function {theirs:.6f}")
    if abs(theirs - last["loss"]) > 1e-4 * theirs:
        sys.exit("the two do not measure the same loss")


def race(binary, path, factors, iterations, rounds):
    print(f"\n{factors} factors")
    check(binary, path, factors, 3)
    ratios = {"seconds": [], "cpu": [], "memory": []}
    for _ in range(rounds):
        theirs = implicit(path, factors, iterations)
        show("implicit", theirs)
        ours = sona(binary, path, factors, iterations + 5, theirs["loss"])
        show("sona", ours, "" if ours["reached"] else "  DID NOT REACH IT")
        for key, ratio in ratios.items():
            ratio.append(ours[key] / theirs[key])
    medians = {key: statistics.median(ratio) for key, ratio in ratios.items()}
    print(f"  sona / implicit, median of {rounds}: time {medians['seconds']:.2f}"
          f"  cpu {medians['cpu']:.2f}  peak memory {medians['memory']:.2f}", flush=True)


if __name__ == "__main__":
    path, binary, iterations, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    for width in sys.argv[5:]:
        race(binary, path, int(width), iterations, rounds)
