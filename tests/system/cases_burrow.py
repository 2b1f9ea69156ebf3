"""Baton beside a real Burrow on one Kafka: the same questions, and the two answers compared field by field.

Burrow reads Kafka 3.9.1 at most, and needs a ZooKeeper to start. Commits are sent by OffsetCommit version 1, the last that lets
the client say when a commit was made: so a window of hours is there at once, and labels that depend on the clock hold still while
both are asked. Debian's Burrow is 1.2.1; where later ones answer otherwise is written at `LATER`.
"""

import http.client
import json
import os
import random
import signal
import socket
import struct
import subprocess
import time

from fleet import Test
from kafka import Failure, ROOT, end_child, free_ports, jars, start_child, wait_until

PATIENCE = 60
INTERVALS = 5
# In answers of 1.9.5, and of Baton, but not of 1.2.1: when a commit was seen. (Of the rules: a rewind that was made good, and one
# after a commit without lag; the windows below have neither.)
LATER = {"observedAt"}


class Wire:
    """Requests of Kafka's protocol by hand, to the one broker."""

    def __init__(self, bootstrap):
        host, port = bootstrap.split(":")
        self.socket = socket.create_connection((host, int(port)), PATIENCE)

    def ask(self, key, version, body):
        request = struct.pack(">hhih", key, version, 1, -1) + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", self._read(4))
        return self._read(size)[4:]

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise Failure("the broker hung up")
            data += more
        return data

    @staticmethod
    def text(s):
        return struct.pack(">h", len(s)) + s.encode()

    def commit(self, group, topic, partition, offset, timestamp_ms):
        """Waits for the coordinator to be there: a fresh cluster has none."""
        body = (self.text(group) + struct.pack(">i", -1) + self.text("") + struct.pack(">i", 1) + self.text(topic) +
                struct.pack(">iiqqh", 1, partition, offset, timestamp_ms, -1))

        def done():
            self.ask(10, 0, self.text(group))
            (code,) = struct.unpack(">h", self.ask(8, 1, body)[-2:])
            if code not in (0, 14, 15, 16):
                raise Failure(f"the commit of {group} was refused with {code}")
            return code == 0

        wait_until(done, PATIENCE, f"the coordinator of {group}", 0.2)


class Server:
    """One of the two."""

    def __init__(self, port):
        self.port = port

    def get(self, path, method="GET"):
        """(status, JSON or text); (0, None) while nobody answers."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            c.request(method, path)
            r = c.getresponse()
            text = r.read().decode()
            return r.status, json.loads(text) if r.getheader("Content-Type", "").startswith("application/json") else text
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            c.close()


def start_burrow(w, intervals=INTERVALS, refresh_s=1, cache_s=1):
    """w: has a kafka, and a path() for files."""
    program = subprocess.run([os.path.join(ROOT, "scripts", "burrow.sh")], stdout=subprocess.PIPE, text=True, check=False)
    if program.returncode != 0:
        raise Failure("scripts/burrow.sh could not provide Burrow")
    zookeeper, http_port = free_ports(2)
    folder = w.path("burrow")
    os.makedirs(os.path.join(folder, "zookeeper"))
    with open(os.path.join(folder, "zoo.cfg"), "w", encoding="ascii") as f:
        f.write(f"dataDir={folder}/zookeeper\nclientPort={zookeeper}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n")
    children = [start_child(["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", jars("3.9.1"),
                             "org.apache.zookeeper.server.ZooKeeperServerMain", os.path.join(folder, "zoo.cfg")],
                            os.path.join(folder, "zookeeper.log"))]

    def serves():
        try:
            with socket.create_connection(("127.0.0.1", zookeeper), 1) as s:
                s.sendall(b"srvr")
                return b"Mode: standalone" in s.recv(4096)
        except OSError:
            return False

    wait_until(serves, PATIENCE, "ZooKeeper to serve", 0.1)
    with open(os.path.join(folder, "burrow.toml"), "w", encoding="ascii") as f:
        f.write(f"""
