"""`baton run` beside a consumer written by hand in the same language, doing the same work on the same records.

The peers are the clients that people use: confluent-kafka in Python, @confluentinc/kafka-javascript (kafkajs where that cannot be
built) in Node, franz-go in Go, each in
the fastest of its documented ways. Records a second are counted from the first record's work to the last one's, processor time is that of
all processes of a side from start to end. scripts/peers.sh brings the clients; a language that is not here is left out.
"""

import json
import os
import resource
import shutil
import signal
import statistics
import subprocess

from kafka import Failure, ROOT, end_child, start_child, wait_until

PEER = os.path.join(ROOT, "bench", "run_peer")
RECORDS = 500000
ROUNDS = 2
PARTITIONS = 12
# language: (goal, ways by hand)
GOALS = {"python": (1.0, ("poll", "consume")), "node": (1.0, ("each", "batch")), "go": (0.8, ("hand",))}


def _told(path):
    """The line of figures among what a side said on stderr."""
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("{") and '"seconds"' in line:
                return json.loads(line)
    return None


def _programs(folder):
    ret = {}
    if os.path.exists(os.path.join(folder, ".python")):
        ret["python"] = ([os.path.join(folder, "python", "bin", "python"), PEER + ".py"], {})
    if os.path.exists(os.path.join(folder, ".node-client")):
        ret["node"] = ([shutil.which("node"), PEER + ".mjs"], {"NODE_FOLDER": os.path.join(folder, "node")})
    if os.path.exists(os.path.join(folder, "go", "peer")):
        ret["go"] = ([os.path.join(folder, "go", "peer")], {})
    return ret


def _measured(argv, log, env, count, stop):
    """Runs until it has told its figures; answers records/s and processor seconds a record."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = start_child(argv, log, env={**os.environ, **env})

    def told():
        if _told(log):
            return True
        if child.poll() is not None:
            raise Failure(f"{argv} ended with {child.returncode}, see {log}")
        return False

    wait_until(told, 180, lambda: f"{argv[:3]} to finish, see {log}", 0.05)
    end_child(child, stop, 30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = _told(log)
    if said["records"] != count or said["sum"] != sum(n % 97 for n in range(count)):
        raise Failure(f"{argv[:3]} did other work: {said}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return count / said["seconds"], cpu / count


def measure(b):
    """baton run against a consumer by hand, in Python, Node and Go: records a second, and processor time a record."""
    r = subprocess.run([os.path.join(ROOT, "scripts", "peers.sh")], capture_output=True, text=True, check=False)
    if r.returncode != 0:
        raise Failure(f"the peers could not be brought: {r.stderr[-500:]}")
    programs = _programs(r.stdout.strip())
    count = RECORDS // 4 if b.args.quick else RECORDS
    client = {"python": "confluent-kafka", "go": "franz-go"}
    if "node" in programs:  # which of two could be installed
        program, env = programs["node"]
        client["node"] = subprocess.run([*program, "client"], env={**os.environ, **env}, capture_output=True, text=True, check=True).stdout.strip()
    if "python" not in programs:
        raise Failure("python3 is not here: it makes the records")
    f = b.fleet("run", {"run-orders": PARTITIONS})
    try:
        subprocess.run([*programs["python"][0], "feed", b.kafka.bootstrap, "run-orders", str(count)], check=True)
        f.add_controller()
        for language, (program, env) in programs.items():
            goal, ways = GOALS[language]
            sides = {w: [] for w in (*ways, "run")}
            for turn in range(ROUNDS):
                for way in ways:  # a group of its own each time, so that all begin at the first record
                    argv = [*program, way, b.kafka.bootstrap, "run-orders", str(count), str(turn)]
                    sides[way].append(_measured(argv, f.path(f"{language}-{way}-{turn}.log"), env, count, signal.SIGTERM))
                f.name = f"run-{language}-{turn}"
                f.apply()
                argv = [b.tools.baton, "run", f.name, "--color", "blue", "--bootstrap", b.kafka.bootstrap, *f.prefix_option, "--batch", "500",
                        "--value", "json", "--fields", "value", "--", *program, "run", str(count)]
                sides["run"].append(_measured(argv, f.path(f"{language}-run-{turn}.log"), env, count, signal.SIGTERM))
                f.cli("fleet", "delete", f.name, "--yes")
            speed = {w: statistics.median(x[0] for x in got) for w, got in sides.items()}
            cpu = {w: statistics.median(x[1] for x in got) for w, got in sides.items()}
            best, least = max(ways, key=lambda w, s=speed: s[w]), min(ways, key=lambda w, c=cpu: c[w])
            ratio = speed["run"] / speed[best]
            b.figure(f"baton run, {language}: records", speed["run"], "records/s", f"by hand ({client[language]}, {best})", ratio, f">= {goal}", ratio >= goal)
            ratio = cpu[least] / cpu["run"]
            b.figure(f"baton run, {language}: records a processor second", 1 / cpu["run"], "records/s", f"by hand ({client[language]}, {least})", ratio,
                     f">= {goal}", ratio >= goal)
    finally:
        f.end()
