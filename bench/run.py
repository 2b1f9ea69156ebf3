#!/usr/bin/env python3
"""All figures that Baton promises, each beside what it is compared to, from one run on a real Apache Kafka.

    bench/run.py [--build DIR] [--switches N] [--quick] [NAME...]

A bare time says nothing on somebody else's machine, so every figure is a ratio: to the floor (the same hand-over on bare
librdkafka, bench/floor.c, measured in the same run under the same load), to a peer (a rolling restart of one ordinary
group, tests/system/bare.c), to the same loop without Baton (bench/loop.c), or to a bound. Standstill is what the consumers' own
time stamps say, taken together by the auditor, not what Baton reports.

Writes DIR/bench.json (an array of {name, figure, unit, compared_to, ratio, goal, met}; met is null where there is no goal) and
prints a table. NAME selects parts: standstill quiet rolling loop memory cost failover lag run channel burrow judge spring foreign drivers. Exit 1 when a goal is missed.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "system"))
sys.dont_write_bytecode = True

import burrow
import cases_spring
import foreign
import channel
import drivers
import judging
import lag
import run_peers
from fleet import Fleet, Tools
from kafka import Failure, Kafka, end_all_children, end_child, jars, start_child, wait_until

PARTITIONS = 12
RATE = 20000
SPRING_RATE = 6000


def share(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, max(0, -(-int(len(values) * q * 1000) // 1000) - 1))]


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder, self.figures, self.count = args, folder, [], 0
        self.kafka = self.tools = None

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def figure(self, name, figure, unit, compared_to, ratio, goal="", met=None):
        self.figures.append({"name": name, "figure": _short(figure), "unit": unit, "compared_to": compared_to, "ratio": _short(ratio),
                             "goal": goal, "met": met})
        self.say(f"  {name}: {_short(figure)} {unit}, {_short(ratio)} x {compared_to}" + (f", goal {goal}: {'met' if met else 'MISSED'}" if goal else ""))

    def fleet(self, name, topics, **options):
        self.count += 1
        return Fleet(self.kafka, self.tools, os.path.join(self.folder, f"{self.count}-{name}"), name, topics, **options)

    @contextlib.contextmanager
    def up(self, name, topics, *, rate=RATE, blue=2, green=2, controllers=1, **options):
        f = self.fleet(name, topics, **options)
        try:
            yield f.up(blue=blue, green=green, controllers=controllers, rate=rate)
        finally:
            f.end()

    def start_kafka(self, **options):
        self.count += 1
        self.kafka = Kafka(os.path.join(self.folder, f"kafka-{self.count}"), heap_mb=768, **options).start()

    def stop_kafka(self):
        if self.kafka:
            self.kafka.stop()
            shutil.rmtree(self.kafka.folder, ignore_errors=True)
            self.kafka = None


def _short(x):
    return None if x is None else float(f"{x:.4g}")


def switch(f, **order):
    """One switch by the API, without the start of a process; answers the operation when it has ended."""
    body = {"deadline": "60s", "observe": "0s", **order}
    number = f.api("POST", f"/v1/fleets/{f.name}/switches", body)["number"]
    op = f.wait_ended(number)
    if op["state"] != "complete":
        raise Failure(f"switch {number} ended {op['state']}: {op.get('why')}")
    return op


def floor(b, rounds):
    """Standstills in us on bare librdkafka, the producer at the same rate."""
    f = b.fleet("floor", {f"floor-{b.count}": PARTITIONS})
    try:
        topic = next(iter(f.topics))
        for t in ("reports", "control"):
            b.tools.ask(b.kafka.bootstrap, "create", f"{topic}-{t}", 1, 1)
        f.produce(RATE)
        r = subprocess.run([os.path.join(b.tools.build, "bench", "floor"), "--bootstrap", b.kafka.bootstrap, "--topic", topic, "--partitions",
                            str(PARTITIONS), "--reports", f"{topic}-reports", "--control", f"{topic}-control", "--rounds", str(rounds)],
                           capture_output=True, text=True, check=False, timeout=600)
        if r.returncode != 0:
            raise Failure(f"the floor could not be measured: {r.stderr}")
        return json.loads(r.stdout)
    finally:
        f.end()


def audit(f):
    a = f.expect_clean("--handovers")
    if a["lost"] or a["repeated_across"]:
        raise Failure(f"a figure without a clean audit is worth nothing: {a}")
    return a


def standstill(b):
    """Per partition, over many switches under load; and the sums for the comparison with a rolling restart."""
    n = b.args.switches
    before = floor(b, (n + 1) // 2)
    receipts = []
    with b.up("standstill", {"standstill": PARTITIONS}) as f:
        for i in range(n):
            number = switch(f, to="green" if i % 2 == 0 else "blue")["number"]
            receipts.append(f.api("GET", f"/v1/fleets/{f.name}/switches/{number}/receipt"))
            lines = f.lines()
            wait_until(lambda n=lines: f.lines() > n + 100_000, 60, "some work between two switches")
        a = audit(f)
    after = floor(b, n // 2)
    mine = [h["standstill_us"] / 1000 for h in a["handovers"]]
    least = [us / 1000 for us in before["standstill_us"] + after["standstill_us"]]
    if len(mine) != n * PARTITIONS:
        raise Failure(f"{n} switches of {PARTITIONS} partitions, but {len(mine)} changes of color were seen")
    for name, q in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        m, l = share(mine, q), share(least, q)
        if name == "p99":
            b.figure("standstill p99", m, "ms", f"floor p99 {l:.1f} ms", m / l, "<= 3 x", m <= 3 * l)
        else:
            b.figure(f"standstill {name}", m, "ms", f"floor {name} {l:.1f} ms", m / l)
        if name == "max":
            b.figure("standstill of the worst partition", m, "ms", "250 ms", m / 250, "<= 1 x", m <= 250)
    for step in before["steps_us"]:
        us = before["steps_us"][step] + after["steps_us"][step]
        b.say(f"    floor, {step}: p50 {share(us, .5) / 1000:.1f} p99 {share(us, .99) / 1000:.1f} ms")
    slowest(b, a["handovers"], receipts)
    b.sum_ms = sum(mine) / n


def slowest(b, handovers, receipts):
    """Where the tail comes from: the worst, beside what the members' own clocks and the controller's say of the same pass."""
    for h in sorted(handovers, key=lambda h: -h["standstill_us"])[:8]:
        number, receipt = next((i, r) for i, r in enumerate(receipts, 1) if h["epoch"] <= r["epoch_last"])
        forth = next(p["forth"] for p in receipt["partitions"] if p["partition"] == h["partition"])
        b.say(f"    slow: switch {number}, partition {h['partition']}: {h['standstill_us'] / 1000:.0f} ms; the members say {forth['standstill_ms']}, "
              f"release to take heard {forth['release_to_take_heard_ms']}; its first record was produced "
              f"{(h['last_us'] - h['first_produced_us']) / 1000:.0f} ms before the old side's last was done")


def quiet(b):
    """A record a second and partition; one more right after each grant: how late is it processed?"""
    n = max(10, b.args.switches // 4)
    with b.up("quiet", {"quiet": PARTITIONS}, rate=0) as f:
        producer = f.produce(PARTITIONS, linger_ms=0)
        wait_until(lambda: f.lines() > 3000, 60, "the first records")
        for i in range(n):
            body = {"deadline": "60s", "observe": "0s", "to": "green" if i % 2 == 0 else "blue"}
            number = f.api("POST", f"/v1/fleets/{f.name}/switches", body)["number"]

            def granted(number=number):
                op = f.op(number)
                p = op["progress"]
                return op["state"] == "complete" or p["granted"] + p["taken"] >= PARTITIONS

            wait_until(granted, 60, "the grants", 0.001)
            producer.send_signal(signal.SIGUSR1)
            f.wait_ended(number)
            lines = f.lines()
            wait_until(lambda n=lines: f.lines() > n + 1500, 60, "a few records")
        a = f.expect_clean("--handovers", "--latency")
    late = [(h["first_us"] - h["first_produced_us"]) / 1000 for h in a["handovers"] if h["first_produced_us"]]
    p99 = share(late, 0.99)
    b.figure("quiet topic, first record after a grant, p50", share(late, 0.5), "ms", f"any record, p50 {a['latency_ms']['p50']:.1f} ms",
             share(late, 0.5) / a["latency_ms"]["p50"])
    b.figure("quiet topic, first record after a grant, p99", p99, "ms", "100 ms", p99 / 100, "<= 1 x", p99 <= 100)


def rolling(b):
    """The same work by the usual way: one group, one consumer restarted after the other, with librdkafka's defaults."""
    sums = []
    for turn in range(1 if b.args.quick else 3):
        f = b.fleet("rolling", {f"rolling-{turn}": PARTITIONS})
        topic = next(iter(f.topics))
        group = f"rolling-{turn}"
        consumers = []
        files = f.more_files

        def start(i, f=f, topic=topic, group=group, files=files):
            files.append(f.path(f"consumer-{len(files)}.txt"))
            return start_child([b.tools.bare, "--bootstrap.servers", b.kafka.bootstrap, "--group.id", group, "--topic", topic, "--client.id",
                                f"consumer-{i}", "--partition.assignment.strategy", "cooperative-sticky", "--auto.offset.reset", "earliest",
                                "--color", "blue", "--out", files[-1]], f.path("bare.log"))

        def settled(group=group):
            g = b.tools.ask(b.kafka.bootstrap, "group", group)
            return g["state"] == "Stable" and sorted(m["partitions"] for m in g["members"]) == [PARTITIONS // 2] * 2

        try:
            consumers += [start(0), start(1)]
            wait_until(settled, 60, "the group to settle", 0.1)
            f.produce(RATE)
            f.wait_flowing("blue")
            began = time.time() * 1e6
            for i in range(2):
                end_child(consumers[i])
                consumers[i] = start(i)
                wait_until(settled, 120, "the group to settle", 0.1)
                f.wait_flowing("blue")
            f.stop_producers()

            def drained(topic=topic, group=group):
                ends = b.tools.ask(b.kafka.bootstrap, "ends", topic)
                got = b.tools.ask(b.kafka.bootstrap, "committed", group, topic)
                return all(got[p]["offset"] >= e for p, e in ends.items())

            wait_until(drained, 60, "the rest to be consumed", 0.2)
            a = b.tools.audit(b.kafka.bootstrap, [topic], files, flags=["--handovers", "--unordered"])
            gaps = [c["gap_us"] / 1000 for c in a["owner_changes"] if c["last_us"] + c["gap_us"] > began]
            sums.append(sum(gaps))
            b.say(f"    rolling restart: {len(gaps)} changes of owner, longest {max(gaps):.0f} ms, in all {sum(gaps):.0f} ms, "
                  f"{a['repeated_within']} repeated, {a['lost']} lost")
        finally:
            for c in consumers:
                end_child(c, signal.SIGKILL)
            f.end()
    if not hasattr(b, "sum_ms"):
        standstill(b)
    peer = statistics.median(sums)
    b.figure("summed standstill of one update", b.sum_ms, "ms", f"a rolling restart of one group, {peer:.0f} ms", peer / b.sum_ms,
             ">= 100 x shorter", peer / b.sum_ms >= 100)


def loop(b):
    """Throughput and CPU a record, against the same loop on bare librdkafka; alternating, medians."""
    records = 400_000 if b.args.quick else 2_000_000
    topic = "loop"
    f = b.fleet("loop", {topic: PARTITIONS})
    runs = {"baton": [], "batch": [], "poll": []}
    try:
        f.add_controller()
        out = f.path("loaded.json")
        subprocess.run([b.tools.producer, "--bootstrap", b.kafka.bootstrap, "--topic", topic, "--rate", "200000", "--pad", "100", "--linger-ms",
                        "20", "--seconds", str(records / 200000 + 3), "--out", out], check=True, stdout=subprocess.DEVNULL, timeout=300)
        with open(out, encoding="utf-8") as file:
            # nearly all, so that no side has fetched much that it does not count; the last few would not fill a batch
            records = json.load(file)["produced"] - 10_000
        for turn in range(3 if b.args.quick else 7):
            for mode in runs:
                name = f"loop-{turn}"
                if mode == "baton":
                    f.api("PUT", f"/v1/fleets/{name}", f"fleet: {name}\ntopics: [{topic}]\n", content="application/yaml")
                    own = ["--baton.fleet", name, "--baton.color", "blue", "--baton.version", "1", "--baton.control.prefix", f.prefix]
                else:
                    own = ["--group.id", f"{name}-{mode}"]
                r = subprocess.run([os.path.join(b.tools.build, "bench", "loop"), "--mode", mode, "--topic", topic, "--records", str(records),
                                    "--bootstrap.servers", b.kafka.bootstrap, *own], capture_output=True, text=True, check=False, timeout=300)
                if r.returncode != 0:
                    raise Failure(f"loop {mode}: {r.stderr[-800:]}")
                runs[mode].append(json.loads(r.stdout))
    finally:
        f.end()
    rate = {m: statistics.median(r["records"] / r["seconds"] for r in v) for m, v in runs.items()}
    cpu = {m: statistics.median(r["cpu_seconds"] / r["records"] * 1e9 for r in v) for m, v in runs.items()}
    b.figure("throughput", rate["baton"], "records/s", f"the same loop on bare librdkafka, in batches, {rate['batch']:.0f}",
             rate["baton"] / rate["batch"], ">= 0.97 x", rate["baton"] / rate["batch"] >= 0.97)
    b.figure("CPU a record", cpu["baton"], "ns", f"the same loop on bare librdkafka, in batches, {cpu['batch']:.0f} ns",
             cpu["baton"] / cpu["batch"], "<= 1.05 x", cpu["baton"] / cpu["batch"] <= 1.05)
    b.figure("throughput, against one by one", rate["baton"], "records/s", f"rd_kafka_consumer_poll() one by one, {rate['poll']:.0f}",
             rate["baton"] / rate["poll"])
    b.figure("CPU a record, against one by one", cpu["baton"], "ns", f"rd_kafka_consumer_poll() one by one, {cpu['poll']:.0f} ns",
             cpu["baton"] / cpu["poll"])


def _status(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":"))


