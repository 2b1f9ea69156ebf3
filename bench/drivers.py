"""Standstill of a partition for each driver and each channel, beside the rolling restart of the same application.

A row is one fleet on a real Kafka: 12 partitions under load, switched to and fro, audited; then its blue members are stopped and started
again one after the other, as an update without Baton goes: the same application, the same group. What is measured is the same for
both: from the last record that one process did of a partition to the first that another did, by the processes' own time stamps.

A language or service that the machine has not got is left out, and said.
"""

import os
import time

import cases_agent
import cases_channel
import cases_foreign
import cases_kube
import cases_run
import cases_spring
from fleet import PATIENCE
from kafka import Failure, end_child, wait_until

PARTITIONS = 12
RATE = 2000
STREAM_RATE = 600  # of applications that stand still as a whole: what piles up meanwhile is their own affair
WHOLE_MS = 300  # of an application that is stopped and started as a whole, with brokers that do not delay a group's first rebalance
BETWEEN_SECONDS = 1.5  # of records, between two switches


class World:
    """What the system tests' set-ups want of their world."""

    def __init__(self, b, name):
        self.b, self.name, self.tools, self.folder = b, name, b.tools, os.path.join(b.folder, f"drivers-{name}")
        os.makedirs(self.folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def fleet(self, topics, **more):
        return self.b.fleet(self.name, {f"{self.name}-{t}": n for t, n in topics.items()}, **more)


TOPICS = {"in": PARTITIONS}


def _libbaton(w):
    return w.fleet(TOPICS).up(2, 2, rate=RATE)


def _http(w):
    return cases_channel.over_http(w.fleet(TOPICS), rate=RATE)


def _redis(w):
    return cases_channel.over_redis(w.fleet(TOPICS), rate=RATE)[0]


def _configmap(w):
    f, k = cases_kube.over_configmaps(w, TOPICS, rate=RATE)
    f.at_end = k.end
    return f


def _run(w):
    return cases_run.up(w.fleet(TOPICS), 2, 2, rate=RATE)


def _agent(language):
    def up(w):
        if cases_agent.app(language) is None:
            raise Failure(f"{language} is not on this machine")
        return cases_agent.up(w.fleet(TOPICS), 2, 2, rate=RATE, language=language)

    return up


def _spring(w):
    f = w.fleet(TOPICS)
    cases_spring.up(w, f, rate=RATE)
    return f


def _stream(w):
    return cases_foreign.up(w, w.fleet(TOPICS, spec=cases_foreign.SPEC), 1, rate=STREAM_RATE)


# driver, channel, how its fleet is set up, whether it has members that Baton knows and that are restarted one by one
ROWS = (("libbaton", "Kafka", _libbaton, True), ("libbaton", "HTTP", _http, True), ("libbaton", "Redis", _redis, True),
        ("libbaton", "ConfigMap", _configmap, True), ("baton run, Python", "Kafka", _run, True), ("agent, Python", "Kafka", _agent("python"), True),
        ("agent, Go", "Kafka", _agent("go"), True), ("agent, Node", "Kafka", _agent("node"), True),
        ("agent, Spring starter", "Kafka", _spring, True), ("Spring Cloud Stream as it is", "Kafka", _stream, False))


def _share(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, max(0, -(-int(len(values) * q * 1000) // 1000) - 1))]


def _some_work(f, rate):
    lines = f.lines()
    wait_until(lambda: f.lines() > lines + BETWEEN_SECONDS * rate, PATIENCE, "some work in between")


def _switches(f, count, rate):
    for i in range(count):
        _some_work(f, rate)
        f.switch_when_allowed() if f.active() == ("blue" if i % 2 == 0 else "green") else None
        wait_until(lambda i=i: f.active() == ("green" if i % 2 == 0 else "blue"), PATIENCE, "the switch to end")


def _restarts(f):
    """Each of blue in turn; answers when it began."""
    _some_work(f, RATE)
    began = time.time() * 1e6
    for m in f.of("blue"):
        m.leave()
        m.start()
        f.wait_member(m)
        f.wait_flowing("blue")
        _some_work(f, RATE)
    return began


def _end(f):
    for m in f.members:
        m.kill()
    for a in getattr(f, "agents", {}).values():
        end_child(a.command.child)
    getattr(f, "at_end", lambda: None)()
    f.end()


def _row(b, name, up, restarts, switches):
    """(standstills of switches, of one rolling restart) in ms."""
    f = up(World(b, name))
    try:
        _switches(f, switches, RATE if restarts else STREAM_RATE)
        began = _restarts(f) if restarts else None
        # an application that Baton has not touched writes no epochs down: its changes of color are told by time
        a = f.expect_clean("--handovers", *(() if restarts else ("--runs",)), within=restarts)
    finally:
        _end(f)
    mine = [h["standstill_us"] / 1000 for h in a["handovers"]]
    colors = {(h["topic"], h["partition"], h["last_us"]) for h in a["handovers"]}
    theirs = [c["gap_us"] / 1000 for c in a["owner_changes"]
              if began and c["last_us"] + c["gap_us"] > began and (c["topic"], c["partition"], c["last_us"]) not in colors]
    if len(mine) < switches * PARTITIONS * 0.9:
        raise Failure(f"{switches} switches of {PARTITIONS} partitions, but {len(mine)} changes of color were seen")
    return mine, theirs


def _table(rows):
    lines = [("driver", "channel", "p50", "p99", "max", "rolling restart: p50", "p99", "max", "update, summed", "ratio")]
    for driver, channel, mine, theirs, switches in rows:
        one = sum(mine) / switches
        lines.append((driver, channel, *(f"{_share(mine, q):.0f}" for q in (0.5, 0.99, 1)),
                      *((f"{_share(theirs, q):.0f}" for q in (0.5, 0.99, 1)) if theirs else ("-",) * 3),
                      f"{one:.0f} / {sum(theirs):.0f}" if theirs else f"{one:.0f}", f"{sum(theirs) / one:.0f}" if theirs else "-"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(c.ljust(n) if i < 2 else c.rjust(n) for i, (c, n) in enumerate(zip(line, widths, strict=True))).rstrip() for line in lines]


def measure(b):
    """Standstill for each driver and channel, in ms a partition, beside the rolling restart of the same application."""
    switches = 4 if b.args.quick else 10
    only = os.environ.get("DRIVERS", "").split(",") if os.environ.get("DRIVERS") else None
    rows = []
    for i, (driver, channel, up, restarts) in enumerate(ROWS):
        if only and str(i) not in only:
            continue
        try:
            mine, theirs = _row(b, f"drivers-{i}", up, restarts, switches)
        except Failure as e:
            b.say(f"  {driver} over {channel} is left out: {e}")
            continue
        rows.append((driver, channel, mine, theirs, switches))
        for q, name in ((0.5, "p50"), (0.99, "p99")):
            took = _share(mine, q)
            peer = _share(theirs, q) if theirs else WHOLE_MS
            said = f"a rolling restart of the same application, {name} {peer:.0f} ms" if theirs else f"{peer} ms"
            b.figure(f"standstill, {driver}, {channel}: {name}", took, "ms", said, peer / took)
        if theirs:
            b.figure(f"standstill, {driver}, {channel}: one update, summed over partitions", sum(mine) / switches, "ms",
                     f"a rolling restart of the same application, {sum(theirs):.0f} ms", sum(theirs) * switches / sum(mine))
    if not rows:
        raise Failure("not one driver could be measured")
    for line in _table(rows):
        b.say("    " + line)
