"""The parts of the chaos test: what tests/system has, with a proxy in every connection.

A part is a process that a fault can strike: three brokers, three controllers, six members, the producer. It has a name by which
the proxy knows it, can be killed, frozen and started again, and says whether it serves. Clients reach the brokers, the brokers one another (the
controller quorum too) and the operator the controllers by ports of the proxy alone.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system"))

import fleet as system
from kafka import Failure, Kafka, Node, answers, end_child, free_ports, start_child, wait_until

BROKERS, CONTROLLERS, MEMBERS = 3, 3, 3  # members a color
SESSION = 6  # seconds; what a broker allows at the least
PROCESSING = 2
HTTP_SECONDS = 10

# Short enough that a broker or a link is missed, and taken back, within seconds.
KAFKA_SETTINGS = {
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 5000,
    "replica.lag.time.max.ms": 4000,
    "replica.socket.timeout.ms": 6000,
    "controller.socket.timeout.ms": 6000,
    "controller.quorum.request.timeout.ms": 2000,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "log.cleaner.threads": 1,
    "controlled.shutdown.enable": "true",
}

_given = set()


def new_port():
    """One that nobody was given before: who has it may be down just now."""
    while True:
        (port,) = free_ports(1)
        if port not in _given:
            _given.add(port)
            return port


class Proxy:
    """tests/chaos/proxy.c at work."""

    def __init__(self, build, folder):
        program = os.path.join(build, "tests", "chaos", "proxy")
        if not os.access(program, os.X_OK):
            raise Failure(f"{program} is missing: build first (make)")
        self.log = os.path.join(folder, "proxy.log")
        self.named = {}
        # Commands cannot come by stdin of start_child(), which is nothing; so a pipe of our own.
        ours, self.pipe = os.pipe()
        self.child = start_child(["sh", "-c", f"exec '{program}' <&{ours}"], self.log, pass_fds=(ours,), stdout=subprocess.PIPE)
        os.close(ours)

    def say(self, *words):
        if self.child.poll() is not None:
            raise Failure(f"the proxy ended with {self.child.returncode}, see {self.log}")
        os.write(self.pipe, (" ".join(map(str, words)) + "\n").encode())

    def ports_of(self, name):
        """A port of its own and ours that leads there: the same in every chapter."""
        if name not in self.named:
            own = new_port()
            self.named[name] = own, self.listen(own, name)
        return self.named[name]

    def listen(self, to_port, name):
        port = new_port()
        self.say("listen", port, to_port, name)
        return port

    def actor(self, name, child):
        self.say("actor", name, child.pid)

    def down(self, ports):
        """`ports`: of the proxy -> whom they lead to. Refused from now on."""
        for port in ports:
            self.say("down", port)

    def up(self, ports):
        """Those whose listener is there again are served again; True when all are."""
        there = 0
        for port, to in ports.items():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", to), 1).close()
                self.say("up", port)
                there += 1
        return there == len(ports)

    def stats(self):
        self.say("stats")
        return json.loads(self.child.stdout.readline())


class Broker(Node):
    def __init__(self, cluster, node):
        super().__init__(cluster, node.number, node.port, node.controller_port)
        self.peer_port = new_port()
        self.name, self.kind = f"kafka-{node.number}", "broker"
        self.proxied = {cluster.proxy.listen(port, self.name): port for port in (self.port, self.peer_port, self.controller_port)}
        self.client_proxy, self.peer_proxy, self.quorum_proxy = self.proxied

    def properties(self):
        own = {
            "controller.quorum.voters": ",".join(
                f"{n.number}@127.0.0.1:{n.quorum_proxy}" for n in self.cluster.nodes),
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},PEERS://127.0.0.1:{self.peer_port},"
                         f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.client_proxy},PEERS://127.0.0.1:{self.peer_proxy},"
                                    f"CONTROLLER://127.0.0.1:{self.quorum_proxy}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PEERS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PEERS",
        }
        return super().properties() + "".join(f"{k}={v}\n" for k, v in own.items())  # the later one counts

    def start(self):
        super().start()
        self.cluster.proxy.actor(self.name, self.child)

    def kill(self):
        self.cluster.proxy.down(self.proxied)
        super().kill()

    def serves(self):
        return self.cluster.proxy.up(self.proxied) and answers(self.port)


class Brokers(Kafka):
    """Three of them, each reached by the proxy alone."""

    def __init__(self, proxy, folder):
        super().__init__(folder, nodes=BROKERS, heap_mb=400, **KAFKA_SETTINGS)
        self.proxy = proxy
        _given.update(port for n in self.nodes for port in (n.port, n.controller_port))
        self.nodes = [Broker(self, n) for n in self.nodes]

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{n.client_proxy}" for n in self.nodes)


class Controller(system.Controller):
    """Under one name and on one port through all its lives. `port` is the proxy's: the one that is told to everybody."""

    def __init__(self, fleet, number):  # not the parent's: that starts it
        self.fleet, self.number, self.name, self.kind = fleet, number, f"controller-{number}", "controller"
        self.own_port, self.port = fleet.proxy.ports_of(self.name)
        self.proxied = {self.port: self.own_port}
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = fleet.path(f"{self.name}.log")
        self.start()

    def start(self):
        f = self.fleet
        self.child = start_child([f.tools.baton, "serve", "--bootstrap", f.kafka.bootstrap, *f.prefix_option,
                                  "--listen", f"127.0.0.1:{self.own_port}", "--advertise", self.url, "--log-level", "debug"], self.log)
        f.proxy.actor(self.name, self.child)

    def kill(self):
        self.fleet.proxy.down(self.proxied)
        end_child(self.child, signal.SIGKILL)

    def serves(self):
        return self.fleet.proxy.up(self.proxied)

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)