def _cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        words = f.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def memory(b):
    """The controller, idle, with one fleet of 64 partitions and 2 + 2 members."""
    with b.up("memory", {"memory": 64}, rate=0) as f:
        pid = f.controllers[0].child.pid
        began, seconds = _cpu(pid), 20
        time.sleep(seconds)  # idle is what is measured
        cpu = (_cpu(pid) - began) / seconds
        rss = _status(pid, "VmRSS") / 1024
        shared = _status(pid, "RssFile") / 1024
    b.figure("controller, resident memory", rss, "MB", "12 MB", rss / 12, "<= 1 x", rss <= 12)
    b.say(f"    of it {shared:.1f} MB are pages of files; idle CPU {cpu * 100:.2f} %")
    b.figure("controller, idle CPU", cpu * 100, "%", "one core", cpu)


def _used(f):
    return time.monotonic(), _cpu(f.controllers[0].child.pid), sum(_cpu(m.child.pid) for m in f.members)


def _since(f, before):
    return [now - then for now, then in zip(_used(f), before, strict=True)]


def cost(b):
    """A whole switch, 12 to 4,096 partitions: time, and the CPU of controller and members beyond what they use without one."""
    sizes = (12, 128) if b.args.quick else (12, 128, 1024, 4096)
    took, cpu, members = {}, {}, {}
    for size in sizes:
        b.stop_kafka()
        b.start_kafka()
        with b.up("cost", {"cost": size}, rate=0) as f:
            f.produce(1000)
            f.wait_flowing()
            # librdkafka looks at every partition at every fetch: a member of thousands works without a switch, too
            before = _used(f)
            time.sleep(3)
            idle_s, idle_cpu, idle_members = _since(f, before)
            times, cpus, theirs = [], [], []
            for i in range(7):
                before = _used(f)
                switch(f, to="green" if i % 2 == 0 else "blue")
                took_s, cpu_s, members_s = _since(f, before)
                times.append(took_s)
                cpus.append(max(0, cpu_s - took_s * idle_cpu / idle_s))
                theirs.append(max(0, members_s - took_s * idle_members / idle_s))
            took[size], cpu[size], members[size] = (statistics.median(x) for x in (times, cpus, theirs))
            f.stop_producers()
        b.say(f"    {size} partitions: {took[size] * 1000:.0f} ms, controller {cpu[size] * 1000:.0f} ms CPU, members {members[size] * 1000:.0f} ms CPU; "
              f"without a switch {idle_cpu / idle_s * 1000:.0f} and {idle_members / idle_s * 1000:.0f} ms a second")
    small, big = sizes[0], sizes[-1]
    growth = took[big] / took[small]
    b.figure(f"time of a switch, {big} partitions", took[big] * 1000, "ms", f"{small} partitions, {took[small] * 1000:.0f} ms", growth,
             f"<= {big / small:.0f} x (linear)", growth <= big / small)
    work = {s: max(cpu[s], 0.01) + members[s] for s in sizes}  # /proc counts in hundredths
    mid = sizes[-2]
    for name, used in (("CPU", work), ("the controller's CPU", {s: max(cpu[s], 0.01) for s in sizes})):
        per = (used[big] / big) / (used[mid] / mid)
        b.figure(f"{name} of a switch and partition, {big} partitions", used[big] / big * 1e6, "us",
                 f"{mid} partitions, {used[mid] / mid * 1e6:.0f} us", per, "<= 1.2 x (linear)", per <= 1.2)


