"""What a refresh of all lags of a cluster costs, beside klag-exporter on the same broker in the same run.

100 topics of 100 partitions, 100 groups that have committed in 1,000 of them each: 100,000 group-partitions. One program runs at a time;
a refresh is the processor time that it took over some of them, divided by their number, so what it does between two refreshes counts as
well. klag-exporter asks everything every time. Baton is measured while nothing is committed, and while every group commits between two
refreshes. Their answers are compared partition by partition.
"""

import json
import os
import re
import subprocess
import time
import urllib.request

from fleet import ROOT
from kafka import Failure, end_child, free_ports, start_child, wait_until

CONFIG = """[exporter]
poll_interval = "{every}s"
http_port = {port}
http_host = "127.0.0.1"
granularity = "partition"
[exporter.timestamp_sampling]
enabled = true
[exporter.otel]
enabled = false
[[clusters]]
name = "bench"
bootstrap_servers = "{bootstrap}"
group_whitelist = ["lag-group-.*"]
topic_whitelist = [".*"]
topic_blacklist = ["^__.*"]
"""


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as r:
            return r.read().decode()
    except OSError:
        return None


class Peer:
    """klag-exporter: the number of its refreshes stands in its log."""

    def __init__(self, b, program, every):
        (self.port,) = free_ports(1)
        self.log = os.path.join(b.folder, "klag.log")
        config = os.path.join(b.folder, "klag.toml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(every=every, port=self.port, bootstrap=b.kafka.bootstrap))
        self.child = start_child([program, "--config", config, "--log-level", "info,klag_exporter::cluster::manager=debug"], self.log)

    def refreshes(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return len(re.findall(r"Collection cycle completed", f.read()))

    def lags(self):
        page = get(self.port, "/metrics") or ""
        found = re.findall(r'^kafka_consumergroup_group_lag\{([^}]*)\} ([0-9.e+-]+)', page, re.MULTILINE)
        ret = {}
        for labels, value in found:
            of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            ret[of["group"], of["topic"], int(of["partition"])] = int(float(value))
        return ret


class Ours:
    def __init__(self, b, every):
        (self.port,) = free_ports(1)
        self.child = start_child([b.tools.baton, "serve", "--bootstrap", b.kafka.bootstrap, "--prefix", "lag.", "--listen",
                                  f"127.0.0.1:{self.port}", "--lag", "all", "--lag-interval", f"{every}s"], os.path.join(b.folder, "serve.log"))

    def answer(self, path="/v1/lag"):
        text = get(self.port, path)
        return json.loads(text) if text else {}

    def refreshes(self):
        return self.answer().get("refresh", 0)

    def lags(self):
        ret = {}
        for g in self.answer()["groups"]:
            if g["group"].startswith("lag-group-"):
                for p in self.answer(f"/v1/lag/{g['group']}")["partitions"]:
                    ret[g["group"], p["topic"], p["partition"]] = p["lag"]
        return ret


def status_mb(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":")) / 1024


def cpu(pid):
    """Processor time in seconds, to the microsecond where the kernel tells it."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def cost(program, rounds, every, between=None):
    """Processor seconds of one refresh."""
    first = program.refreshes()
    wait_until(lambda: program.refreshes() > first, 60 + 3 * every, "the next refresh", 1)
    n, began = program.refreshes(), cpu(program.child.pid)
    last = n
    while last < n + rounds:
        if between:
            between(last - n + 1)
        last = wait_until(lambda at=last: max(0, program.refreshes() - at) and program.refreshes(), 60 + 3 * every, "the next refresh", 1)
    return (cpu(program.child.pid) - began) / (last - n)


def measure(b):
    """Processor time and memory of a refresh of all lags, beside klag-exporter."""
    topics, partitions, groups, each = (20, 50, 20, 10) if b.args.quick else (100, 100, 100, 10)
    rounds, every = (2, 5) if b.args.quick else (4, 10)
    r = subprocess.run([os.path.join(ROOT, "scripts", "klag.sh")], stdout=subprocess.PIPE, text=True, check=False)
    if r.returncode != 0:
        raise Failure("klag-exporter cannot be had")
    b.stop_kafka()
    b.start_kafka()
    load = [os.path.join(b.tools.build, "bench", "lag_load"), b.kafka.bootstrap]
    subprocess.run([*load, "make", *map(str, (topics, partitions, 3, groups, each))], check=True, timeout=600)

    def commit(offset):
        subprocess.run([*load, "commit", "0", *map(str, (groups - 1, topics, each, partitions, 1 + offset % 2))], check=True, timeout=120)

    ours = Ours(b, every)
    try:
        wait_until(lambda: ours.refreshes() >= 4, 120, "the first refreshes", 0.5)
        quiet = cost(ours, rounds, every)
        busy = cost(ours, rounds, every, commit)
        memory, peak = status_mb(ours.child.pid, "VmRSS"), status_mb(ours.child.pid, "VmHWM")
        took = ours.answer()["took_ms"]
        at = ours.refreshes()
        wait_until(lambda: ours.refreshes() > at + 1, 60 + 3 * every, "a refresh after the last commit", 0.2)
        ours_lags = ours.lags()
    finally:
        end_child(ours.child)
    peer = Peer(b, r.stdout.strip(), every)
    try:
        wait_until(lambda: peer.refreshes() >= 2, 240, "klag-exporter's first refreshes", 0.5)
        theirs = cost(peer, rounds, every)
        their_memory, their_peak = status_mb(peer.child.pid, "VmRSS"), status_mb(peer.child.pid, "VmHWM")
        began, before = time.monotonic(), cpu(peer.child.pid)
        their_lags = peer.lags()
        b.say(f"    klag-exporter's page: {time.monotonic() - began:.1f} s, {cpu(peer.child.pid) - before:.2f} s of a processor, peak "
              f"{status_mb(peer.child.pid, 'VmHWM'):.0f} MB")
    finally:
        end_child(peer.child)
        b.stop_kafka()  # ten thousand partitions are no company for other figures
    n = groups * each * partitions
    same = sum(their_lags.get(k) == v for k, v in ours_lags.items())
    if len(ours_lags) != n or len(their_lags) != n or same != n:
        odd = [(k, v, their_lags.get(k)) for k, v in ours_lags.items() if their_lags.get(k) != v][:3]
        raise Failure(f"{n} answers expected, Baton gives {len(ours_lags)}, klag-exporter {len(their_lags)}, {same} are equal; {odd}")
    b.say(f"    {n} answers are equal; the last refresh took {took} ms; peaks {peak:.0f} and {their_peak:.0f} MB")

    def goal(text, met):
        return ("", None) if b.args.quick else (text, met)  # a small cluster is no measure

    b.figure("lag refresh, CPU, nothing has changed", quiet * 1000, "ms", f"klag-exporter, {theirs * 1000:.0f} ms", theirs / quiet,
             *goal(">= 10 x less", theirs >= 10 * quiet))
    b.figure("lag refresh, CPU, every group has committed everywhere", busy * 1000, "ms", f"klag-exporter, {theirs * 1000:.0f} ms", theirs / busy,
             *goal(">= 10 x less", theirs >= 10 * busy))
    b.figure("lag refresh, CPU, what change costs", quiet * 1000, "ms", f"every group has committed everywhere, {busy * 1000:.0f} ms",
             busy / quiet, *goal(">= 1.5 x less", busy >= 1.5 * quiet))
    b.figure("lag refresh, memory", memory, "MB", f"klag-exporter, {their_memory:.0f} MB", their_memory / memory,
             *goal(">= 10 x less", their_memory >= 10 * memory))
