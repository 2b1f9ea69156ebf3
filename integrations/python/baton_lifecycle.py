"""baton_lifecycle - a confluent-kafka consumer that `baton agent` can hold and release (docs/lifecycle.md).

    from baton_lifecycle import Consumer

    consumer = Consumer({"bootstrap.servers": "kafka:9092", "group.id": "payments-blue"}, ["orders"], port=8081)
    for message in consumer:        # ends when the agent says `leave`, or after consumer.close()
        work(message)
        consumer.done(message)      # any thread, any order

Beside it: baton agent payments --color blue --application http://127.0.0.1:8081 --bootstrap kafka:9092

One thread polls (the one that iterates): the Kafka consumer is called there and nowhere else, since its calls wait for each other, and poll()
calls back. Another thread serves the document and only notes what is told, so a handler that works for a minute does not keep the document from saying so. Partitions are *detached* while
they are held: librdkafka is given only those that run, at the very offset, so there is no pause flag to lose and nothing is
fetched in vain. Assignments are incremental: cooperative-sticky, or group.protocol=consumer.
"""

import hmac
import http.server
import json
import random
import socket
import threading
import time

import confluent_kafka
from confluent_kafka import TopicPartition

HELD, READY, RUNNING, DRAINING = "held", "ready", "running", "draining"
SLICE = 0.01  # seconds of a poll, between two looks at what is desired ...
SLICE_SOON, SOON = 0.002, 0.1  # ... and so soon after it was told, since one word of a hand-over follows the other
TURN_MAX = 0.02  # seconds that the answer to a PUT waits for what becomes of it
RETRY = 0.1  # seconds, after a commit that Kafka did not accept
NAME_EVERY = 0.2  # seconds: Kafka's name for this member changes when it joins anew
BODY_MAX = 4 * 1024 * 1024


class Partition:
    """One assignment of one partition."""

    def __init__(self, topic, partition, assignment):
        self.topic, self.partition, self.assignment = topic, partition, assignment
        self.assigned, self.attached, self.ready = True, False, False
        self.ran = False  # since it was made ready
        self.epoch, self.metadata = 0, ""
        self.first = self.position = self.committed = self.committed_at = None
        self.retry_at = 0  # after a commit that Kafka did not accept
        self.in_flight = set()  # offsets

    def low(self):
        """The offset below which all is finished."""
        return min(self.in_flight, default=self.position)

    def state(self):
        if self.attached:
            return RUNNING
        if self.in_flight or self.committed != self.position:
            return DRAINING
        return READY if self.ready else HELD

    def show(self, now):
        return {"topic": self.topic, "partition": self.partition, "assignment": self.assignment, "assigned": self.assigned,
                "state": self.state(), "epoch": self.epoch, "first": self.first, "position": self.position,
                "committed": self.committed, "in_flight": len(self.in_flight),
                "committed_ago_ms": None if self.committed_at is None else int((now - self.committed_at) * 1000)}