def failover(b):
    """How long nobody leads, after a clean stop and after kill -9, against the session timeout."""
    session = 6.0
    turns = 2 if b.args.quick else 5
    with b.up("failover", {"failover": PARTITIONS}, rate=0, controllers=2) as f:
        def once(number):
            leader = wait_until(f.leader, 30, "a leader")
            began = time.monotonic()
            if number == signal.SIGKILL:
                leader.child.kill()
            else:
                leader.child.send_signal(number)
            others = [c for c in f.controllers if c is not leader]

            def led():
                for c in others:
                    with contextlib.suppress(OSError):
                        status, body, _ = c.request("GET", "/v1/leader", seconds=2)
                        if status == 200 and body.get("self"):
                            return True
                return False

            wait_until(led, 60, "the next leader", 0.002)
            took = time.monotonic() - began
            end_child(leader.child, signal.SIGKILL)
            f.controllers.remove(leader)
            f.add_controller()
            return took

        clean = [once(signal.SIGTERM) for _ in range(turns)]
        hard = [once(signal.SIGKILL) for _ in range(turns)]
    b.figure("failover after a clean stop", max(clean) * 1000, "ms", "the session timeout, 6000 ms", max(clean) / session, "<= 0.1 x",
             max(clean) <= 0.1 * session)
    b.figure("failover after kill -9", max(hard) * 1000, "ms", "the session timeout, 6000 ms", max(hard) / session, "<= 1.5 x",
             max(hard) <= 1.5 * session)