[zookeeper]
servers=["127.0.0.1:{zookeeper}"]
root-path="/burrow"
[client-profile.test]
kafka-version="2.0.0"
client-id="burrow"
[cluster.local]
class-name="kafka"
servers=["{w.kafka.bootstrap}"]
client-profile="test"
topic-refresh={6 * refresh_s}
offset-refresh={refresh_s}
[consumer.local]
class-name="kafka"
cluster="local"
servers=["{w.kafka.bootstrap}"]
client-profile="test"
start-latest=false
[httpserver.default]
address="127.0.0.1:{http_port}"
[storage.default]
class-name="inmemory"
intervals={intervals}
[evaluator.default]
class-name="caching"
expire-cache={cache_s}
""")
    children.append(start_child([program.stdout.strip(), "--config-dir", folder], os.path.join(folder, "burrow.log"), cwd=folder))
    return Server(http_port), children


def start_baton(w):
    (port,) = free_ports(1)
    child = start_child([w.tools.baton, "serve", "--bootstrap", w.kafka.bootstrap, "--listen", f"127.0.0.1:{port}", "--burrow",
                         f"rules=burrow,intervals={INTERVALS},offset-refresh=500ms,topic-refresh=1s"], w.path("controller.log"))
    return Server(port), child


def sorted_answer(v):
    """Lists that come in any order, in one."""
    if isinstance(v, dict):
        return {k: sorted(x) if k in ("topics", "consumers") and isinstance(x, list) else
                sorted(map(sorted_answer, x), key=lambda p: (p["topic"], p["partition"])) if k == "partitions" else sorted_answer(x)
                for k, x in v.items()}
    return [sorted_answer(x) for x in v] if isinstance(v, list) else v


def differences(burrow, baton, where=""):
    if isinstance(burrow, dict) and isinstance(baton, dict):
        found = [f"{where}: {k} is only in one" for k in (burrow.keys() ^ baton.keys()) - LATER]
        for k in burrow.keys() & baton.keys():
            found += differences(burrow[k], baton[k], f"{where}.{k}")
        return found
    if isinstance(burrow, list) and isinstance(baton, list) and len(burrow) == len(baton):
        return [d for i, (x, y) in enumerate(zip(burrow, baton)) for d in differences(x, y, f"{where}[{i}]")]
    return [] if burrow == baton else [f"{where}: {burrow!r} by Burrow, {baton!r} by Baton"]


class Beside:
    def __init__(self, w, burrow, baton, topics):
        self.w, self.burrow, self.baton, self.topics = w, burrow, baton, topics
        self.wire = Wire(w.kafka.bootstrap)
        self.groups, self.compared = [], 0

    def ends(self):
        return [end for _, end in sorted(self.w.ask("ends", self.topics[0]).items(), key=lambda p: int(p[0]))]

    def produce(self, rate=400, at_least=60):
        """So many records to each partition, and both have heard of them."""
        before = self.ends()
        child = start_child([self.w.tools.producer, "--bootstrap", self.w.kafka.bootstrap, "--topic", self.topics[0], "--rate", str(rate),
                             "--out", self.w.path("produced.json")], self.w.path("producer.log"))
        wait_until(lambda: min(e - b for e, b in zip(self.ends(), before)) >= at_least, PATIENCE, "the records to be produced", 0.1)
        end_child(child, signal.SIGTERM)
        ends = self.ends()
        path = f"/v3/kafka/local/topic/{self.topics[0]}"
        for who, server in (("Burrow", self.burrow), ("Baton", self.baton)):
            wait_until(lambda s=server: (s.get(path)[1] or {}).get("offsets") == ends, PATIENCE,
                       lambda s=server, n=who: f"{n} to know the ends {ends}: {s.get(path)}", 0.2)
        return ends

    def commit(self, group, partition, commits, topic=0):
        """Each (offset, seconds ago)."""
        now_ms = int(time.time() * 1000)
        for offset, ago in commits:
            self.wire.commit(group, self.topics[topic], partition, offset, now_ms - int(ago * 1000))
        if group not in self.groups:
            self.groups.append(group)

    def pair(self, path):
        """[] when both answer the same. Burrow first and last: what changed meanwhile is asked again."""
        first, ours, last = self.burrow.get(path), self.baton.get(path), self.burrow.get(path)
        if sorted_answer(first[1]) != sorted_answer(last[1]):
            return [f"{path} changes"]
        if first[0] != ours[0]:
            return [f"{path}: status {first[0]} by Burrow, {ours[0]} by Baton"]
        one, other = sorted_answer(first[1]), sorted_answer(ours[1])
        for v in (one, other):  # Baton's own group, which Burrow cannot read
            if isinstance(v, dict) and "consumers" in v:
                v["consumers"] = [c for c in v["consumers"] if not c.startswith("baton.")]
        return differences(one, other, path)

    def compare(self, *paths):
        for path in paths:
            wait_until(lambda p=path: not self.pair(p), PATIENCE, lambda p=path: "; ".join(self.pair(p)[:4]), 0.3)
            self.compared += 1

    def compare_group(self, group, label=None):
        """label: what both have to say of its partitions, worst first."""
        at = f"/v3/kafka/local/consumer/{group}"
        if label:
            def said():
                return [s.get(at + "/status")[1]["status"] for s in (self.burrow, self.baton)]

            def labels():
                return [(p["partitions"] or [{"status": "OK"}])[0]["status"] for p in said()]

            wait_until(lambda: labels() == [label, label], PATIENCE, lambda: f"{group} to be {label} by both: {labels()}", 0.3)
        self.compare(at, at + "/lag", at + "/status")


def labels(b):
    """One group a label: some commits now, more once the log has grown."""
    ends = b.produce()
    e = ends[0]
    b.commit("stalled", 0, [(5, 600), (5, 540), (5, 480)])
    b.commit("slow", 0, [(5, 600), (5, 540), (5, 480)])
    b.commit("well", 0, [(e, 600), (e, 540), (e, 480)])
    b.commit("ahead", 0, [(e - 9, 600), (e - 5, 540), (e, 480)])
    b.commit("silent", 0, [(5, 9000), (10, 8990), (15, 8980)])
    b.commit("rewound", 0, [(20, 600), (40, 540), (7, 480)])
    b.commit("young", 0, [(5, 30)])
    b.commit("beyond", 0, [(e + 1000, 300)])  # what was committed is not there (any more)
    b.commit("empty", 0, [(0, 600), (0, 540)], topic=1)
    b.commit("two", 0, [(5, 600), (6, 540)])
    b.commit("two", 1, [(5, 600), (6, 540)])
    for group in ("stalled", "empty"):
        b.compare_group(group)
    ends = b.produce()
    e = ends[0]
    b.commit("stalled", 0, [(5, 420), (5, 300), (5, 120)])
    b.commit("slow", 0, [(10, 420), (10, 300), (10, 120)])
    b.commit("well", 0, [(e, 420), (e, 300), (e, 120)])
    b.commit("ahead", 0, [(e - 30, 420), (e - 20, 300), (e - 10, 120)])
    b.commit("silent", 0, [(16, 8970), (17, 8960)])
    b.commit("rewound", 0, [(8, 300), (9, 120)])
    b.commit("two", 1, [(7, 500), (8, 400), (e, 300)])
    for group, label in (("stalled", "STALL"), ("slow", "WARN"), ("well", "OK"), ("ahead", "OK"), ("silent", "STOP"), ("rewound", "REWIND"),
                         ("young", "STOP"), ("beyond", "OK"), ("empty", "OK"), ("two", None)):
        b.compare_group(group, label)
    # and back: what stalled catches up, is silent, comes back at the end
    b.commit("stalled", 0, [(30, 100), (60, 80)])
    b.compare_group("stalled", "OK")
    b.commit("stalled", 0, [(40, 60)])
    b.compare_group("stalled", "REWIND")
    b.commit("stalled", 0, [(e, 50)])
    b.compare_group("stalled", "OK")


def at_random(b):
    """Windows that nobody thought of."""
    rng = random.Random(39)
    for i in range(24):
        ends = b.ends()
        at, ago, step = rng.randrange(1, 20), rng.choice((300, 3000)), rng.choice((1, 20, 60))
        commits = []
        for _ in range(rng.randrange(1, 9)):
            commits.append((min(at, ends[1] - 1), ago))
            at += rng.choice((0, 0, 1, 7))
            ago -= rng.choice((-1, 1, 1, 1)) * step * rng.random() / 10
        b.commit(f"random-{i}", 1, commits)
    for i in range(24):
        b.compare_group(f"random-{i}")


def the_rest(b):
    """Lists, what is not there, what is deleted."""
    t = b.topics[0]
    b.compare("/v3/kafka", "/v3/kafka/local/topic", f"/v3/kafka/local/topic/{t}", f"/v3/kafka/local/topic/{t}/consumers",
              f"/v3/kafka/local/topic/{b.topics[1]}/consumers", "/v3/kafka/local/consumer",
              "/v3/kafka/nowhere", "/v3/kafka/nowhere/topic", "/v3/kafka/nowhere/topic/x", "/v3/kafka/nowhere/consumer",
              "/v3/kafka/nowhere/topic/x/consumers", "/v3/kafka/nowhere/consumer/x", "/v3/kafka/nowhere/consumer/x/status",
              "/v3/kafka/local/topic/nothing", "/v3/kafka/local/topic/nothing/consumers", "/v3/kafka/local/consumer/nobody",
              "/v3/kafka/local/consumer/nobody/status", "/v3/kafka/local/consumer/nobody/lag", "/v3/kafka/local/nothing",
              "/v3/config/storage/nothing", "/v3/config/evaluator/nothing", "/v3/config/cluster/nothing", "/v3/config/consumer/nothing",
              "/v3/config/notifier/nothing", "/v3/nothing", "/v3/", "/burrow/admin")
    for path in ("/v3/config", "/v3/config/storage/", "/v3/kafka/local", "/v3/admin/loglevel", "/v3/config/cluster", "/v3/config/notifier"):
        one, other = b.burrow.get(path.rstrip("/")), b.baton.get(path)
        if one[0] != other[0] or one[1].keys() != other[1].keys():
            raise Failure(f"{path}: {one} by Burrow, {other} by Baton")
    for server in (b.burrow, b.baton):
        server.get("/v3/kafka/local/consumer/young", "DELETE")
    b.compare("/v3/kafka/local/consumer/young", "/v3/kafka/local/consumer/young/lag", "/v3/kafka/local/consumer")
    deleted = [s.get("/v3/kafka/local/consumer/nobody", "DELETE") for s in (b.burrow, b.baton)]
    if differences(deleted[0][1], deleted[1][1]) or deleted[0][0] != deleted[1][0]:
        raise Failure(f"DELETE of what is not there: {deleted}")
    b.w.ask("delete", t)
    for group in ("slow", "two"):
        b.compare_group(group)
    b.compare(f"/v3/kafka/local/topic/{t}", "/v3/kafka/local/topic")


def beside(w):
    """Burrow's HTTP v3 by Burrow and by Baton: stall, catch-up, stop, rewind, empty partitions, random windows, what is not there."""
    topics = [f"{w.name}.judged", f"{w.name}.other"]
    for t, partitions in zip(topics, (2, 3)):
        w.ask("create", t, partitions, 1)
    burrow, children = start_burrow(w)
    try:
        baton, controller = start_baton(w)
        children.append(controller)
        wait_until(lambda: baton.get("/burrow/admin") == (200, "GOOD"), PATIENCE, "baton serve to answer", 0.1)
        wait_until(lambda: burrow.get("/burrow/admin") == (200, "GOOD"), PATIENCE, "Burrow to answer", 0.1)
        wait_until(lambda: baton.get("/burrow/admin/ready") == (200, "READY"), PATIENCE, "Baton to be ready", 0.1)
        b = Beside(w, burrow, baton, topics)
        b.wire.commit("first", topics[1], 0, 0, int(time.time() * 1000))  # makes the log of commits, if nobody has
        labels(b)
        at_random(b)
        the_rest(b)
        if end_child(controller, signal.SIGTERM) != 0:
            raise Failure("the controller did not end well")
        return f"{b.compared} answers compared"
    finally:
        for child in reversed(children):
            end_child(child, signal.SIGTERM)