class Consumer:
    """Iterate over it, or call poll(); done() each message; close() at the end."""

    def __init__(self, config, topics, port, host="127.0.0.1", token=None, path="/baton/v1/lifecycle"):
        config = {"partition.assignment.strategy": "cooperative-sticky", "fetch.wait.max.ms": 50, **config}
        config |= {"enable.auto.commit": False, "enable.auto.offset.store": False,
                   "auto.offset.reset": "error"}  # a gap is never jumped over in silence
        self.group, self.client_id = config["group.id"], config.get("client.id", "")
        self.assignor = "consumer" if config.get("group.protocol") == "consumer" else config.pop("partition.assignment.strategy")
        if self.assignor == "cooperative-sticky":
            config["partition.assignment.strategy"] = self.assignor
        elif self.assignor != "consumer":
            raise ValueError(f"partition.assignment.strategy={self.assignor}: only cooperative-sticky goes with partitions that are "
                             "held one by one")
        self.instance = f"{random.SystemRandom().getrandbits(64):016x}"
        self.lock = threading.Lock()  # of everything below
        self.turned = threading.Condition(self.lock)  # `revision` has grown
        self.told_at = 0.0
        self.desired = None           # the newest PUT that was accepted
        self.revision = 0             # that was acted upon
        self.partitions = {}          # (topic, partition, assignment) -> Partition
        self.running = {}             # (topic, partition) -> Partition
        self.in_flight = {}           # (topic, partition, offset) -> Partition
        self.assignment = 0
        self.member_id, self.named_at = "", 0.0
        self.joined = self.left = self.closing = False
        self.finished = 0
        self.kafka = confluent_kafka.Consumer(config)
        self.kafka.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
        self.server = _serve(self, host, port, token, path)

    # -- the user's side ---------------------------------------------------------------------------------------------

    def __iter__(self):
        while not self.left:
            message = self.poll(1.0)
            if message is not None:
                yield message

    def poll(self, seconds):
        """A message, or None after so many seconds. Call it again and again: by it the agent is obeyed and the group kept.
        Once the consumer has left (`left`) there are no more."""
        if self.left:
            time.sleep(seconds)  # a loop that goes on asking does not spin
        until = time.monotonic() + seconds
        while not self.left:
            self._act()
            if self.left:
                return None
            message = self.kafka.poll(SLICE_SOON if time.monotonic() - self.told_at < SOON else SLICE)
            if message is not None and message.error() is None and self._deliver(message):
                return message
            if message is not None and message.error() is not None and (
                    message.error().fatal() or message.error().code() == confluent_kafka.KafkaError._AUTO_OFFSET_RESET):
                raise confluent_kafka.KafkaException(message.error())
            if time.monotonic() >= until:
                return None
        return None

    def done(self, message):
        """The message's effects are safe: it may be committed."""
        with self.lock:
            p = self.in_flight.pop((message.topic(), message.partition(), message.offset()), None)
            if p:
                p.in_flight.discard(message.offset())
                self.finished += 1

    def close(self):
        """Finish, commit, leave. Messages in flight must be done before, or will be delivered again."""
        with self.lock:
            self.closing = True
        self._act()
        self._leave()
        self.server.shutdown()

    # -- the document ------------------------------------------------------------------------------------------------

    def show(self):
        with self.lock:
            now = time.monotonic()
            d = self.desired
            return {"lifecycle": 1, "instance": self.instance, "group": self.group, "client_id": self.client_id,
                    "member_id": "" if self.left else self.member_id, "assignor": self.assignor,
                    "joined": self.joined, "left": self.left, "done": self.finished,
                    "desired": {k: d[k] for k in ("agent", "revision", "term", "epoch")} if d else None,
                    "observed": {"revision": self.revision, "partitions": [p.show(now) for p in self.partitions.values()]}}

    def tell(self, new):
        """Why it is refused, or None: it is noted (rule 1), and perhaps acted upon already."""
        with self.lock:
            old = self.desired
            if new["instance"] != self.instance:
                return f"this is instance {self.instance}"
            if old and (new["revision"], new["agent"] == old["agent"]) < (old["revision"], True):
                return f"revision {old['revision']} of agent {old['agent']} was accepted before"
            if old and (new["term"], new["epoch"]) < (old["term"], old["epoch"]):
                return f"term {old['term']}, epoch {old['epoch']} was accepted before"
            if not old or new["revision"] > old["revision"]:
                self.told_at = time.monotonic()
            self.desired = new
            self.turned.wait_for(lambda: self.revision >= new["revision"], TURN_MAX)
            return None

    # -- on the polling thread ---------------------------------------------------------------------------------------

    def _deliver(self, message):
        """The gate: a record passes only if its partition runs, and in its order."""
        with self.lock:
            p = self.running.get((message.topic(), message.partition()))
            if not p or message.offset() < p.position:
                return False
            p.first = message.offset() if p.first is None else p.first
            p.position = message.offset() + 1
            p.in_flight.add(message.offset())
            self.in_flight[message.topic(), message.partition(), message.offset()] = p
            return True

    def _commit(self, partitions):
        """What is finished, with the mark; what Kafka does not accept is tried again."""
        asked = time.monotonic()
        offsets = [TopicPartition(p.topic, p.partition, p.low(), p.metadata) for p in partitions]
        if not offsets:
            return
        try:
            answers = self.kafka.commit(offsets=offsets, asynchronous=False)
        except confluent_kafka.KafkaException:
            answers = [None] * len(offsets)
        with self.lock:
            for p, wanted, got in zip(partitions, offsets, answers):
                if got is not None and got.error is None:
                    p.committed, p.committed_at = wanted.offset, asked
                else:
                    p.retry_at = asked + RETRY

    def _attach(self, partitions):
        for p in partitions:
            p.attached, p.ran, p.ready = True, True, False
            self.running[p.topic, p.partition] = p
        self.kafka.incremental_assign([TopicPartition(p.topic, p.partition, p.position) for p in partitions])

    def _detach(self, partitions):
        for p in partitions:
            p.attached = False
            del self.running[p.topic, p.partition]
        if partitions:
            self.kafka.incremental_unassign([TopicPartition(p.topic, p.partition) for p in partitions])

    def _act(self):
        """Makes what is so what is desired, as far as it goes."""
        if not self.left and time.monotonic() - self.named_at >= NAME_EVERY:
            self._name()
        with self.lock:
            d = self.desired
            leave = self.closing or bool(d and d["leave"])
            told = {(w["topic"], w["partition"], w["assignment"]): w for w in d["partitions"]} if d else {}
            for key in [k for k, p in self.partitions.items() if not p.assigned and k not in told]:
                del self.partitions[key]  # rule 6: the agent has heard its last numbers
            mine = [p for p in self.partitions.values() if p.assigned]
            now, fence = time.monotonic(), (d["fence_ms"] if d else 45000) / 1000
            word = {p: told.get((p.topic, p.partition, p.assignment), {"state": "hold"}) for p in mine}
            fenced = {p for p in mine if p.committed_at is not None and now - p.committed_at >= fence}
            may_run = {p for p in mine if word[p]["state"] == "run" and not leave and p.epoch == word[p]["epoch"] > 0 and
                       (p.ready or p.ran)}
            stop = [p for p in mine if p.attached and (p not in may_run or p in fenced)]
            self._detach(stop)
            for p in mine:
                if p not in may_run and word[p]["state"] != "ready":
                    p.ready = False
                    if not p.ran and p.committed != p.position:  # a start that was not accepted, and is not wanted any more
                        p.position = p.committed = None
            ready = [p for p in mine if word[p]["state"] == "ready" and not p.in_flight and not leave and not (
                p.ready and (p.position, p.committed, p.epoch, p.metadata) ==
                (word[p]["from"], word[p]["from"], word[p]["epoch"], word[p]["metadata"]))]
            for p in ready:
                p.epoch, p.metadata, p.position = word[p]["epoch"], word[p]["metadata"], word[p]["from"]
                p.first, p.committed, p.ran, p.ready = None, None, False, False
            every = (d["commit_every_ms"] if d else 1000) / 1000
            commit = [p for p in mine if now >= p.retry_at and (
                p in ready or p in fenced and p in may_run or  # the sign of life that lets it go on
                p.ran and (now - p.committed_at >= every if p.attached else p.committed != p.low()))]
        self._commit(commit)
        with self.lock:
            for p in ready:
                p.ready = p.committed == p.position
            fenced = {p for p in fenced if time.monotonic() - p.committed_at >= fence}
            go = [p for p in may_run if p.assigned and not p.attached and p not in fenced]
            if go:
                self._attach(go)
            if d:
                self.revision = max(self.revision, d["revision"])
                self.turned.notify_all()
            quiet = not any(p.in_flight or p.committed != p.position for p in mine)
        if leave and quiet and not self.closing:
            self._leave()

    def _name(self):
        self.member_id, self.named_at = self.kafka.memberid() or "", time.monotonic()

    def _leave(self):
        if not self.left:
            self.kafka.close()
            self.left = True

    def _on_assign(self, kafka, partitions):
        self._name()
        with self.lock:
            self.joined = True
            self.assignment += 1
            for t in partitions:
                self.partitions[t.topic, t.partition, self.assignment] = Partition(t.topic, t.partition, self.assignment)
        kafka.incremental_assign([])  # they are ours, and held: librdkafka gets none

    def _gone(self, kafka, partitions, commit):
        keys = {(t.topic, t.partition) for t in partitions}
        with self.lock:
            gone = [p for p in self.partitions.values() if p.assigned and (p.topic, p.partition) in keys]
            self._detach([p for p in gone if p.attached])
        if commit:
            self._commit([p for p in gone if p.ran and p.committed != p.low()])
        kafka.incremental_unassign([])  # librdkafka has none of them any more
        with self.lock:
            for p in gone:
                p.assigned = p.ready = False
                if p.position is None:
                    del self.partitions[p.topic, p.partition, p.assignment]

    def _on_revoke(self, kafka, partitions):
        self._gone(kafka, partitions, True)

    def _on_lost(self, kafka, partitions):
        self._gone(kafka, partitions, False)