class Member(system.Member):
    kind = "member"

    def serves(self):
        return True

    def start(self):
        self.asleep_since = None
        self.version = self.fleet.versions[self.color]
        super().start()
        self.fleet.proxy.actor(self.name, self.child)
        return self

    def freeze(self):
        self.asleep_since = time.time()
        super().freeze()

    def thaw(self):
        """For the auditor: what this process had in its hands when it fell asleep, it writes down when it wakes."""
        super().thaw()
        if self.asleep_since:
            self.fleet.asleep.append((self.files[-1], int(self.asleep_since * 1e6), int((time.time() + PROCESSING) * 1e6)))
        self.asleep_since = None


class Producer:
    """Only frozen and cut off: what it was told is written down when it ends."""

    def __init__(self, fleet, child):
        self.name, self.kind, self.child, self.log = "producer", "producer", child, fleet.path("producer.log")
        fleet.proxy.actor(self.name, child)

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)


class Fleet(system.Fleet):
    """One topic, three controllers, three members a color, all started at once."""

    def __init__(self, brokers, tools, folder, name, partitions, rate, spec, member_options):
        self.proxy = brokers.proxy
        self.asleep = []
        super().__init__(brokers, tools, folder, name, {f"{name}.in": partitions}, replication=BROKERS, member_options=member_options)
        self.spec = spec  # and nothing else: the file may be the least there is
        for i in range(CONTROLLERS):
            self.controllers.append(Controller(self, i))
        for color in system.COLORS:
            for i in range(MEMBERS):
                self.members.append(Member(self, color, f"{color}-{i}", {}).start())
        self.produce(rate)
        self.producer = Producer(self, self.producers[-1])

    def parts(self):
        return [*self.kafka.nodes, *self.controllers, *self.members, self.producer]

    def links(self):
        """(who connects, what is connected to) of all connections that there can be."""
        brokers = [n.name for n in self.kafka.nodes]
        clients = [p.name for p in self.parts() if p.kind != "broker"] + ["other"]  # commands are "other"
        return ([(c, b) for c in clients for b in brokers] + [(a, b) for a in brokers for b in brokers if a != b]
                + [("other", c.name) for c in self.controllers])

    def all_ready(self):
        colors = self.status()["colors"]
        ready = {(m["client_id"], m["version"]) for c in colors.values() for m in c["members"] if m["ready"]}
        return ready >= {(m.name, m.version) for m in self.members}

    def next_version(self, color):
        """What members of the color that start from now on are."""
        major, minor = self.versions[color].split(".")
        self.versions[color] = f"{major}.{int(minor) + 1}"

    def outdated(self, color):
        return [m for m in self.of(color, alive=False) if m.version != self.versions[color]]

    def files(self):
        """Without those of workers that were killed before they opened one."""
        return [f for f in super().files() if os.path.exists(f)]

    def operations(self):
        return self.api("GET", f"/v1/fleets/{self.name}/switches")["switches"]

    def audit_asleep(self):
        """Options that tell the auditor which processes slept when."""
        return [w for path, begin, end in self.asleep for w in ("--asleep", f"{path}:{begin}:{end}")]
