"""Spring Boot applications with the starter, each behind a `baton agent`: blue on Boot 3.5, green on Boot 4 (tests/system/spring)."""

import os
import signal
import subprocess
import zipfile

from cases_agent import Pair
from cases_switch import audit_note, require, there_and_back
from fleet import Member, Test
from kafka import Failure, ROOT, end_child, free_ports, start_child, wait_until

BOOTS = {"blue": "boot3", "green": "boot4"}
STREAMS = {color: f"stream-{boot}" for color, boot in BOOTS.items()}
JAVA = ["java", "-Xmx160m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
START_SECONDS_MAX = 180  # four seconds when nothing else runs
OF_THE_MACHINE = "answers within a second"  # and not of the starter, when twenty others use the processors
ENDED_BY_SIGTERM = 143  # what Java says then, having closed everything


def jars(build):
    """The folder with an application on each Boot."""
    r = subprocess.run([os.path.join(ROOT, "scripts", "spring.sh"), build], capture_output=True, text=True, check=False)
    if r.returncode != 0:
        raise Failure(f"the Spring applications were not built: {r.stderr[-1500:]}")
    return r.stdout.strip()


class Application(Pair):
    """A JVM with one listener, and the agent beside it. Spring puts the listener's number behind the client's id."""

    tampered = False

    def __init__(self, fleet, color, folder, options, concurrency=1):
        Member.__init__(self, fleet, color, f"{fleet.name}-{color}-0", {})
        self.jar, self.agent_options, self.concurrency = os.path.join(folder, BOOTS[color], "orders.jar"), options, concurrency
        self.port, self.agent_port = free_ports(2)
        self.between = self.between_port = self.agent = None
        self.agent_log = fleet.path(f"{self.name}-agent.log")

    def start_app(self):
        f = self.fleet
        self.files.append(f.path(f"{self.name}-{len(self.files)}.txt"))
        spring = {"bootstrap-servers": f.kafka.bootstrap, "listener.concurrency": self.concurrency, "consumer.group-id": f"{f.name}-{self.color}",
                  "consumer.client-id": f"{f.name}-{self.color}", "consumer.properties.session.timeout.ms": 6000,
                  "consumer.properties.heartbeat.interval.ms": 1000}
        orders = {"ledger": self.files[-1], "hold": self.hold_path, "color": self.color, "topics": ",".join(f.topics)}
        self.child = start_child([*JAVA, "-jar", self.jar, f"--baton.port={self.port}", *(f"--spring.kafka.{k}={v}" for k, v in spring.items()),
                                  *(f"--orders.{k}={v}" for k, v in orders.items())], self.log)
        return self

    def wait_app(self):
        def answers():
            require(self.alive(), f"{self.name} ended, see {self.log}")
            return self.ask("/baton/v1/lifecycle", port=self.port)[0] == 200

        wait_until(answers, START_SECONDS_MAX, f"{self.name} to answer, see {self.log}", 0.1)

    def leave(self, seconds=60):
        """As a pod ends: the hook first, then SIGTERM for both."""
        self.leave_group(seconds)
        code = end_child(self.child, signal.SIGTERM, seconds)
        require(code == ENDED_BY_SIGTERM, f"{self.name} ended with {code}, see {self.log}")
        self.child = None

    def leave_group(self, seconds=60):
        status, text = self.ask("/prestop", seconds)
        require(status == 200, f"/prestop of {self.name}: {status} {text}")
        require(end_child(self.agent, signal.SIGTERM, seconds) == 0, f"the agent of {self.name} did not end well, see {self.agent_log}")


class Another(Application):
    """A further consumer of an application with a concurrent listener: its own document, its own agent."""

    def __init__(self, first, number):
        super().__init__(first.fleet, first.color, os.path.dirname(os.path.dirname(first.jar)), first.agent_options)
        self.name = f"{first.fleet.name}-{first.color}-{number}"
        self.agent_log = first.fleet.path(f"{self.name}-agent.log")
        self.port, self.document, self.child, self.log = first.port, f"/baton/v1/lifecycle/{number}", first.child, first.log


class Stream(Application):
    """A Spring Cloud Stream application (cases_foreign.py has it as it is), and the starter put beside its jar."""

    def start_app(self):
        f, folder = self.fleet, os.path.dirname(os.path.dirname(self.jar))
        beside = f.path("starter")
        with zipfile.ZipFile(self.jar) as jar:  # of the application that was built with it
            for entry in jar.namelist():
                if entry.startswith(("BOOT-INF/lib/baton-", "BOOT-INF/lib/jackson-core-2")):
                    jar.extract(entry, beside)
        self.files.append(f.path(f"{self.name}-{len(self.files)}.txt"))
        stream = stream_options(f, self.color) | {"kafka.binder.consumer-properties.client.id": f"{f.name}-{self.color}"}
        orders = {"ledger": self.files[-1], "hold": self.hold_path, "color": self.color}
        self.child = start_child([*JAVA, f"-Dloader.path={beside}/BOOT-INF/lib", "-cp", os.path.join(folder, STREAMS[self.color], "orders.jar"),
                                  "org.springframework.boot.loader.launch.PropertiesLauncher", "--server.port=0", f"--baton.port={self.port}",
                                  *(f"--spring.cloud.stream.{k}={v}" for k, v in stream.items()), *(f"--orders.{k}={v}" for k, v in orders.items())], self.log)
        return self


def stream_options(f, color, protocol="classic"):
    consumer = {"group.protocol": protocol} if protocol != "classic" else {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}
    return {"kafka.binder.brokers": f.kafka.bootstrap, "bindings.orders-in-0.destination": ",".join(f.topics),
            "bindings.orders-in-0.group": f"{f.name}-{color}", **{f"kafka.binder.consumer-properties.{k}": v for k, v in consumer.items()}}


def start(w, f, options=(), concurrency=1, kind=Application):
    """Both applications at once: most of a start is a processor's work."""
    folder = jars(w.tools.build)
    f.members = [kind(f, color, folder, list(options), concurrency) for color in BOOTS]
    for m in f.members:
        m.start_app()
    for m in f.members:
        m.wait_app()
    return f.members


def up(w, f, rate=500, **more):
    blue, green = start(w, f, **more)
    return f.up(1, 1, rate=rate, add=lambda color: (blue if color == "blue" else green).start_agent())


def spring_switch(w):
    """There and back under load, from Boot 3.5 to Boot 4; then both leave by the hook: nothing lost, nothing repeated."""
    f = w.fleet({"in": 6})
    up(w, f)
    a = there_and_back(f, 6)
    for m in f.members:
        m.leave()
    return audit_note(a)


def spring_stream(w):
    """The same with the starter in Spring Cloud Stream applications, 4.3 and 5.0."""
    f = w.fleet({"in": 4})
    up(w, f, kind=Stream)
    a = there_and_back(f, 4, "--runs")
    for m in f.members:
        m.leave()
    return audit_note(a)


def spring_concurrent(w):
    """A listener of two consumers: a document and an agent for each, and one of them has one partition less."""
    f = w.fleet({"in": 5})
    first = list(start(w, f, concurrency=2))
    others = [Another(m, 1) for m in first]
    f.members += others
    waiting = {c: [m for m in f.members if m.color == c] for c in BOOTS}
    f.up(2, 2, rate=500, add=lambda color: waiting[color].pop(0).start_agent())
    counts = sorted(len(m.state()["partitions"]) for m in f.members)
    require(counts == [2, 2, 3, 3], f"the consumers have {counts} partitions")
    a = there_and_back(f, 5)
    for m in others:
        m.leave_group()
    for m in first:
        m.leave()
    return audit_note(a)


def spring_conformance(w):
    """The starter keeps the whole contract, on Boot 3.5 and on Boot 4."""
    f = w.fleet({"in": 2})
    f.produce(200)
    checks = []
    for m in start(w, f):
        url = f"http://127.0.0.1:{m.port}"
        said = f.cli("conformance", url, "-o", "json", address=["--bootstrap", f.kafka.bootstrap], seconds=120).json()["checks"]
        wrong = [c for c in said if c["result"] != "ok" and c["check"] != OF_THE_MACHINE]
        require(len(said) > 20 and not wrong, f"{m.name}: {wrong}")
        checks.append(len(said))
        end_child(m.child, signal.SIGKILL)
    f.stop_producers()
    return f"{' and '.join(map(str, checks))} checks"


TESTS = [
    Test("spring-switch", spring_switch),
    Test("spring-stream", spring_stream),
    Test("spring-concurrent", spring_concurrent),
    Test("spring-conformance", spring_conformance),
]