def _serve(consumer, host, port, token, path):
    wanted = f"Bearer {token}" if token else None

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # one packet an answer

        def answer(self, status, body):
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def refused(self):
            if self.path != path:
                self.answer(404, {"error": f"there is {path}"})
            elif wanted and not hmac.compare_digest(self.headers.get("Authorization", "").encode(), wanted.encode()):
                self.answer(401, {"error": "a token is wanted"})
            else:
                return False
            return True

        def do_GET(self):
            if not self.refused():
                self.answer(200, consumer.show())

        def do_PUT(self):
            length = int(self.headers.get("Content-Length") or 0)
            if length > BODY_MAX:
                self.close_connection = True
                return self.answer(413, {"error": "too long"})
            body = self.rfile.read(length)
            if self.refused():
                return None
            try:
                new = json.loads(body)
                for name, kind in (("instance", str), ("agent", str), ("revision", int), ("term", int), ("epoch", int),
                                   ("commit_every_ms", int), ("fence_ms", int), ("leave", bool), ("partitions", list)):
                    if type(new[name]) is not kind:
                        raise ValueError(f"{name} is no {kind.__name__}")
                for w in new["partitions"]:
                    wanted_here = ["topic", "partition", "assignment"] + ([] if w["state"] == "hold" else ["epoch", "metadata"])
                    if w["state"] not in ("hold", "ready", "run") or any(k not in w for k in wanted_here) or \
                            w["state"] == "ready" and type(w["from"]) is not int:
                        raise ValueError(f"not understood: {w}")
            except (ValueError, KeyError, TypeError) as e:
                return self.answer(400, {"error": f"no desired state: {e}"})
            why = consumer.tell(new)
            return self.answer(409, {"error": why}) if why else self.answer(200, consumer.show())

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    server = Server((host, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="baton-lifecycle").start()
    return server