def spring(b):
    """Per partition, over switches under load of two Spring Boot applications (3.5 and 4) that have the starter, an agent beside each."""
    n = max(10, b.args.switches // 4)
    f = b.fleet("spring", {"spring": PARTITIONS})
    try:
        cases_spring.up(b, f, rate=SPRING_RATE)
        for i in range(n):
            lines = f.lines()
            wait_until(lambda n=lines: f.lines() > n + 200_000, 60, "some work between two switches")
            switch(f, to="green" if i % 2 == 0 else "blue")
        a = audit(f)
    finally:
        for m in f.members:
            m.kill()
        f.end()
    mine = [h["standstill_us"] / 1000 for h in a["handovers"]]
    for name, q in (("p95", 0.95), ("max", 1.0)):
        b.figure(f"standstill with the Spring starter {name}", share(mine, q), "ms", "30 ms", share(mine, q) / 30)
    p50 = share(mine, 0.5)
    b.figure("standstill with the Spring starter p50", p50, "ms", "30 ms", p50 / 30, "<= 1 x", p50 <= 30)


PARTS = {"standstill": standstill, "quiet": quiet, "rolling": rolling, "loop": loop, "memory": memory, "failover": failover, "cost": cost, "lag": lag.measure, "run": run_peers.measure, "channel": channel.measure, "burrow": burrow.measure, "judge": judging.measure, "spring": spring, "foreign": foreign.measure, "drivers": drivers.measure}


def table(figures):
    rows = [("", "figure", "", "ratio", "goal", "compared to")]
    for f in figures:
        mark = {True: "ok", False: "MISSED", None: ""}[f["met"]]
        rows.append((f["name"], f"{f['figure']:g}", f["unit"], f"{f['ratio']:.3g}", (f["goal"] + " " + mark).strip(), f["compared_to"]))
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.rjust(w) if i in (1, 3) else c.ljust(w) for i, (c, w) in enumerate(zip(r, widths))).rstrip())


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.environ.get("BATON_BUILD") or os.path.join(ROOT, "build"))
    p.add_argument("--switches", type=int, default=None, help="100, with --quick 10")
    p.add_argument("--quick", action="store_true", help="fewer repetitions: to see that it runs, not for the figures")
    p.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PARTS))
    args = p.parse_args()
    unknown = [n for n in args.names if n not in PARTS]
    if unknown:
        p.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    args.switches = args.switches or (10 if args.quick else 100)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    folder = tempfile.mkdtemp(prefix="baton-bench-")
    b = Bench(args, folder)
    failed = []
    try:
        os.makedirs(os.path.join(folder, "classes"))
        b.tools = Tools(args.build, jars(), os.path.join(folder, "classes"))
        for name in [n for n in PARTS if not args.names or n in args.names]:
            b.say(f"{name}: {PARTS[name].__doc__.splitlines()[0]}")
            began = time.monotonic()
            try:
                if b.kafka is None:
                    b.start_kafka()
                PARTS[name](b)
            except Failure as e:
                failed.append(name)
                b.say(f"  FAILED: {e}")
            b.say(f"  took {time.monotonic() - began:.0f} s")
    except Failure as e:
        b.say(str(e))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        b.stop_kafka()
        end_all_children()
        if failed:
            b.say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    path = os.path.join(args.build, "bench.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(b.figures, f, indent=2)
        f.write("\n")
    table(b.figures)
    missed = [f["name"] for f in b.figures if f["met"] is False]
    for name in failed:
        print(f"not measured: {name}")
    return 1 if missed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
