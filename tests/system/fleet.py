"""A fleet under test: controllers, workers of both colors, a producer, the CLI, and the audit at the end.

Everything here looks at Baton from outside: by its HTTP API, its command line, its exit codes; and at the truth by other
means: the probe (bare librdkafka) and the auditor (Kafka's own client). A phase of a switch is hit by making it last (a
worker that holds its records, a frozen taker) and by watching for it, never by sleeping.
"""

import collections
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import time
import urllib.parse

from kafka import Failure, ROOT, end_child, free_ports, start_child, wait_until

# kind: which Kafka it needs (run.py).
Test = collections.namedtuple("Test", "name function kind", defaults=("shared",))

COLORS = ("blue", "green")
SLOW_RATE_MAX = 5000  # records a second
PATIENCE = 60  # seconds; the machine may be slow, a wait that succeeds does not use it up


def other(color):
    return "green" if color == "blue" else "blue"


class Tools:
    """Where the programs are."""

    def __init__(self, build, class_path, classes):
        self.build = build
        self.baton = os.path.join(build, "baton")
        if not os.path.exists(self.baton):
            self.baton = os.path.join(build, "src", "cli", "baton")
        self.producer, self.worker, self.probe, self.bare = (os.path.join(build, "tests", "system", n)
                                                             for n in ("producer", "worker", "probe", "bare"))
        for path in (self.baton, self.producer, self.worker, self.probe, self.bare):
            if not os.access(path, os.X_OK):
                raise Failure(f"{path} is missing: build first (make)")
        self.class_path, self.classes = class_path, classes
        r = subprocess.run(["javac", "-cp", class_path, "-d", classes, os.path.join(ROOT, "tests", "system", "Auditor.java")],
                           capture_output=True, text=True, check=False)
        if r.returncode != 0:
            raise Failure(f"the auditor does not compile:\n{r.stderr}")

    def ask(self, bootstrap, *args, fine=(0,)):
        """The probe's JSON answer, None when it gave none."""
        r = subprocess.run([self.probe, bootstrap, *map(str, args)], capture_output=True, text=True, check=False, timeout=90)
        if r.returncode not in fine:
            raise Failure(f"probe {' '.join(map(str, args))}: {r.stderr.strip()}")
        return json.loads(r.stdout) if r.returncode == 0 and r.stdout.strip() else None

    def audit(self, bootstrap, topics, files, receipts=(), acknowledged=None, flags=(), heap_mb=1024):
        argv = ["java", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", self.classes + ":" + self.class_path, "Auditor",
                "--bootstrap", bootstrap, *flags]
        for t in topics:
            argv += ["--topic", t]
        for r in receipts:
            argv += ["--receipt", r]
        if acknowledged:
            argv += ["--acknowledged", acknowledged]
        r = subprocess.run(argv + list(files), capture_output=True, text=True, check=False, timeout=300)
        if r.returncode != 0:
            raise Failure(f"the audit could not be made: {r.stderr.strip()}")
        return json.loads(r.stdout)


class Answer:
    """What a command line left behind."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as e:
            raise Failure(f"not JSON ({e}): {self.out[:400]!r}, stderr {self.err[:400]!r}") from e

    def expect(self, code, *words):
        text = self.out + self.err
        if self.code != code:
            raise Failure(f"exit code {self.code} instead of {code}: {text.strip()[:800]}")
        for w in words:
            if w.lower() not in text.lower():
                raise Failure(f"{w!r} is not said in: {text.strip()[:800]}")
        return self


class Running:
    """A command line that runs."""

    def __init__(self, child, out, err, what):
        self.child, self.out, self.err, self.what = child, out, err, what

    def wait(self, seconds=PATIENCE):
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired as e:
            end_child(self.child, signal.SIGKILL)
            raise Failure(f"'{self.what}' did not end within {seconds:g} s; it said: {self.text()[-600:]}") from e
        code = end_child(self.child)
        with open(self.out, encoding="utf-8") as o, open(self.err, encoding="utf-8") as e:
            return Answer(code, o.read(), e.read())

    def text(self):
        with open(self.out, encoding="utf-8") as o, open(self.err, encoding="utf-8") as e:
            return o.read() + e.read()


class Controller:
    def __init__(self, fleet, number):
        self.number = number
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = fleet.path(f"controller-{number}.log")
        self.child = start_child([fleet.tools.baton, "serve", "--bootstrap", fleet.kafka.bootstrap, *fleet.prefix_option,
                                  "--listen", f"127.0.0.1:{self.port}", "--log-level", "debug", *fleet.serve_options], self.log)

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def request(self, method, path, body=None, seconds=40, content="application/json"):
        """(status, parsed JSON or text, headers); raises OSError when nobody answers."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            data = body if isinstance(body, (str, type(None))) else json.dumps(body)
            c.request(method, path, data, {"Content-Type": content} if data is not None else {})
            r = c.getresponse()
            text = r.read().decode()
        except http.client.HTTPException as e:
            raise OSError(f"{method} {path}: {e!r}") from e
        finally:
            c.close()
        try:
            return r.status, json.loads(text) if text else None, r.headers
        except ValueError:
            return r.status, text, r.headers


