"""Lag of any group: right figures, and none where there is no right one, whatever happens to topics, groups and brokers."""

import json
import time
import urllib.request

from cases_switch import require
from fleet import PATIENCE, Test
from kafka import end_child, free_ports, start_child, wait_until


def lag(w, f, group, *more, code=0, seconds=60):
    """The partitions of a group by (topic, partition), and the whole answer, of `baton lag` straight on the brokers."""
    r = f.cli("lag", group, "-o", "json", *more, address=["--bootstrap", w.kafka.bootstrap], seconds=seconds)
    if code is not None:
        r.expect(code)
    answer = r.json()
    return {(p["topic"], p["partition"]): p for p in answer["partitions"]}, answer


def put(w, topic, partition, count):
    for i in range(count):
        w.ask("put", topic, partition, "k", f"v{i}")


def served(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as r:
            return json.load(r)
    except (OSError, ValueError):
        return None


def figures(w):
    """Nothing committed, behind, at the end, past the end, below the start; ages by records; groups that are not there."""
    f = w.fleet({"in": 5})
    topic, group = next(iter(f.topics)), f"{w.name}-readers"
    for p in (0, 1, 2, 3):
        put(w, topic, p, 6)
    for p, offset in ((0, 2), (1, 6), (2, 9), (3, 1)):
        w.ask("commit", group, topic, p, offset)
    w.ask("shorten", topic, 3, 4)
    parts, answer = lag(w, f, group)
    told = {p: (x["state"], x["lag"], x.get("lost", 0)) for (_, p), x in parts.items()}
    require(told == {0: ("known", 4, 0), 1: ("known", 0, 0), 2: ("ahead-of-log", None, 0), 3: ("known", 2, 3),
                     4: ("no-commit", None, 0)}, f"{told}")
    require((answer["lag"], answer["unknown"], answer["lost"], answer["state"]) == (6, 2, 3, "Empty"), f"{answer}")
    require(parts[topic, 0]["time_lag_ms"] is None and parts[topic, 1]["time_lag_ms"] == 0, f"{parts}")
    began = time.monotonic()
    require(answer["time_lag_ms"] is None, f"a single look knows no age: {answer}")
    parts, answer = lag(w, f, group, "--exact")
    require(answer["time_lag_ms"] == max(parts[topic, p]["time_lag_ms"] for p in (0, 3)), f"{answer}")
    for p in (0, 3):
        age = parts[topic, p]["time_lag_ms"]
        require(age is not None and 0 <= age < 600_000, f"the record's age is {age}")
    time.sleep(max(0.0, 1 - (time.monotonic() - began)))  # the record grows older, which is what is measured
    older, _ = lag(w, f, group, "--exact")
    require(older[topic, 0]["time_lag_ms"] >= parts[topic, 0]["time_lag_ms"] + 900, f"{parts} {older}")
    page = f.cli("lag", group, address=["--bootstrap", w.kafka.bootstrap]).expect(0).out
    rows = [line.split()[1] for line in page.splitlines()[2:]]
    require(rows == ["2", "3", "4", "0", "1"], f"the worst comes first, not {rows}:\n{page}")
    everybody = f.cli("lag", "-o", "json", address=["--bootstrap", w.kafka.bootstrap]).expect(0).json()
    require({g["group"]: g["lag"] for g in everybody["groups"]}.get(group) == 6, f"{everybody}")
    f.cli("lag", group, "--topic", f"{topic}-not", address=["--bootstrap", w.kafka.bootstrap]).expect(3, f"{topic}-not")
    f.cli("lag", f"{group}-not", address=["--bootstrap", w.kafka.bootstrap]).expect(3, f"{group}-not")
    w.ask("forget", group)
    f.cli("lag", group, address=["--bootstrap", w.kafka.bootstrap]).expect(3)


def sampled(w):
    """A controller that samples all groups: both protocols, new commits, a group that goes, a topic that is made again."""
    f = w.fleet({"in": 2})
    topic, group = next(iter(f.topics)), f"{w.name}-idle"
    (port,) = free_ports(1)
    for p in (0, 1):
        put(w, topic, p, 5)
        w.ask("commit", group, topic, p, 1)
    serve = f.run("serve", "--listen", f"127.0.0.1:{port}", "--lag", "all", "--lag-interval", "1s",
                  address=["--bootstrap", w.kafka.bootstrap, *f.prefix_option])
    consumers = []

    def shown(name):
        answer = served(port, f"/v1/lag/{name}")
        return answer and {(x["partition"]): x["lag"] for x in answer["partitions"]}, answer

    def wait_shown(name, expect):
        last = [None]

        def there():
            last[0] = shown(name)[0]
            return last[0] == expect

        wait_until(there, PATIENCE, lambda: f"{name} to be shown as {expect}, it is {last[0]}", 0.1)

    try:
        wait_shown(group, {0: 4, 1: 4})
        for protocol in ("classic", "consumer"):
            argv = [w.tools.bare, "--bootstrap.servers", w.kafka.bootstrap, "--group.id", f"{w.name}-{protocol}", "--topic", topic,
                    "--group.protocol", protocol, "--auto.offset.reset", "earliest", "--auto.commit.interval.ms", "200", "--out",
                    f.path(f"{protocol}.txt")]
            consumers.append(start_child(argv, f.path("bare.log")))
        for protocol in ("classic", "consumer"):
            wait_shown(f"{w.name}-{protocol}", {0: 0, 1: 0})
            wait_until(lambda p=protocol: [shown(f"{w.name}-{p}")[1][k] for k in ("protocol", "state")] == [p, "Stable"], PATIENCE,
                       lambda p=protocol: f"the group to be stable: {shown(f'{w.name}-{p}')[1]}", 0.1)
        refresh = shown(group)[1]["refresh"]
        wait_until(lambda: shown(group)[1]["refresh"] > refresh + 3, PATIENCE, "a few samples", 0.1)  # only what has changed is asked now
        w.ask("commit", group, topic, 0, 3)
        wait_shown(group, {0: 2, 1: 4})
        put(w, topic, 1, 2)
        wait_shown(group, {0: 2, 1: 6})
        require(shown(group)[1]["partitions"][0]["time_lag_ms"] is not None, "an age is known from samples")
        w.ask("undecided", group, topic, 0, 5)  # an open transaction hides from followers what is committed after it, for a minute
        began = time.monotonic()
        w.ask("commit", group, topic, 1, 2)
        wait_shown(group, {0: 2, 1: 5})
        require(time.monotonic() - began < 50, "the open transaction was waited for")
        w.ask("foreign", group, topic, 0, 4)
        wait_shown(group, {0: 1, 1: 5})
        for c in consumers:
            end_child(c)
        w.ask("delete", topic)
        wait_until(lambda: not [x for x in shown(group)[1]["partitions"] if x["lag"] is not None] if shown(group)[1] else True, PATIENCE,
                   "the lag in a deleted topic to be unknown or gone", 0.1)
        w.ask("create", topic, 2, 1)
        put(w, topic, 0, 3)
        w.ask("commit", group, topic, 0, 2)
        wait_until(lambda: (shown(group)[0] or {}).get(0) == 1, PATIENCE, "the lag in the topic that was made again", 0.1)
        w.ask("forget", group)
        wait_until(lambda: shown(group)[1] is None, PATIENCE, "the group to vanish", 0.1)
        f.cli("lag", f"{w.name}-classic", address=["--server", f"http://127.0.0.1:{port}"]).expect(0, w.name)
        f.cli("lag", group, address=["--server", f"http://127.0.0.1:{port}"]).expect(3)
    finally:
        for c in consumers:
            end_child(c)
        end_child(serve.child)


def broker_gone(w):
    """A broker hangs: what it leads is unknown, never wrong, the rest is fresh; afterwards all is known again."""
    f = w.fleet({"in": 6})
    topic, group = next(iter(f.topics)), f"{w.name}-readers"
    for p in range(6):
        put(w, topic, p, 3)
        w.ask("commit", group, topic, p, 1)
    lag(w, f, group)
    victim = w.kafka.nodes[2]
    victim.freeze()
    try:
        parts, answer = lag(w, f, group, code=None)
        known = [p for p in parts.values() if p["lag"] is not None]
        require(all(p["lag"] == 2 for p in known), f"a wrong figure: {answer}")
        require(all(p["state"] in ("end-unread", "commit-unread", "known") for p in parts.values()), f"{answer}")
    finally:
        victim.thaw()
    wait_until(lambda: [p["lag"] for p in lag(w, f, group, code=None)[0].values()] == [2] * 6, PATIENCE, "all to be known again", 0.2)


TESTS = [
    Test("lag-figures", figures),
    Test("lag-sampled", sampled),
    Test("lag-broker-gone", broker_gone, "three"),
]
