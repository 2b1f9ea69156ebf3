"""What it costs to keep windows of all groups' commits, beside Burrow on the same broker in the same run.

100 topics of 100 partitions, 100 groups that have committed in 1,000 of them each: 100,000 group-partitions, on Kafka 3.9.1, the last
that Burrow reads. Both follow the log of commits and sample ends every ten seconds; one program runs at a time, each fills its
windows first, with as many rounds of commits as a window holds. A round is one commit of every group in every partition. A refresh is the ten
seconds from one sample of ends to the next, without commits and with a round. At the end both are asked for all lags, and the answers are
compared.
"""

import os
import subprocess
import time

import cases_burrow
from kafka import Failure, Kafka, end_child, free_ports, start_child, wait_until
from lag import cpu, status_mb

INTERVALS = 10
REFRESH_S = 10
ROUNDS = 3
RECORDS = 1 + INTERVALS + ROUNDS  # in each partition: no group ever gets to the end
PATIENCE = 400


class World:
    """What cases_burrow.start_burrow() wants to know."""

    def __init__(self, kafka, folder):
        self.kafka, self.folder = kafka, folder

    def path(self, name):
        return os.path.join(self.folder, name)


def offset_of(number):
    """What a round commits: each something of its own, so that an old one is never taken for it."""
    return 1 + number


def answers(server, groups):
    """(group, topic, partition) -> (newest commit, its lag now)."""
    ret = {}
    for g in groups:
        status, answer = server.get(f"/v3/kafka/local/consumer/{g}/lag")
        if status != 200:
            return {}
        for p in answer["status"]["partitions"]:
            if p["end"]:
                ret[g, p["topic"], p["partition"]] = (p["end"]["offset"], p["current_lag"])
    return ret


def await_round(name, server, groups, number):
    """Each group is asked until it is there, and then not again: an answer costs Burrow more than what it is about."""
    for g in groups:
        wait_until(lambda of=g: {v[0] for v in answers(server, [of]).values()} == {offset_of(number)}, PATIENCE,
                   lambda of=g: f"{name} to have seen round {number} of {of}", 1)


def quiet_again(pid, idle):
    """Until no more is spent than without commits."""
    def quiet():
        before = cpu(pid)
        time.sleep(5)
        return cpu(pid) - before < 5 * 2 * idle + 0.02

    wait_until(quiet, PATIENCE, "it to have nothing left to do")


def cost(name, pid, server, groups, commit, rounds):
    """Fills the windows; processor seconds of a refresh with a round and of one without, and how many seconds after its commits
    all of a round was seen. Nobody asks anything while processor time is counted."""
    for number in range(INTERVALS):
        commit(offset_of(number))
        began = time.monotonic()
        await_round(name, server, groups if number == INTERVALS - 1 else groups[-1:], number)
    took = time.monotonic() - began
    time.sleep(REFRESH_S)  # what that was asked has left to do
    before, began = cpu(pid), time.monotonic()
    time.sleep(2 * REFRESH_S)
    idle = (cpu(pid) - before) / (time.monotonic() - began)  # a second, ends and all
    before, began = cpu(pid), time.monotonic()
    for number in range(INTERVALS, INTERVALS + rounds):
        commit(offset_of(number))
        time.sleep(REFRESH_S)
    quiet_again(pid, idle)
    spent = cpu(pid) - before - idle * (time.monotonic() - began)
    return max(0.0, spent) / rounds + idle * REFRESH_S, idle * REFRESH_S, took


def measure(b):
    """Processor time and memory of windows of all groups' commits, beside Burrow."""
    topics, partitions, count, each = (20, 50, 20, 10) if b.args.quick else (100, 100, 100, 10)
    folder = os.path.join(b.folder, "burrow-beside")
    os.makedirs(folder)
    b.stop_kafka()
    groups = [f"lag-group-{i:03}" for i in range(count)]
    found = {}
    with Kafka(os.path.join(folder, "kafka"), version="3.9.1", heap_mb=768) as kafka:
        load = [os.path.join(b.tools.build, "bench", "lag_load"), kafka.bootstrap]
        subprocess.run([*load, "make", *map(str, (topics, partitions, RECORDS, count, each))], check=True, timeout=600)

        def commit(offset):
            subprocess.run([*load, "commit", "0", *map(str, (count - 1, topics, each, partitions, offset))], check=True, timeout=120)

        def run(name, server, child):
            wait_until(lambda: len(answers(server, groups[-1:])) == each * partitions, 120, f"{name} to know the last group", 0.5)
            a_round, ends, took = cost(name, child.pid, server, groups, commit, ROUNDS)
            memory = status_mb(child.pid, "VmRSS")
            last = offset_of(INTERVALS + ROUNDS - 1)
            if any({v[0] for v in answers(server, [g]).values()} != {last} for g in groups):
                raise Failure(f"{name} was still behind when it had been measured: this machine is too busy for these figures")
            found[name] = (a_round, ends, took, memory, answers(server, groups))

        (port,) = free_ports(1)
        child = start_child([b.tools.baton, "serve", "--bootstrap", kafka.bootstrap, "--listen", f"127.0.0.1:{port}", "--lag", "off", "--burrow",
                             f"rules=burrow,intervals={INTERVALS},offset-refresh={REFRESH_S}s"], os.path.join(folder, "serve.log"))
        try:
            run("Baton", cases_burrow.Server(port), child)
        finally:
            end_child(child)
        server, children = cases_burrow.start_burrow(World(kafka, folder), INTERVALS, REFRESH_S, 1)
        try:
            wait_until(lambda: server.get("/burrow/admin")[0] == 200, 120, "Burrow to answer", 0.5)
            commit(0)  # what came before it knew the ends it has dropped
            run("Burrow", server, children[-1])
        finally:
            for c in reversed(children):
                end_child(c)
    ours, theirs = found["Baton"], found["Burrow"]
    same = sum(theirs[4].get(k) == v for k, v in ours[4].items())
    if not same or same != len(ours[4]) or same != len(theirs[4]):
        raise Failure(f"Baton gives {len(ours[4])} answers, Burrow {len(theirs[4])}, {same} are equal")
    b.say(f"    {same} answers are equal; a round was seen after {ours[2]:.1f} s by Baton, {theirs[2]:.1f} s by Burrow")
    figures = (("CPU of a refresh, every group has committed everywhere", "ms", 1000), ("CPU of a refresh, nothing has changed", "ms", 1000),
               ("memory", "MB", 1))
    for n, (name, unit, of) in enumerate(figures):
        mine, its = (x[n if n < 2 else 3] for x in (ours, theirs))
        goal = ("", None) if b.args.quick else (">= 10 x less", its >= 10 * mine)  # a small cluster is no measure
        b.figure(f"windows of commits, {name}", mine * of, unit, f"Burrow, {its * of:.0f} {unit}", its / mine, *goal)