class Member:
    """One worker process after the other under one name; each has a file of its own."""

    def __init__(self, fleet, color, name, options):
        self.fleet, self.color, self.name, self.options = fleet, color, name, options
        self.hold_path = fleet.path(f"{name}.hold")
        self.log = fleet.path(f"{name}.log")
        self.files = []
        self.child = None
        self.frozen = False

    def start(self):
        f = self.fleet
        self.files.append(f.path(f"{self.name}-{len(self.files)}.txt"))
        argv = [f.tools.worker, "--out", self.files[-1], "--hold", self.hold_path]
        options = {
            "baton.fleet": f.name, "baton.color": self.color, "baton.version": f.versions[self.color],
            "bootstrap.servers": f.kafka.bootstrap, "client.id": self.name, **f.member_options, **self.options,
        }
        if f.prefix:
            options["baton.control.prefix"] = f.prefix
        for k, v in options.items():
            if v is True:
                argv.append("--" + k)
            elif v is not None:
                argv += ["--" + k, str(v)]
        self.child = start_child(argv, self.log)
        self.frozen = False
        return self

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def hold(self):
        with open(self.hold_path, "w", encoding="utf-8"):
            pass

    def unhold(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.hold_path)

    def leave(self, seconds=30):
        """SIGTERM; a clean goodbye."""
        code = end_child(self.child, signal.SIGTERM, seconds)
        self.child = None
        if code != 0:
            raise Failure(f"worker {self.name} ended with {code} instead of 0 after SIGTERM, see {self.log}")

    def kill(self):
        end_child(self.child, signal.SIGKILL)
        self.child = None

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        if self.alive():
            self.child.send_signal(signal.SIGCONT)
        self.frozen = False

    def lines(self):
        """Records written so far by the present process."""
        if not os.path.exists(self.files[-1]):
            return 0
        with open(self.files[-1], "rb") as f:
            return sum(1 for line in f if not line.startswith(b"#"))