def today(w):
    """Burrow's HTTP v3 on today's Kafka, which no Burrow can read: a fleet at work with its owners, and a group that is deleted."""
    f = w.fleet({"in": 4}).up(rate=2000)
    (topic,) = f.topics
    server = Server(f.controllers[0].port)
    at = "/v3/kafka/local/consumer/"

    def owned(group):
        answer = server.get(f"{at}{group}/lag")[1]
        parts = answer["status"]["partitions"] if answer else []
        return len(parts) == 4 and all(p["owner"] == "/127.0.0.1" and p["client_id"] and p["end"] for p in parts) and parts

    for color in ("blue", "green"):  # the standby follows
        wait_until(lambda c=color: owned(f"{f.name}-{c}"), PATIENCE, lambda c=color: f"owners: {server.get(f'{at}{f.name}-{c}/lag')}", 0.3)
    group = f"{f.name}-new"  # of the new protocol: its coordinator is asked who owns what
    consumer = start_child([w.tools.bare, "--bootstrap.servers", w.kafka.bootstrap, "--group.id", group, "--topic", topic, "--group.protocol", "consumer",
                            "--auto.offset.reset", "earliest", "--auto.commit.interval.ms", "200", "--out", f.path("new.txt")], f.path("new.log"))
    try:
        wait_until(lambda: owned(group), PATIENCE, lambda: f"owners: {server.get(f'{at}{group}/lag')}", 0.3)
    finally:
        end_child(consumer)
    wait_until(lambda: all(not p["owner"] and not p["client_id"] for p in server.get(f"{at}{group}/lag")[1]["status"]["partitions"]), PATIENCE,
               "nobody to own what the consumer has left", 0.3)
    committed = w.ask("committed", f"{f.name}-blue", topic)
    for p, c in committed.items():
        wait_until(lambda i=int(p), o=c["offset"]: owned(f"{f.name}-blue")[i]["end"]["offset"] >= o, PATIENCE, "commits to be seen", 0.2)
    status, answer = server.get(f"{at}{f.name}-blue/status")
    if (status, answer["status"]["status"]) != (200, "OK"):
        raise Failure(f"a fleet that works is {answer}")
    # the same windows, by the command line
    url = f"http://127.0.0.1:{server.port}"
    wait_until(lambda: f.cli("lag", f"{f.name}-blue", "-o", "json", address=["--server", url]).json().get("label") == "OK", PATIENCE,
               lambda: f"'baton lag' to say OK: {f.cli('lag', f'{f.name}-blue', '-o', 'json', address=['--server', url]).out}", 0.5)
    f.cli("lag", f"{f.name}-blue", address=["--server", url]).expect(0, "STATUS", "OK")
    group = f"{f.name}-gone"
    w.ask("commit", group, topic, 0, 1)
    wait_until(lambda: server.get(at + group)[0] == 200, PATIENCE, "the commit to be seen", 0.2)
    page = server.get("/burrow/metrics")[1]
    ends = w.ask("ends", topic)
    for line in (f'burrow_kafka_consumer_lag_total{{cluster="local",consumer_group="{group}"}} ',
                 f'burrow_kafka_consumer_status{{cluster="local",consumer_group="{f.name}-blue"}} 1\n',
                 f'burrow_kafka_consumer_partition_lag{{cluster="local",consumer_group="{group}",topic="{topic}",partition="3"}} 0\n',
                 f'burrow_kafka_topic_partition_offset{{cluster="local",topic="{topic}",partition="3"}} '):
        if line not in page:
            raise Failure(f"{line} is not on the page: {page[:2000]}")
    if int(page.split(line)[1].split()[0]) > ends["3"]:
        raise Failure("the page knows of records that are not there")
    server.get(f"{at}{group}/topic/{topic}", "DELETE")
    if server.get(at + group)[0] != 404:
        raise Failure("a group with its only topic deleted is still there")
    w.ask("commit", group, topic, 0, 2)
    wait_until(lambda: server.get(at + group)[0] == 200, PATIENCE, "the group to come back", 0.2)
    w.ask("forget", group)
    wait_until(lambda: server.get(at + group)[0] == 404, PATIENCE, "the deleted group to be gone", 0.2)
    f.expect_clean()


TESTS = [Test("burrow-beside", beside, "old"), Test("burrow-today", today)]
