"""`baton agent`: applications whose consumer is their own (integrations/), in each language, audited as any other."""

import http.client
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from cases_channel import Redis
from cases_switch import audit_note, require, there_and_back
from fleet import Member, Test
from kafka import Failure, ROOT, end_child, free_ports, start_child, wait_until

HERE = os.path.join(ROOT, "tests", "system")

# language: the command of its application, below the folder that scripts/peers.sh has made
APPS = {
    "python": lambda peers: [os.path.join(peers, "python", "bin", "python"), os.path.join(HERE, "agent_app.py")],
    "go": lambda peers: [os.path.join(peers, "agent-go")],
    "node": lambda peers: ["env", f"NODE_PATH={os.path.join(peers, 'node', 'node_modules')}", "node", os.path.join(HERE, "agent_app.js")],
}


CHECKS = 25  # of `baton conformance`
TOOLS_MISSING = 3  # says scripts/peers.sh


def app(language):
    """The command of the application in that language; None: the machine has no such language."""
    r = subprocess.run([os.path.join(ROOT, "scripts", "peers.sh"), language], capture_output=True, text=True, check=False)
    if r.returncode == TOOLS_MISSING:
        return None
    if r.returncode != 0:
        raise Failure(f"the client for {language} could not be brought: {r.stderr[-500:]}")
    return APPS[language](r.stdout.strip())