class Fleet:
    def __init__(self, kafka, tools, folder, name, topics, *, prefix=None, spec=None, member_options=None, replication=1):
        self.kafka, self.tools, self.folder, self.name = kafka, tools, folder, name
        self.topics = topics  # name -> partitions
        self.prefix = f"{name}." if prefix is None else prefix
        self.prefix_option = ["--prefix", self.prefix] if self.prefix else []
        self.member_options = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000,
                               "partition.assignment.strategy": "cooperative-sticky", **(member_options or {})}
        self.spec = {
            "members": {"session_timeout": "6s", "processing_max": "2s"},
            "switch": {"deadline": "60s", "observe": "0s"},
        }
        for k, v in (spec or {}).items():
            if isinstance(v, dict):
                self.spec.setdefault(k, {}).update(v)
            else:
                self.spec[k] = v
        self.versions = {"blue": "1.0", "green": "2.0"}
        self.serve_options = []  # of every controller that is started from now on
        self.controllers, self.members, self.producers, self.commands = [], [], [], []
        self.more_files = []  # of workers that are not ours
        self.random = random.Random(name)
        self.direct = False  # command lines go by --bootstrap, and so outlive any one controller
        os.makedirs(folder, exist_ok=True)
        for topic, partitions in topics.items():
            tools.ask(kafka.bootstrap, "create", topic, partitions, replication)

    def path(self, name):
        return os.path.join(self.folder, name)

    # -- parts ---------------------------------------------------------------------------------------------------

    def add_controller(self, wait=True):
        c = Controller(self, len(self.controllers))
        self.controllers.append(c)
        if wait:
            self.wait_serving(c)
        return c

    def wait_serving(self, c):
        def ready():
            if not c.alive():
                raise Failure(f"controller {c.number} ended at its start, see {c.log}")
            try:
                return c.request("GET", "/readyz", seconds=5)[0] == 200
            except OSError:
                return False

        wait_until(ready, PATIENCE, f"controller {c.number} to be ready, see {c.log}")

    def leader(self):
        """The controller of ours that leads, None while there is none."""
        for c in self.controllers:
            if not c.alive():
                continue
            try:
                status, body, _ = c.request("GET", "/v1/leader", seconds=5)
            except OSError:
                continue
            if status == 200 and body.get("self"):
                return c
        return None

    def term(self):
        """The newest reign that a controller of ours knows of. It may be that of a command line, which leads where nobody else does."""
        ret = -1
        for c in self.controllers:
            with contextlib.suppress(OSError):
                status, body, _ = c.request("GET", "/v1/leader", seconds=5) if c.alive() else (0, None, None)
                ret = max(ret, body["term"]) if status == 200 and body["term"] is not None else ret
        return ret

    def add_member(self, color, wait=False, **options):
        count = sum(m.color == color for m in self.members)
        m = Member(self, color, f"{self.name}-{color}-{count}", {k.replace("_", "-") if k.islower() and "." not in k else k: v
                                                                  for k, v in options.items()})
        self.members.append(m)
        m.start()
        if wait:
            self.wait_member(m)
        return m

    def wait_member(self, m, seconds=PATIENCE):
        def known():
            if not m.alive():
                raise Failure(f"worker {m.name} ended, see {m.log}")
            return any(x["client_id"] == m.name and x["ready"] for x in self.status()["colors"][m.color]["members"])

        wait_until(known, seconds, f"{m.name} to be ready, see {m.log}")

    def wait_shared(self, seconds=PATIENCE):
        """Until every member has a partition: a cooperative group is stable for a moment before it moves some to who has just joined."""
        def shared():
            return all(m["partitions"] > 0 for c in self.status()["colors"].values() for m in c["members"])

        wait_until(shared, seconds, lambda: f"every member to have a partition: {self.status()['colors']}")

    def of(self, color, alive=True):
        return [m for m in self.members if m.color == color and (not alive or m.alive())]

    def produce(self, rate=20000, wait=True, topic=None, **options):
        """A slow producer sends every 20 ms: what a broker spends goes by requests, and a lane shares the machine with others."""
        options.setdefault("linger_ms", 5 if rate > SLOW_RATE_MAX else 20)
        for t in [topic] if topic else list(self.topics):
            out = self.path(f"producer-{t}-{len(self.producers)}.json")
            argv = [self.tools.producer, "--bootstrap", self.kafka.bootstrap, "--topic", t, "--rate", str(rate), "--out", out]
            for k, v in options.items():
                argv += ["--" + k.replace("_", "-")] + ([] if v is True else [str(v)])
            log = self.path("producer.log")
            child = start_child(argv, log, stdout=subprocess.PIPE)
            child.result = out
            self.producers.append(child)
            if wait and rate > 0:
                if child.stdout.readline() != b"ready\n":
                    raise Failure(f"the producer did not get a record in, see {log}")
        return self.producers[-1]

    def stop_producers(self):
        for p in self.producers:
            if p.poll() is None or p.returncode is None:
                code = end_child(p, signal.SIGTERM, 90)
            else:
                code = p.returncode
            if code != 0:
                raise Failure(f"a producer ended with {code}, see {self.path('producer.log')}")

    # -- talking -------------------------------------------------------------------------------------------------

    def api(self, method, path, body=None, fine=range(200, 300), content="application/json", seconds=40):
        """Whichever controller answers; a 307 is followed. The answer's JSON when its status is fine."""
        status, said = self.api_raw(method, path, body, content, seconds)
        if status not in fine:
            raise Failure(f"{method} {path}: {status} {said}")
        return said

    def api_raw(self, method, path, body=None, content="application/json", seconds=40):
        last = None
        for c in self.controllers:
            if not c.alive():
                continue
            try:
                status, said, headers = c.request(method, path, body, seconds, content)
                if status == 307:
                    to = urllib.parse.urlsplit(headers["Location"])
                    leader = next((x for x in self.controllers if x.port == to.port), None)
                    if leader is None or not leader.alive():
                        last = (503, f"307 to {headers['Location']}")
                        continue
                    status, said, headers = leader.request(method, path, body, seconds, content)
                if status == 503:
                    last = (status, said)
                    continue
                return status, said
            except OSError as e:
                last = (503, str(e))
        return last or (503, "no controller runs")

    def status(self):
        """Level-triggered reading: asks again while nobody leads."""
        def ask():
            status, said = self.api_raw("GET", f"/v1/fleets/{self.name}", seconds=10)
            if status in (404,):
                raise Failure(f"the fleet is not known: {said}")
            return said if status == 200 else None

        return wait_until(ask, PATIENCE, "a controller to answer", 0.05)

    def op(self, number=None):
        """An operation, the newest when no number is given."""
        def ask():
            if number is None:
                status, said = self.api_raw("GET", f"/v1/fleets/{self.name}/switches", seconds=10)
                return (said["switches"] or [None])[0] if status == 200 else None
            status, said = self.api_raw("GET", f"/v1/fleets/{self.name}/switches/{number}", seconds=10)
            return said if status == 200 else None

        return wait_until(ask, PATIENCE, "a controller to answer", 0.05)

    def number(self):
        """Number of the newest operation, 0 when there was none."""
        s = self.api("GET", f"/v1/fleets/{self.name}/switches")["switches"]
        return s[0]["number"] if s else 0

    def active(self):
        return self.status()["active"]

    def address(self):
        """Options that lead a command line to a controller."""
        if self.direct:
            return ["--bootstrap", self.kafka.bootstrap, *self.prefix_option]
        c = self.leader() or next((c for c in self.controllers if c.alive()), None)
        return ["--server", c.url] if c else ["--bootstrap", self.kafka.bootstrap, *self.prefix_option]

    def run(self, *args, address=None):
        """A command line in the background."""
        n = len(self.commands)
        out, err = self.path(f"command-{n}.out"), self.path(f"command-{n}.err")
        argv = [self.tools.baton, *args, *(self.address() if address is None else address)]
        with open(out, "wb") as o, open(err, "wb") as e:
            child = start_child(argv, self.path("commands.log"), stdout=o, stderr=e)
        r = Running(child, out, err, " ".join(args))
        self.commands.append(r)
        return r

    def cli(self, *args, address=None, seconds=PATIENCE):
        return self.run(*args, address=address).wait(seconds)

    def fleet_file(self):
        def text(value, indent):
            pad = "  " * indent
            if isinstance(value, dict):
                return "".join(f"{pad}{k}:" + (f"\n{text(v, indent + 1)}" if isinstance(v, dict) else f" {text(v, 0)}\n")
                               for k, v in value.items())
            if isinstance(value, (list, tuple)):
                return "[" + ", ".join(str(v) for v in value) + "]"
            return str(value)

        path = self.path("fleet.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text({"fleet": self.name, "topics": list(self.topics), **self.spec}, 0))
        return path

    def apply(self, address=None):
        self.cli("fleet", "apply", self.fleet_file(), address=address).expect(0)

    def up(self, blue=2, green=2, controllers=1, rate=20000, add=None, **options):
        """Controller, fleet, members, producer, and ready for a switch. `add` makes other members than workers, given a color."""
        for _ in range(controllers):
            self.add_controller()
        self.apply()
        for color, count in (("blue", blue), ("green", green)):
            for _ in range(count):
                add(color) if add else self.add_member(color, **options)
        for m in self.members:
            self.wait_member(m)
        self.wait_plan()
        if rate:
            self.produce(rate)
            self.wait_flowing()
        return self

    def wait_plan(self, seconds=PATIENCE):
        """Until the preflight has nothing to refuse."""
        last = []

        def fine():
            status, said = self.api_raw("POST", f"/v1/fleets/{self.name}/plan", {})
            last[:] = [f"{status} {said}"]
            return status == 200 and said["ok"]

        wait_until(fine, seconds, lambda: f"the preflight to be content; it says {last[0][:1500]}", 0.1)

    def lines(self):
        """Bytes that the workers have written so far, remarks included."""
        return sum(os.path.getsize(f) for m in self.members for f in m.files if os.path.exists(f))

    def wait_flowing(self, color=None, seconds=PATIENCE):
        """Until the color (the active one; "any") has processed a record of every partition, counted from now."""
        color = (color or self.active()).encode()
        at = {f: os.path.getsize(f) if os.path.exists(f) else 0 for f in self.files()}
        missing = {(t.encode(), b"%d" % p) for t, count in self.topics.items() for p in range(count)}

        def look():
            for path in self.files():
                if not os.path.exists(path):
                    continue
                with open(path, "rb") as f:
                    f.seek(at.get(path, 0))
                    text = f.read()
                end = text.rfind(b"\n") + 1
                at[path] = at.get(path, 0) + end
                for line in text[:end].splitlines():
                    w = line.split()
                    if len(w) == 7 and color in (w[4], b"any"):
                        missing.discard((w[6], w[0]))
            return not missing

        wait_until(look, seconds, lambda: f"{color.decode()} to process records of " + ", ".join(
            f"{t.decode()}/{p.decode()}" for t, p in sorted(missing)[:20]), 0.05)

    # -- phases --------------------------------------------------------------------------------------------------

    def hold(self, color):
        for m in self.of(color):
            m.hold()

    def unhold(self):
        for m in self.members:
            m.unhold()

    def switch(self, *args, to=None, address=None):
        """Starts `baton switch`; the caller waits for it."""
        more = ["--to", to] if to else []
        return self.run("switch", self.name, "-o", "json", *more, *args, address=address)

    def switch_when_allowed(self, *args, seconds=90):
        """A switch, ordered again while the preflight refuses: what happened just before it may have to settle."""
        until = time.monotonic() + seconds
        while True:
            answer = self.switch(*args).wait(150)
            if answer.code != 1 or time.monotonic() > until:
                return answer
            time.sleep(0.5)

    def states(self):
        return [p["state"] for p in self.status()["partitions"]]

    def wait_op(self, number, states, seconds=PATIENCE):
        """Until the operation is in one of the states; answers it."""
        last = [None]

        def there():
            last[0] = self.op(number)
            return last[0] if last[0]["state"] in states else None

        return wait_until(there, seconds, lambda: f"operation {number} to be {' or '.join(states)}; it is "
                          f"{last[0] and {k: last[0].get(k) for k in ('state', 'cause', 'why', 'progress', 'waiting')}}")

    def wait_ended(self, number, seconds=120):
        return self.wait_op(number, ("complete", "rolled-back", "needs-operator"), seconds)

    @contextlib.contextmanager
    def phase(self, name, *args):
        """Inside the block a switch to the other color is held open in that phase:

        before     it is ordered when the block ends
        releasing  the holder keeps records in flight
        granted    the taker's members are frozen after they have acknowledged the order
        observing  the observation lasts long enough
        after      it is complete

        Yields a dict; after the block "answer" is that of the command line and "op" the operation.
        """
        active = self.active()
        number = self.number() + 1
        ret = {"from": active, "to": other(active), "number": number}
        if name != "before" and any(c.alive() for c in self.controllers):
            self.wait_plan()  # what was done to the fleet before may have cost a member its session
        try:
            if name == "before":
                yield ret
                ret["answer"] = self.switch_when_allowed("--deadline", "60s", *args)
            elif name == "releasing":
                self.hold(active)
                ret["command"] = self.switch("--deadline", "60s", *args)
                self._wait_partition("releasing", ret)
                yield ret
            elif name == "granted":
                self.hold(active)
                ret["command"] = self.switch("--deadline", "60s", *args)
                self._wait_partition("releasing", ret)
                self._wait_acknowledged(ret)
                ret["frozen"] = [m for m in self.of(ret["to"]) if not m.frozen]
                for m in ret["frozen"]:
                    m.freeze()
                self.unhold()
                self._wait_partition("granted", ret)
                yield ret
            elif name == "observing":
                ret["command"] = self.switch("--deadline", "60s", *(args or ("--observe", "4s")))
                self.wait_op_exists(ret)
                self.wait_op(number, ("observing",))
                yield ret
            elif name == "after":
                ret["command"] = self.switch("--deadline", "60s", *args)
                ret["answer"] = ret["command"].wait(90)
                yield ret
            else:
                raise ValueError(name)
        finally:
            self.unhold()
            for m in ret.get("frozen", []):
                if m.frozen and not ret.get("keep_frozen"):
                    m.thaw()
        if "answer" not in ret:
            ret["answer"] = ret["command"].wait(150)
        if self.number() < number:
            raise Failure(f"the switch was refused: exit code {ret['answer'].code}, {ret['answer'].err[-1500:]}")
        ret["op"] = self.wait_ended(number)  # a controller that only follows may be behind the one that told the command

    def wait_op_exists(self, ret):
        def there():
            child = ret["command"].child
            if child.poll() is not None and child.returncode not in (0,):
                raise Failure(f"the switch was not accepted: {ret['command'].text()[-800:]}")
            return self.number() >= ret["number"]

        wait_until(there, PATIENCE, "the switch to be accepted")

    def _wait_partition(self, state, ret):
        self.wait_op_exists(ret)
        wait_until(lambda: state in self.states(), PATIENCE, lambda: f"a partition to be {state}; they are {self.states()}", 0.01)

    def _wait_acknowledged(self, ret):
        """Every member of the taking color has applied the order, so that freezing them cannot hold up the grant."""
        def done():
            s = self.status()
            order = max(p["order"] for p in s["partitions"])
            return all(m["applied_epoch"] >= order for m in s["colors"][ret["to"]]["members"] if not m.get("goodbye"))

        wait_until(done, PATIENCE, "the takers to acknowledge the order", 0.01)

    # -- the end -------------------------------------------------------------------------------------------------

    def groups(self):
        return {c: f"{self.name}-{c}" for c in COLORS}

    def wait_drained(self, seconds=90):
        """Until one color or the other has committed to the end of every partition: read from the brokers."""
        last = [None]

        def drained():
            behind = {}
            for t in self.topics:
                ends = self.tools.ask(self.kafka.bootstrap, "ends", t)
                best = {p: 0 for p in ends}
                for group in self.groups().values():
                    for p, c in self.tools.ask(self.kafka.bootstrap, "committed", group, t).items():
                        best[p] = max(best[p], c["offset"])
                behind.update({f"{t}/{p}": end - best[p] for p, end in ends.items() if best[p] < end})
            last[0] = behind
            return not behind

        wait_until(drained, seconds, lambda: f"everything to be consumed; behind: {str(last[0])[:600]}", 0.2)

    def receipts(self):
        """The receipts of all operations so far, saved as files."""
        ret = []
        for op in self.api("GET", f"/v1/fleets/{self.name}/switches")["switches"]:
            text = self.api("GET", f"/v1/fleets/{self.name}/switches/{op['number']}/receipt")
            path = self.path(f"receipt-{op['number']}.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump(text, f)
            ret.append(path)
        return ret

    def files(self):
        return [f for m in self.members for f in m.files] + self.more_files

    def audit(self, *flags):
        """Stops the producer, waits until all is consumed, and audits."""
        for m in self.members:
            if m.frozen:
                m.thaw()
        self.stop_producers()
        self.wait_drained()
        receipts = self.receipts()
        ret = self.tools.audit(self.kafka.bootstrap, self.topics, self.files(), receipts,
                               self.producers[-1].result if len(self.producers) == 1 else None, flags)
        with open(self.path("audit.json"), "w", encoding="utf-8") as f:
            json.dump(ret, f, indent=1)
        return ret

    def expect_clean(self, *flags, within=False, across=False, overlaps=False):
        """The audit finds nothing wrong. What may be there: repeats within a color (after a kill), listed ones across."""
        a = self.audit(*flags)
        wrong = [k for k in ("lost", "repeated_unlisted", "strange", "short_topic") if a[k]]
        if a["out_of_order"]:
            wrong.append("out_of_order")
        if a["overlaps_unlisted"] and not overlaps:
            wrong.append("overlaps_unlisted")
        if a["repeated_within"] and not within:
            wrong.append("repeated_within")
        if a["repeated_across"] and not across:
            wrong.append("repeated_across")
        if a["produced"] == 0:
            wrong.append("produced")
        if wrong:
            raise Failure("audit: " + ", ".join(f"{k} {a[k]}" for k in wrong) + "; " + json.dumps(a["examples"][:6]))
        return a

    def end(self):
        """Everything down, whatever happened. Never raises."""
        for m in self.members:
            m.unhold()
        for p in self.producers:
            end_child(p, signal.SIGKILL)
        for r in self.commands:
            end_child(r.child, signal.SIGKILL)
        for m in self.members:
            end_child(m.child, signal.SIGKILL)
        for c in self.controllers:
            if c.alive():
                c.child.send_signal(signal.SIGCONT)
                c.child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 8
        for c in self.controllers:
            while c.alive() and time.monotonic() < deadline:
                time.sleep(0.02)
            end_child(c.child, signal.SIGKILL)
