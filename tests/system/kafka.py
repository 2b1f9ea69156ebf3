"""A real Apache Kafka on loopback, in a folder of its own, for the system tests and the benchmarks.

One combined node or three (KRaft, no ZooKeeper), started from the jars that scripts/kafka.sh fetches. Nodes are started,
stopped, killed, frozen and thawed one by one. Everything is waited for with a deadline, and every child dies with its
parent: by its process id at the end of a run, by the kernel (PDEATHSIG) when the run itself is killed.
"""

import atexit
import ctypes
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLUSTER_ID = "JvWMyfu1QiePckZqOzekYg"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_children = []


class Failure(Exception):
    """A test's expectation that was not met; the text is for people."""


def wait_until(condition, seconds, what, every=0.02):
    """The first true value of condition(); a Failure that names `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds:g} s for {what() if callable(what) else what}")
        time.sleep(every)


def start_child(argv, log, **more):
    """A child that cannot outlive us. `log`: the path that takes its stdout and stderr, unless `more` says otherwise."""

    def before_exec():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    with open(log, "ab") as out:
        more.setdefault("stdout", out)
        more.setdefault("stderr", out)
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=before_exec, start_new_session=True, **more)
    _children.append(child)
    return child


def end_child(child, number=signal.SIGTERM, seconds=15):
    """Asks with a signal, waits, insists. Returns the exit code; one that had to be killed answers None."""
    if child is None:
        return None
    asked = True
    if child.poll() is None:
        child.send_signal(number)
        if number != signal.SIGKILL:
            child.send_signal(signal.SIGCONT)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            asked = False
            child.kill()
            child.wait()
    if child in _children:
        _children.remove(child)
    return child.returncode if asked else None


def end_all_children():
    for child in list(_children):
        if child.poll() is None:
            child.kill()
    for child in list(_children):
        child.wait()
    _children.clear()


atexit.register(end_all_children)


def port_range():
    """Below those which the kernel takes for outgoing connections. BATON_TEST_PORTS=FIRST-LAST narrows it."""
    first, last = (int(p) for p in os.environ.get("BATON_TEST_PORTS", "20000-32000").split("-"))
    return first, last


def take_ports(part, parts):
    """From now on this process and its children take one of so many equal parts, so that two never take the same port."""
    first, last = port_range()
    size = (last - first + 1) // parts
    os.environ["BATON_TEST_PORTS"] = f"{first + part * size}-{first + (part + 1) * size - 1}"


_port = 0


def free_ports(count):
    """None is given twice before all the others have been: who was given one may not have begun to listen there."""
    global _port
    first, last = port_range()
    ports, held = [], []
    try:
        while len(ports) < count:
            port = _port = first + (_port + 1 - first) % (last + 1 - first) if first <= _port <= last else random.randint(first, last)
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                s.close()
                continue
            held.append(s)
            ports.append(port)
    finally:
        for s in held:
            s.close()
    return ports


def jars(version=None):
    """The class path of Kafka's jars; version: not the newest."""
    folder = None if version else os.environ.get("BATON_KAFKA_HOME")
    if not folder:
        r = subprocess.run([os.path.join(ROOT, "scripts", "kafka.sh")] + ([version] if version else []), stdout=subprocess.PIPE, text=True, check=False)
        if r.returncode != 0:
            raise Failure("scripts/kafka.sh could not provide Apache Kafka")
        folder = r.stdout.strip().splitlines()[-1]
    return os.path.join(folder, "lib", "*")


def answers(port):
    """Does a broker answer ApiVersions there: version 0, which every broker speaks."""
    request = struct.pack(">hhih", 18, 0, 7, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5) as s:
            s.settimeout(2)
            s.sendall(struct.pack(">i", len(request)) + request)
            head = s.recv(10)
            return len(head) == 10 and struct.unpack(">iih", head)[1:] == (7, 0)
    except OSError:
        return False