class Between:
    """Stands between an agent and its application, and changes what the application answers."""

    def __init__(self, port, to):
        between = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self):
                between.pass_on(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.to, self.change = to, None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def pass_on(self, handler, body):
        headers = {"Content-Type": "text/plain"}
        try:
            c = http.client.HTTPConnection("127.0.0.1", self.to, timeout=5)
            c.request(handler.command, handler.path, body or None, {"Content-Type": "application/json"})
            answer = c.getresponse()
            status, text = answer.status, answer.read()
            c.close()
        except OSError:
            status, text = 502, b"nobody"
        change = self.change
        if change and status == 200:
            status, text = change(status, text, headers)
        try:
            handler.send_response(status)
            for k, v in {**headers, "Content-Length": str(len(text))}.items():
                handler.send_header(k, v)
            handler.end_headers()
            handler.wfile.write(text)
        except OSError:
            pass  # the agent did not wait for it


def document(change):
    """A change of each entry of a partition."""
    def changed(status, text, headers):
        d = json.loads(text)
        for p in d["observed"]["partitions"]:
            change(p)
        return status, json.dumps(d).encode()
    return changed


def slowly(status, text, headers):
    time.sleep(4)  # twice what it is given
    return status, text


def redirect(status, text, headers):
    headers["Location"] = "http://127.0.0.1:1/"
    return 302, b""


def elsewhere(p):
    if p["position"] is not None and p["state"] in ("held", "draining"):
        p.update(state="held", position=p["position"] + 5, committed=p["position"] + 5, in_flight=0)


# What goes wrong, and what the agent must say of it.
TROUBLES = (
    (lambda *_: (500, b"Internal Server Error"), "it answered 500"),
    (lambda *_: (200, b"<html><body>Welcome</body></html>"), "no lifecycle document"),
    (lambda status, text, _: (status, text[:len(text) // 2]), "no lifecycle document"),
    (redirect, "a redirect"),
    (slowly, "did not answer within 2 s"),
    # of neither: by one it would tell of the first as if it were the second, which is believed where both stand at the same offset
    (document(lambda p: p.update(partition=p["partition"] + 2)), "says nothing any more"),
)


class Pair(Member):
    """An application and its agent, one member of the fleet."""

    document = ""  # where its lifecycle document is, when that is not the usual place

    def __init__(self, fleet, color, name, options, language="python"):
        super().__init__(fleet, color, name, {})
        self.app, self.agent_options = app(language), options
        self.session_ms = 6000
        self.port, self.agent_port, self.between_port = free_ports(3)
        self.between = None
        self.agent = None
        self.agent_log = fleet.path(f"{name}-agent.log")

    def start(self):
        if self.between_port and self.between is None and self.tampered:
            self.between = Between(self.between_port, self.port)
        self.start_app()
        return self.start_agent()

    def start_app(self):
        f = self.fleet
        self.files.append(f.path(f"{self.name}-{len(self.files)}.txt"))
        with open(self.files[-1], "ab"):
            pass
        argv = [*self.app, "--out", self.files[-1], "--hold", self.hold_path, "--color", self.color, "--port", str(self.port)]
        for t in f.topics:
            argv += ["--topic", t]
        for k, v in {"bootstrap.servers": f.kafka.bootstrap, "client.id": self.name, "group.id": f"{f.name}-{self.color}",
                     "session.timeout.ms": self.session_ms, "heartbeat.interval.ms": 1000}.items():
            argv += ["-X", f"{k}={v}"]
        self.child = start_child(argv, self.log)
        return self

    def start_agent(self):
        f = self.fleet
        self.agent = start_child([f.tools.baton, "agent", f.name, "--color", self.color, "--app-version", f.versions[self.color],
                                  "--bootstrap", f.kafka.bootstrap, *f.prefix_option, "--log-level", "debug", "--application",
                                  f"http://127.0.0.1:{self.between_port if self.between else self.port}{self.document}", "--listen", f"127.0.0.1:{self.agent_port}",
                                  *self.agent_options],
                                 self.agent_log)
        return self

    def ask(self, path, seconds=10, port=None):
        """(status, text) of the agent."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.agent_port}{path}", timeout=seconds) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def state(self):
        status, text = self.ask("/v1/agent")
        return json.loads(text) if status == 200 else {"state": f"{status} {text}", "partitions": [], "ready": False}

    def wait_ready(self, seconds=60):
        wait_until(lambda: self.state()["ready"], seconds, lambda: f"the agent of {self.name} to be ready: {self.state()}")

    def leave(self, seconds=30):
        """As a pod ends: the hook first, then SIGTERM for both."""
        status, text = self.ask("/prestop", seconds)
        require(status == 200, f"/prestop of {self.name}: {status} {text}")
        require(end_child(self.agent, signal.SIGTERM, seconds) == 0, f"the agent of {self.name} did not end well, see {self.agent_log}")
        super().leave(seconds)

    def kill(self):
        end_child(self.agent, signal.SIGKILL)
        super().kill()

    def rss_kb(self):
        with open(f"/proc/{self.agent.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def add(f, color, options=(), tampered=False, language="python"):
    count = sum(m.color == color for m in f.members)
    m = Pair(f, color, f"{f.name}-{color}-{count}", list(options), language)
    m.tampered = tampered
    f.members.append(m)
    return m.start()


def up(f, blue=1, green=1, rate=500, **more):
    return f.up(blue, green, rate=rate, add=lambda color: add(f, color, **more))


def agent_switch(w, language):
    """There and back under load with two applications a color; then all leave by the hook: nothing lost, nothing repeated."""
    f = w.fleet({"in": 6})
    up(f, 2, 2, language=language)
    a = there_and_back(f, 6)
    rss = max(m.rss_kb() for m in f.members)
    for m in f.members:
        m.leave()
    return f"{audit_note(a)}, agent's RSS {rss} kB"


def agent_scale(w, language):
    """A second application comes, works and leaves under load: partitions change hands within a color, and back (rule 6)."""
    f = w.fleet({"in": 4})
    up(f, language=language)
    first, second = f.members[0], add(f, "blue", language=language)
    f.wait_member(second)
    wait_until(lambda: second.lines() > 0, 60, "the second application to work", 0.05)
    f.wait_flowing()
    second.leave()
    f.wait_flowing()
    f.switch_when_allowed().expect(0)
    f.wait_flowing()
    first.leave()
    a = f.expect_clean(within=True)
    return f"{audit_note(a)}, {a['repeated_within']} again within a color"


def agent_crash(w):
    """An application, then an agent, then both are killed under load and come up anew: found within a second, and a switch goes through."""
    f = w.fleet({"in": 4})
    up(f)
    blue = f.members[0]
    tries = []
    while not tries or (tries[-1] >= 1 and len(tries) < 5):  # a machine that stands still in one of them proves nothing
        old = blue.state()["application"]["instance"]
        end_child(blue.child, signal.SIGKILL)
        blue.start_app()
        wait_until(lambda: blue.ask("/baton/v1/lifecycle", port=blue.port)[0] == 200, 60, "the new application to answer", 0.01)
        answered = time.monotonic()
        wait_until(lambda o=old: blue.state()["application"]["instance"] not in ("", o), 60, "the agent to find it", 0.01)
        tries.append(time.monotonic() - answered)
        f.wait_flowing()
    found = tries[-1]
    require(found < 1, f"the new application was found after {tries} s")

    end_child(blue.agent, signal.SIGKILL)
    f.wait_flowing()  # by itself, as it was told last
    blue.start_agent()
    blue.wait_ready()
    f.wait_flowing()
    f.switch_when_allowed(seconds=120).expect(0)
    f.wait_flowing()
    a = f.expect_clean(within=True)
    return f"found in {found * 1000:.0f} ms, {a['repeated_within']} again within a color"


def agent_hook(w):
    """The hook, and then the application alone comes again, as after a liveness probe: to its agent the new process is a new member."""
    f = w.fleet({"in": 2})
    up(f)
    blue = f.members[0]
    status, text = blue.ask("/prestop", 30)
    require(status == 200, f"/prestop: {status} {text}")
    end_child(blue.child)
    blue.start_app()
    blue.wait_ready()
    f.wait_flowing()
    f.switch_when_allowed().expect(0)
    f.wait_flowing()
    return audit_note(f.expect_clean())


def agent_lies(w):
    """An application that answers nonsense, late, or untruly: the switch waits, the agent says for whom and why, all goes back at the deadline."""
    f = w.fleet({"in": 2})
    up(f, rate=200, tampered=True)
    blue = f.members[0]

    def refused(*lies):
        number = f.number() + 1
        f.hold("blue")
        command = f.switch("--deadline", "12s")
        wait_until(lambda: f.number() >= number and "releasing" in f.states(), 60, "the order", 0.01)
        blue.between.change = lies[0][0]
        f.unhold()
        for change, words in lies:
            blue.between.change = change
            wait_until(lambda: words in blue.state()["why"], 20, lambda: f"the agent to say '{words}': {blue.state()}")
        answer = command.wait(90)
        require(answer.code == 6 and f.active() == "blue", f"not rolled back: {answer.code} {answer.err}")
        blue.between.change = None
        blue.wait_ready()
        f.wait_flowing()
        f.wait_plan()

    refused(*TROUBLES)
    refused((document(elsewhere), "the brokers have"))
    f.switch_when_allowed().expect(0)
    f.wait_flowing()
    return audit_note(f.expect_clean(within=True))


def agent_conformance(w, language):
    """The consumer keeps the whole contract; one that answers untruly is found out, and the rule is named."""
    f = w.fleet({"in": 2})
    f.produce(200)
    m = Pair(f, "blue", f"{f.name}-blue-0", [], language)
    m.session_ms = 45000  # a machine that stops for seconds takes no partition away
    m.between = Between(m.between_port, m.port)
    m.start_app()
    wait_until(lambda: m.ask("/baton/v1/lifecycle", port=m.port)[0] == 200, 60, "the application to answer")
    url, broker = f"http://127.0.0.1:{m.between_port}", ["--bootstrap", f.kafka.bootstrap]
    good = f.cli("conformance", url, "-o", "json", address=broker, seconds=90).json()
    bad = [c for c in good["checks"] if c["result"] != "ok"]
    require(not bad and len(good["checks"]) == CHECKS, f"of {len(good['checks'])} checks: {bad}")
    m.between.change = document(lambda p: p.update(in_flight=1))
    f.cli("conformance", url, address=broker, seconds=90).expect(1, "rule 3", "has 1 in flight")
    m.between.change = lambda *_: (200, b"<html></html>")
    f.cli("conformance", url, address=broker).expect(1, "no lifecycle document")
    f.stop_producers()
    end_child(m.child, signal.SIGKILL)
    return f"{len(good['checks'])} checks"


def over(w, way):
    """There and back with agents that hear from their controller by another way, without rights on Baton's topics."""
    f = w.fleet({"in": 4})
    if way == "redis":
        url = Redis(f).url
        f.serve_options += ["--redis", url]
        f.add_controller()
    else:
        url = f.add_controller().url
    f.up(1, 1, controllers=0, rate=500, add=lambda color: add(f, color, [{"http": "--server", "redis": "--redis"}[way], url]))
    a = there_and_back(f, 4)
    return f"{audit_note(a)}, agent's RSS {max(m.rss_kb() for m in f.members)} kB"


def agent_http(w):
    """There and back with agents that hear from a controller by HTTP."""
    return over(w, "http")


def agent_redis(w):
    """There and back with agents that hear from a controller through a real Redis."""
    return over(w, "redis")


# Asks what has changed when it is signalled, and writes it down.
SIGNALLED = """
import json, os, signal, sys, urllib.request
url, path, pid = sys.argv[1:]
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
with open(pid, "w") as f:
    f.write(str(os.getpid()))
while True:
    signal.sigwait({signal.SIGUSR1})
    with urllib.request.urlopen(url) as answer, open(path, "a") as f:
        f.write(json.load(answer)["state"] + "\\n")
"""


def agent_tells(w):
    """A command and a signal follow a switch, state by state; the agents hold nothing, and are no members."""
    f = w.fleet({"in": 4}).up(1, 1, rate=500)
    states, pid, port, other_port = f.path("states"), f.path("pid"), *free_ports(2)

    def agent(color, at, *options):
        return start_child([f.tools.baton, "agent", f.name, "--color", color, "--bootstrap", f.kafka.bootstrap, *f.prefix_option,
                            "--listen", f"127.0.0.1:{at}", *options], f.path(f"{color}-agent.log"))

    def text(path):
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as o:
            return o.read()

    def told(color, state):
        """The command has been told, the signal sent, and /v1/change says the same."""
        wait_until(lambda: text(states).splitlines()[-1:] == [state], 60, lambda: f"the command to be told {state}: {text(states)}")
        wait_until(lambda: text(signals).splitlines()[-1:] == [other_state[state]], 60,
                   lambda: f"the signalled to see {other_state[state]}: {text(signals)}")

    signals = f.path("signals")
    other_state = {"working": "standing-by", "standing-by": "working"}
    start_child([sys.executable, "-c", SIGNALLED, f"http://127.0.0.1:{other_port}/v1/change", signals, pid], f.path("signalled.log"))
    agents = [agent("blue", port, "--on-change", f"cat >>{states}.json; echo $BATON_STATE >>{states}"),
              agent("green", other_port, "--signal", "USR1", "--pid-file", pid)]
    told("blue", "working")
    f.switch(to="green").wait().expect(0)
    told("blue", "standing-by")
    require(sum(len(c["members"]) for c in f.status()["colors"].values()) == 2, "an agent that only tells is taken for a member")
    f.cli("rollback", f.name).expect(0)
    told("blue", "working")
    for a in agents:
        require(end_child(a, signal.SIGTERM) == 0, "an agent that only tells did not end well")
    f.wait_flowing()
    return f"{len(text(states).splitlines())} runs, {audit_note(f.expect_clean())}"


def each(name, function):
    """The same test in every language."""
    def test(language):
        def run(w):
            return function(w, language) if app(language) else f"NOT RUN: this machine has no {language}"
        run.__doc__ = function.__doc__
        return Test(f"{name}-{language}", run)
    return [test(language) for language in APPS]


TESTS = [
    *each("agent-conformance", agent_conformance),
    Test("agent-lies", agent_lies),
    Test("agent-crash", agent_crash),
    Test("agent-hook", agent_hook),
    *each("agent-scale", agent_scale),
    *each("agent-switch", agent_switch),
    Test("agent-http", agent_http),
    Test("agent-redis", agent_redis),
    Test("agent-tells", agent_tells),
]
