"""Ten thousand members on the HTTP channel of one controller, beside a bare loop over as many sockets.

The members are bench/channel_load.c's: connections that do what members do, with reports that a real Kafka acknowledges. They stand in 20
fleets of 500 (a fleet has at most 512). An order is a pause or a resume of all fleets at once; measured is the time from the first document
written to the last member's report of it that stands in baton.reports. Members, controller, brokers and the bare loop share one machine.
"""

import http.client
import json
import os
import random
import resource
import secrets
import statistics
import subprocess
import threading
import time

from kafka import Failure, end_child, free_ports, start_child, wait_until

FLEETS, MEMBERS, PARTITIONS = 20, 500, 10
PLACES_KEPT = 200  # descriptors of the controller that are no member's: Kafka, its own


class Controller:
    def __init__(self, b, port, tokens, places):
        self.port, self.token = port, open(tokens[0], encoding="ascii").read()
        self.log = os.path.join(b.folder, "channel-controller.log")
        self.argv = [b.tools.baton, "serve", "--bootstrap", b.kafka.bootstrap, "--prefix", "channel.", "--listen", f"127.0.0.1:{port}",
                     "--token-file", tokens[0], "--member-token-file", tokens[1], "--connections", str(places)]
        self.start()

    def start(self):
        self.child = start_child(self.argv, self.log)
        wait_until(lambda: self.ask("GET", "/v1/leader").get("self"), 60, f"the controller to lead, see {self.log}")

    def ask(self, method, path, body=None, content="application/json"):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            c.request(method, path, body if isinstance(body, (str, type(None))) else json.dumps(body),
                      {"Authorization": f"Bearer {self.token}", "Content-Type": content})
            r = c.getresponse()
            text = r.read().decode()
            if r.status >= 300 and self.child.poll() is not None:
                raise Failure(f"the controller ended, see {self.log}")
            if r.status >= 300 and r.status != 503:
                raise Failure(f"{method} {path}: {r.status} {text[:300]}")
            return json.loads(text) if text and r.status < 300 else {}
        except (OSError, http.client.HTTPException):
            return {}
        finally:
            c.close()


class Members:
    """The load's own words, read by a thread."""

    def __init__(self, b, port, token, fleets, members, places):
        self.now, self.documents, self.changed = {}, {}, threading.Condition()
        self.all = fleets * members
        self.child = subprocess.Popen([os.path.join(b.tools.build, "bench", "channel_load"), str(port), token, str(fleets), str(members),
                                       str(places)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            said = json.loads(line)
            with self.changed:
                if "fleet" in said:
                    self.documents[said["fleet"], said["epoch"]] = said
                else:
                    self.now = said
                self.changed.notify_all()

    def wait_all(self, seconds):
        wait_until(lambda: self.now.get("back") == self.all, seconds, lambda: f"all members to have reported: {self.now}", 0.01)

    def wait_documents(self, wanted, seconds=120):
        with self.changed:
            if not self.changed.wait_for(lambda: all(w in self.documents for w in wanted), seconds):
                missing = [w for w in wanted if w not in self.documents]
                raise Failure(f"{len(missing)} of {len(wanted)} documents are not acknowledged by all: {missing[:5]}, {self.now}")
            return [self.documents[w] for w in wanted]

    def end(self):
        self.child.stdin.close()
        self.child.wait(30)


def _cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        words = f.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid, key="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":")) / 1024


def _everywhere(work, fleets):
    """All fleets at once: what each answered."""
    ret, rest, failed = {}, list(range(fleets)), []
    random.shuffle(rest)

    def some():
        try:
            while rest:
                i = rest.pop()
                ret[i] = work(i)
        except (Failure, IndexError) as e:
            failed.append(e)

    threads = [threading.Thread(target=some) for _ in range(fleets)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]
    return ret


def _order(controller, members, fleets, kind):
    """An order to every fleet. Answers (ms from the first document to the last acknowledgement, p50 and p99 of a member's)."""
    heads = _everywhere(lambda i: controller.ask("GET", f"/v1/fleets/channel-{i}"), fleets)
    wanted = [(i, h["epoch"] + 1) for i, h in heads.items()]
    ops = _everywhere(lambda i: controller.ask("POST", f"/v1/fleets/channel-{i}/{kind}", {"deadline": "60s"}), fleets)
    if any("number" not in op for op in ops.values()):
        raise Failure(f"an order was not taken: {ops}")
    said = members.wait_documents(wanted)

    def ended(i):
        op = controller.ask("GET", f"/v1/fleets/channel-{i}/switches/{ops[i]['number']}")
        return op.get("state") in ("complete", "rolled-back", "needs-operator") and op

    for i in range(fleets):
        op = wait_until(lambda i=i: ended(i), 90, f"the {kind} of channel-{i} to end")
        if op["state"] != "complete":
            raise Failure(f"{kind} of channel-{i} ended {op['state']}: {op.get('why')}")
    took = (max(d["last_us"] for d in said) - min(d["written_us"] for d in said)) / 1000
    return took, statistics.median(d["p50_us"] for d in said) / 1000, max(d["p99_us"] for d in said) / 1000


def _bare(b, count, down, up, back, rounds):
    r = subprocess.run([os.path.join(b.tools.build, "bench", "channel_floor"), *map(str, (count, down, up, back, rounds))],
                       capture_output=True, text=True, check=False, timeout=300)
    if r.returncode != 0:
        raise Failure(f"the bare loop: {r.stderr}")
    said = json.loads(r.stdout)
    return [us / 1000 for us in said["rounds_us"][1:]], said["cpu_us"] / 1000 / rounds


def _files_max(b, wanted):
    """As many descriptors a process as are wanted, or as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, wanted), max(hard, wanted)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    have = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], wanted)
    if have < wanted:
        b.say(f"    ulimit -n is {have}, {wanted} are wanted: {wanted - have} members share the connection for their reports with another")
    return have


def measure(b):
    """The HTTP channel with 10,000 members on one controller: an order to all acknowledged, memory, processor time, a restart."""
    fleets, orders = (2, 4) if b.args.quick else (FLEETS, 20)
    count = fleets * MEMBERS
    files = _files_max(b, 2 * count + PLACES_KEPT)
    tokens = []
    for name in ("operators", "members"):
        tokens.append(os.path.join(b.folder, f"channel-{name}"))
        with open(tokens[-1], "w", encoding="ascii") as f:
            f.write(secrets.token_hex(32))
    for i in range(fleets):
        b.tools.ask(b.kafka.bootstrap, "create", f"channel-{i}", PARTITIONS, 1)
    (port,) = free_ports(1)
    places = files - PLACES_KEPT
    controller, members = Controller(b, port, tokens, places), None
    try:
        for i in range(fleets):
            controller.ask("PUT", f"/v1/fleets/channel-{i}", f"fleet: channel-{i}\ntopics: [channel-{i}]\n", "application/yaml")
        members = Members(b, port, tokens[1], fleets, MEMBERS, places - 50)
        members.wait_all(180)
        began, used = time.monotonic(), _cpu(controller.child.pid)
        time.sleep(10)  # idle is what is measured: every member reports once
        idle = (_cpu(controller.child.pid) - used) / (time.monotonic() - began)
        rss = _memory(controller.child.pid)
        took, cpus, before = [], [], dict(members.now)
        for i in range(orders):
            used = _cpu(controller.child.pid)
            took.append(_order(controller, members, fleets, "resume" if i % 2 else "pause"))
            cpus.append(_cpu(controller.child.pid) - used)
            b.say(f"    order {i}: all acknowledged after {took[-1][0]:.0f} ms; a member's p50 {took[-1][1]:.0f} ms, p99 {took[-1][2]:.0f} ms; "
                  f"{cpus[-1]:.2f} s of a processor for the whole operation")
        after, peak = dict(members.now), _memory(controller.child.pid, "VmHWM")
        if after["refused"] > before["refused"]:
            raise Failure(f"{after['refused'] - before['refused']} requests of members were refused")
        reports = after["reports"] - before["reports"]
        sizes = [max(1, (after[k] - before[k]) // reports) for k in ("bytes_in", "bytes_out", "answers_in")]
        bare, bare_cpu = _bare(b, min(count, files - PLACES_KEPT), *sizes, 20)
        b.say(f"    a report: {sizes[0]} bytes of documents down, {sizes[1]} up, {sizes[2]} back; the bare loop takes p50 "
              f"{statistics.median(bare):.0f} ms, max {max(bare):.0f} ms, {bare_cpu:.0f} ms of a processor")
        restart = _restart(b, controller, members)
    finally:
        if members:
            members.end()
        end_child(controller.child)
    whole = sorted(t[0] for t in took)
    p50, worst = statistics.median(whole), whole[-1]
    floor = statistics.median(bare)
    name = f"HTTP channel, {count} members"

    def goal(text, met):
        return ("", None) if b.args.quick else (text, met)

    b.figure(f"{name}: order to all acknowledged, p50", p50, "ms", f"a bare loop over as many sockets, {floor:.0f} ms", p50 / floor)
    b.figure(f"{name}: order to all acknowledged, p99 of {orders}", worst, "ms", "200 ms", worst / 200, *goal("<= 1 x", worst <= 200))
    b.figure(f"{name}: controller's memory", rss, "MB", "150 MB", rss / 150, *goal("<= 1 x", rss <= 150))
    b.figure(f"{name}: controller's memory, peak", peak, "MB", "150 MB", peak / 150)
    b.figure(f"{name}: idle CPU, a report of each in 10 s", idle * 100, "%", "one core", idle)
    b.figure(f"{name}: all back after a restart of the controller", restart, "s", "the members' longest pause, 1 s", restart)


def _restart(b, controller, members):
    """Seconds from a new controller that leads to the last member's acknowledged report."""
    end_child(controller.child)
    wait_until(lambda: members.now.get("back") == 0, 30, lambda: f"the streams to end: {members.now}")
    refused = members.now["refused"]
    controller.start()
    began = time.monotonic()
    members.wait_all(180)
    took = time.monotonic() - began
    b.say(f"    after a restart: all {members.all} members are back {took:.1f} s after the controller led; {members.now['refused'] - refused} requests "
          f"were refused on the way; memory {_memory(controller.child.pid):.0f} MB, peak {_memory(controller.child.pid, 'VmHWM'):.0f} MB")
    return took