class Node:
    def __init__(self, cluster, number, port, controller_port):
        self.cluster, self.number, self.port, self.controller_port = cluster, number, port, controller_port
        self.folder = os.path.join(cluster.folder, f"node-{number}")
        self.log = os.path.join(cluster.folder, f"node-{number}.log")
        self.child = None

    def properties(self):
        c = self.cluster
        copies = min(3, len(c.nodes))
        own = {
            "process.roles": "broker,controller",
            "node.id": self.number,
            "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in c.nodes),
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": os.path.join(self.folder, "data"),
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": max(1, copies - 1),
            "transaction.state.log.num.partitions": 4,
            "default.replication.factor": copies,
            "min.insync.replicas": max(1, copies - 1),
            "group.initial.rebalance.delay.ms": 0,
            # KIP-848 sessions as short as the tests have patience; a default broker says 45 s.
            "group.consumer.min.session.timeout.ms": 6000,
            "group.consumer.session.timeout.ms": 8000,
            "group.consumer.min.heartbeat.interval.ms": 500,
            "group.consumer.heartbeat.interval.ms": 2000,
        }
        if c.secure:
            own.update(c.secure.properties(self))
        own.update(c.extra)
        return "".join(f"{k}={v}\n" for k, v in own.items() if v is not None)

    def _java(self, *args, heap):
        return ["java", f"-Xmx{heap}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self.cluster.class_path, *args]

    def start(self):
        config = os.path.join(self.folder, "server.properties")
        os.makedirs(self.folder, exist_ok=True)
        with open(config, "w", encoding="utf-8") as f:
            f.write(self.properties())
        if not os.path.exists(os.path.join(self.folder, "data", "meta.properties")):
            r = subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", config, heap=128),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if r.returncode != 0:
                raise Failure(f"Kafka's storage could not be formatted:\n{r.stdout}")
        self.child = start_child(self._java("kafka.Kafka", config, heap=self.cluster.heap_mb), self.log)

    def wait_ready(self, seconds=90):
        def ready():
            if self.child.poll() is not None:
                raise Failure(f"Kafka node {self.number} ended at its start, see {self.log}")
            return answers(self.port)

        wait_until(ready, seconds, f"Kafka node {self.number} on port {self.port} to answer", 0.1)

    def stop(self):
        end_child(self.child, signal.SIGTERM, 60)
        self.child = None

    def kill(self):
        end_child(self.child, signal.SIGKILL)
        self.child = None

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)


class Secure:
    """Beside the plain listener one with TLS and one with SASL/PLAIN, and ACLs: `admin` may everything, `bob` nothing."""

    def __init__(self, folder):
        self.tls_port, self.sasl_port = free_ports(2)
        self.ca, self.pem = os.path.join(folder, "ca.pem"), os.path.join(folder, "broker.pem")
        key = os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=baton-test", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.ca], check=True, stderr=subprocess.DEVNULL)
        with open(self.pem, "w", encoding="ascii") as out:
            for part in (key, self.ca):
                with open(part, encoding="ascii") as f:
                    out.write(f.read())

    def properties(self, node):
        return {
            "listeners": f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port},"
                         f"SSL://127.0.0.1:{self.tls_port},SASL_PLAINTEXT://127.0.0.1:{self.sasl_port}",
            "listener.security.protocol.map":
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.pem,
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config":
                'org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin-secret" user_bob="bob-secret";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:admin",
        }


class Kafka:
    """`with Kafka(folder) as k:` k.bootstrap is what clients are given."""

    def __init__(self, folder, nodes=1, heap_mb=384, secure=False, version=None, **extra):
        self.folder = folder
        self.heap_mb = heap_mb
        self.extra = {k.replace("_", "."): v for k, v in extra.items()}
        self.class_path = jars(version)
        os.makedirs(folder, exist_ok=True)
        self.secure = Secure(folder) if secure else None
        ports = free_ports(2 * nodes)
        self.nodes = []
        for i in range(nodes):
            self.nodes.append(Node(self, i + 1, ports[2 * i], ports[2 * i + 1]))

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{n.port}" for n in self.nodes)

    def start(self):
        for n in self.nodes:
            n.start()
        for n in self.nodes:
            n.wait_ready()
        return self

    def stop(self):
        """All at once: the last of three waits for a quorum that is gone."""
        alive = [n for n in self.nodes if n.child is not None]
        if len(alive) > 1:
            for n in alive:
                n.kill()
        else:
            for n in alive:
                n.stop()

    def restart(self, hard=False, **extra):
        """One node, with other settings where they are given. Data and ports stay."""
        (node,) = self.nodes
        if hard:
            node.kill()
        else:
            node.stop()
        self.extra.update({k.replace("_", "."): v for k, v in extra.items()})
        node.start()
        node.wait_ready()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


if __name__ == "__main__":  # a Kafka by hand: python3 kafka.py FOLDER [NODES]
    with Kafka(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1) as kafka:
        print(kafka.bootstrap, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass
