"""Drives Sona, a FastAPI + implicit service and an empty handler in turn: requests per second of processor time.

    recommend_race.py FILE.csr SONA EMPTY_HANDLER SECONDS ROUNDS

All know the same users, items and interactions and answer with 20 items the user has not met. Processor time is the
server process' own, of all its threads; what `wrk` uses does not count.
"""

import contextlib
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from interactions import read

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH = 5_000
CONNECTIONS = "8"
# What no other source may say when only the model is asked.
ONLY_COLLABORATIVE = {
    f"SONA_FUSION_{source}": "0" for source in ("SEQUENCE", "ATTRIBUTES", "TRENDING", "POPULAR", "CONTEXT")
}


def call(url, body=None, kind="application/json"):
    request = urllib.request.Request(url, data=body, headers={"content-type": kind} if body else {})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@contextlib.contextmanager
def started(command, environment):
    """A server and its URL: the one it prints, or, if the command holds PORT, one on a free port."""
    port = free_port() if "PORT" in command else None
    command = [str(port) if word == "PORT" else word for word in command]
    output = subprocess.DEVNULL if port else subprocess.PIPE
    server = subprocess.Popen(command, env=os.environ | environment, stdout=output, text=True, cwd=HERE)
    try:
        url = f"http://127.0.0.1:{port}" if port else announced(server)
        yield server.pid, url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def announced(server):
    line = server.stdout.readline()
    found = re.search(r"http://[\w.:]+\d", line)
    return found.group() if found else sys.exit(f"a server did not start: {line}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url):
    for _ in range(600):
        with contextlib.suppress(urllib.error.URLError):
            return call(url)
        time.sleep(0.1)
    sys.exit(f"{url} does not answer")


def fill(url, met):
    """Sends every item and every interaction."""
    items = [{"content_id": str(item), "title": f"Title {item}"} for item in range(met.shape[1])]
    for at in range(0, len(items), BATCH):
        call(f"{url}/api/v1/content/bulk", json.dumps(items[at : at + BATCH]).encode())
    pairs = list(zip(*met.nonzero()))
    # In no order of users, as events come; otherwise the log would be no log.
    random.Random(1).shuffle(pairs)
    for at in range(0, len(pairs), BATCH):
        events = [
            {"event_id": f"{user}-{item}", "user_id": str(user), "content_id": str(item), "event_type": "complete"}
            for user, item in pairs[at : at + BATCH]
        ]
        lines = "\n".join(map(json.dumps, events)).encode()
        call(f"{url}/api/v1/events/track", lines, "application/x-ndjson")


def answer_of(url, user):
    return call(f"{url}/api/v1/recommendations", json.dumps({"user_id": str(user), "limit": 20}).encode())


def check(sona_urls, peer_url, met):
    """Nobody is quick by leaving work out: 20 items each, none of them met."""
    for user in range(0, met.shape[0], met.shape[0] // 50):
        lists = [[int(item["content_id"]) for item in answer_of(url, user)["recommendations"]] for url in sona_urls]
        lists.append(call(f"{peer_url}/recommend/{user}?n=20")["items"])
        for items in lists:
            if len(set(items)) != 20 or set(items) & set(met[user].indices.tolist()):
                sys.exit(f"user {user} is answered with {items}")


def warm(url, users):
    """Every user once: what is measured is answering from memory, not the first read of a history."""
    for user in range(users):
        answer_of(url, user)


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        words = stat.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def drive(pid, url, shape, users, seconds):
    environment = os.environ | {"SHAPE": shape, "USERS": str(users)}
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-s", os.path.join(HERE, "recommend.lua"), url]
    subprocess.run([*command, "-d1s"], env=environment, check=True, stdout=subprocess.DEVNULL)
    before = processor_seconds(pid)
    text = subprocess.run([*command, f"-d{seconds}s"], env=environment, check=True, capture_output=True, text=True).stdout
    used = processor_seconds(pid) - before
    result = json.loads(re.search(r"RESULT (.*)", text).group(1))
    if result["failed"]:
        sys.exit(f"{url}: {result['failed']} requests failed")
    return result | {"per_cpu": result["requests"] / used, "per_second": result["requests"] / seconds}


def race(servers, users, seconds, rounds):
    """`servers`: name → (process, URL, shape). The median requests per processor second of each."""
    seen = {name: [] for name in servers}
    for index in range(rounds):
        print(f"\nround {index + 1}")
        for name, (pid, url, shape) in servers.items():
            result = drive(pid, url, shape, users, seconds)
            seen[name].append(result["per_cpu"])
            print(f"  {name:28} {result['per_cpu']:9.0f} requests per CPU second  {1e6 / result['per_cpu']:7.1f} µs CPU each"
                  f"  {result['per_second']:8.0f}/s  p50 {result['p50_ms']:.2f} ms  p99 {result['p99_ms']:.2f} ms", flush=True)
    return {name: statistics.median(values) for name, values in seen.items()}


def main():
    path, sona, empty = (os.path.abspath(argument) for argument in sys.argv[1:4])
    seconds, rounds = int(sys.argv[4]), int(sys.argv[5])
    met = read(path)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        place = {
            "SONA_STORAGE_DATABASE": f"sqlite:{folder}/sona.db",
            "SONA_STORAGE_BLOBS": f"file:{folder}/blobs",
            "SONA_TRAINING_INTERVAL_HOURS": "0",
        }
        serve = [sona, "serve", "--port", "0"]
        with started(serve, place) as (_, url):
            fill(url, met)
        subprocess.run([sona, "train"], env=os.environ | place, check=True, stdout=subprocess.DEVNULL)

        only = stack.enter_context(started(serve, place | ONLY_COLLABORATIVE))
        full = stack.enter_context(started(serve, place))
        service = [sys.executable, "-m", "uvicorn", "recommend_service:app", "--port", "PORT", "--workers", "1",
                   "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
        peer = stack.enter_context(started(service, {"INTERACTIONS": path, "OPENBLAS_NUM_THREADS": "1"}))
        wait_for(f"{peer[1]}/recommend/0")
        check([only[1], full[1]], peer[1], met)

        for _, url in (only, full):
            warm(url, met.shape[0])
        answer = json.dumps(answer_of(only[1], 0), separators=(",", ":"), ensure_ascii=False).encode()
        with open(f"{folder}/answer.json", "wb") as file:
            file.write(answer)
        nothing = stack.enter_context(started([empty, f"{folder}/answer.json"], {}))
        print(f"an answer of Sona has {len(answer)} bytes; the empty handler sends one")
        median = race({
            "FastAPI + implicit": (*peer, "get"),
            "sona, collaborative only": (*only, "post"),
            "sona, all sources": (*full, "post"),
            "empty handler": (*nothing, "post"),
        }, met.shape[0], seconds, rounds)

    peer, only, full, nothing = median.values()
    print(f"\nmedian of {rounds}, requests per CPU second")
    print(f"  sona, collaborative only: {only / peer:5.1f} x FastAPI + implicit, {only / nothing:.2f} of the empty handler")
    print(f"  sona, all sources:        {full / peer:5.1f} x FastAPI + implicit, {full / nothing:.2f} of the empty handler")


if __name__ == "__main__":
    main()
