"""Spring Cloud Stream applications without Baton (tests/system/spring/stream): one `baton agent` a color starts and stops all pods of it."""

import http.client
import http.server
import json
import os
import subprocess
import threading

from cases_spring import JAVA, START_SECONDS_MAX, STREAMS, jars, stream_options
from cases_switch import audit_note, require
from fleet import Member, Test
from kafka import free_ports, start_child, wait_until

BINDING = "orders-in-0"
SPEC = {"strategy": "foreign"}


class Pod(Member):
    """A JVM. Its binding is started by nobody but the agent."""

    def __init__(self, fleet, color, folder, protocol):
        count = sum(m.color == color for m in fleet.members)
        super().__init__(fleet, color, f"{fleet.name}-{color}-{count}", {})
        boot = STREAMS[color] if protocol == "classic" else STREAMS["green"]  # KIP-848 in Boot 3.5's client is early access: a member may hang
        self.jar = os.path.join(folder, boot, "orders.jar")
        self.protocol, (self.port,) = protocol, free_ports(1)
        fleet.members.append(self)

    def start(self):
        f = self.fleet
        self.files.append(f.path(f"{self.name}-{len(self.files)}.txt"))
        stream = stream_options(f, self.color, self.protocol) | {f"bindings.{BINDING}.consumer.auto-startup": "false"}
        orders = {"ledger": self.files[-1], "hold": self.hold_path, "color": self.color}
        self.child = start_child([*JAVA, "-jar", self.jar, f"--server.port={self.port}", *(f"--spring.cloud.stream.{k}={v}" for k, v in stream.items()),
                                  *(f"--orders.{k}={v}" for k, v in orders.items())], self.log)
        return self

    def wait_up(self):
        def up():
            require(self.alive(), f"{self.name} ended, see {self.log}")
            try:
                return self.request("GET", "/actuator/health/binders")[0] == 200
            except OSError:
                return False

        wait_until(up, START_SECONDS_MAX, f"{self.name} to answer, see {self.log}", 0.1)

    def slow(self):
        with open(self.hold_path + ".slow", "w", encoding="utf-8"):
            pass

    def request(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            c.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            answer = c.getresponse()
            return answer.status, answer.read()
        finally:
            c.close()

    def post(self, state):
        require(self.request("POST", f"/actuator/bindings/{BINDING}", {"state": state})[0] == 204, f"{self.name} does not take {state}")


class Agent:
    """Of a whole color."""

    def __init__(self, fleet, color, *options, binding=BINDING):
        self.fleet, self.color = fleet, color
        self.port, = free_ports(1)
        pods = [x for m in fleet.of(color, alive=False) for x in ("--spring-stream", f"http://127.0.0.1:{m.port}")]
        self.command = fleet.run("agent", fleet.name, "--color", color, "--app-version", fleet.versions[color], "--listen", f"127.0.0.1:{self.port}",
                                 "--binding", binding, "--log-level", "debug", *pods, *options, address=["--bootstrap", fleet.kafka.bootstrap, *fleet.prefix_option])

    def ask(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            c.request("GET", path)
            answer = c.getresponse()
            return answer.status, answer.read().decode()
        except OSError as e:
            return 0, str(e)
        finally:
            c.close()

    def state(self):
        status, text = self.ask("/v1/agent")
        return json.loads(text) if status == 200 else {"ready": False, "why": f"{status} {text}; {self.command.text()[-800:]}", "pods": []}

    def wait_ready(self, seconds=60):
        wait_until(lambda: self.state()["ready"], seconds, lambda: f"the agent of {self.color} to be ready: {self.state()}")

    def wait_says(self, *words, seconds=60):
        """Not ready, and the sentence says why."""
        wait_until(lambda: all(w in self.ask("/readyz")[1] for w in words), seconds, lambda: f"the agent of {self.color} to say {words}: {self.state()}")


def start(w, f, count, protocol):
    """All at once: most of a start is a processor's work."""
    folder = jars(w.tools.build)
    for color in STREAMS:
        for _ in range(count):
            Pod(f, color, folder, protocol)
    for m in f.members:
        m.start()
    for m in f.members:
        m.wait_up()


def up(w, f, count, rate=500, protocol="classic"):
    f.add_controller()
    f.apply()
    start(w, f, count, protocol)
    f.agents = {color: Agent(f, color) for color in STREAMS}
    for a in f.agents.values():
        a.wait_ready()
    f.wait_plan()
    f.produce(rate)
    f.wait_flowing()
    return f


def switched(f, to, *options):
    """A switch to the color, with nothing to remark in its receipt."""
    f.wait_plan()  # a pod that has just joined rebalances its group
    before = {m: m.lines() for m in f.of(to)}
    f.switch(*options, to=to).wait(150).expect(0)
    require(f.active() == to, f"{to} does not work: {f.op()}")
    f.wait_flowing()
    wait_until(lambda: all(m.lines() > lines for m, lines in before.items()), 60, f"each pod of {to} to do something")
    totals = f.cli("receipt", f.name, "-o", "json").expect(0).json()["totals"]
    require(totals["lost"] == 0 and totals["repeated"] == 0, f"totals: {totals}")
    for number in range(1, f.number() + 1):
        f.cli("receipt", f.name, str(number), "--verify").expect(0)


def clean(f, changes, **what):
    """The audit, and no more changes of color than were ordered: nobody worked beside another."""
    a = f.expect_clean("--runs", **what)
    require(a["standstill_ms"]["count"] == changes, f"{a['standstill_ms']['count']} changes of color, {changes} were ordered")
    return a


def backlog(f):
    """Records that the active color has not committed."""
    topic, = f.topics
    ends, committed = (f.tools.ask(f.kafka.bootstrap, *what, topic) for what in (("ends",), ("committed", f.groups()[f.active()])))
    return sum(end - committed.get(p, {"offset": 0})["offset"] for p, end in ends.items())


def foreign_switch(w):
    """There and back under load, two pods a color, Boot 3.5 to Boot 4.1; one of green's was paused by hand."""
    f = w.fleet({"in": 4}, spec=SPEC)
    up(w, f, 2)
    standstill, = (x["what"] for x in f.cli("plan", f.name, "-o", "json").expect(0).json()["findings"] if x["code"] == "foreign-standstill")
    require("0.1 to 0.5 s: broker 1 has group.initial.rebalance.delay.ms=0" in standstill, f"the plan says: {standstill}")
    f.of("green")[0].post("PAUSED")  # outlives STOPPED and STARTED
    switched(f, "green")
    switched(f, "blue")
    return audit_note(clean(f, 2 * 4))


def foreign_stubborn(w):
    """A handler that runs on after STOPPED: all goes back at the deadline. Then the pod is killed in it, with work uncommitted: its session runs
    out, and what both colors may have done is listed."""
    f = w.fleet({"in": 2}, spec={**SPEC, "switch": {"on_doubt": "list"}})
    up(w, f, 1)
    blue = f.of("blue")[0]
    blue.hold()
    number = f.number() + 1
    command = f.switch("--deadline", "12s", to="green")
    f.wait_op(number, ("rolled-back",))
    blue.unhold()
    require(command.wait().code == 6 and f.active() == "blue", f"not rolled back: {f.op()}")
    f.wait_flowing("blue")
    f.wait_plan()
    blue.hold()
    before = f.lines()
    wait_until(lambda: backlog(f) > 200, 60, "records to wait for the handler", 0.1)
    blue.slow()
    blue.unhold()
    wait_until(lambda: f.lines() > before + 5 * 40, 60, "a batch to be under way", 0.01)  # of 20 s at least
    f.switch("--deadline", "60s", to="green")
    wait_until(lambda: "releasing" in f.states(), 60, "the order", 0.01)
    blue.kill()
    require(f.wait_ended(number + 1)["state"] == "complete", f"the switch did not end well: {f.op()}")
    f.wait_flowing("green")
    a = clean(f, 2, across=True)
    require(a["repeated_across"] > 0, "nothing was done twice: this test tests nothing")
    return f"{audit_note(a)}, {a['repeated_across']} done twice, {a['listed']} listed"


class Fake:
    """In place of a pod: answers what it is told to, and writes down what it was asked."""

    def __init__(self):
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.asked.append((self.command, self.path))
                allowed = fake.token is None or self.headers.get("Authorization") == f"Bearer {fake.token}"
                status, headers = fake.answer if allowed else (401, {})
                if (self.command, self.path, status) == ("POST", f"/actuator/bindings/{BINDING}", 204):
                    fake.told(json.loads(body)["state"])
                self.send_response(status)
                for k, v in {**headers, "Content-Length": "0", "Connection": "close"}.items():
                    self.send_header(k, v)
                self.end_headers()

            do_GET = do_PUT = do_POST

            def log_message(self, *_):
                pass

        self.answer, self.token, self.asked, self.told = (204, {}), None, [], lambda state: None
        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


class Stub(Member):
    """A consumer of librdkafka behind a Fake: as Spring Cloud Stream, it starts and stops what it knows, and answers 204 to anything else as well."""

    def __init__(self, fleet, color):
        super().__init__(fleet, color, f"{fleet.name}-{color}-0", {})
        self.fake = Fake()
        self.fake.told = self.told
        self.port = self.fake.server.server_address[1]
        fleet.members.append(self)

    def told(self, state):
        if state == "STARTED" and not self.alive():
            self.start()
        elif state == "STOPPED" and self.alive():
            self.leave()

    def start(self):
        f = self.fleet
        self.files.append(f.path(f"{self.name}-{len(self.files)}.txt"))
        open(self.files[-1], "w", encoding="ascii").close()  # it may be stopped before it opens it
        self.child = start_child([f.tools.bare, "--bootstrap.servers", f.kafka.bootstrap, "--group.id", f"{f.name}-{self.color}", "--client.id", self.name,
                                  "--session.timeout.ms", "6000", "--auto.commit.interval.ms", "100", "--auto.offset.reset", "earliest",
                                  "--color", self.color, "--out", self.files[-1], *(x for t in f.topics for x in ("--topic", t))], self.log)


# What a pod answers in place of 204, and what must be said of it.
REFUSALS = (
    ((404, {}), "management.endpoints.web.exposure.include"),
    ((401, {}), "--application-token-file"),
    ((403, {}), "CSRF"),
    ((302, {"Location": "http://127.0.0.1:1/"}), "redirect"),
)


def foreign_refused(w):
    """Pods that take no word: the agent says which and why, and no switch begins. No pod is ever asked for its bindings."""
    f = w.fleet({"in": 2}, spec=SPEC)
    f.add_controller()
    f.apply()
    blues, greens = [Fake()], [Fake() for _ in REFUSALS]
    token = f.path("token")

    def give(text):
        with open(token, "w", encoding="ascii") as o:
            o.write(text)

    give("sesame")
    blue, green = (Agent(f, color, "--application-token-file", token, *(x for p in pods for x in ("--spring-stream", p.url)))
                   for color, pods in (("blue", blues), ("green", greens)))
    green.wait_ready()

    def says(words):
        troubles = [p["trouble"] for p in green.state()["pods"]]
        return len(troubles) == len(words) and all(w in t for w, t in zip(words, troubles))

    for pod, (answer, _) in zip(greens, REFUSALS):
        pod.answer = answer
    wait_until(lambda: says([words for _, words in REFUSALS]), 60, lambda: f"each refusal to be told: {green.state()}")
    green.wait_says(greens[0].url, REFUSALS[0][1])
    f.switch().wait().expect(1)
    for pod in greens:
        pod.answer, pod.token = (204, {}), "simsim"  # the agent has a wrong one
    wait_until(lambda: says(["401: give the agent its token (--application-token-file)"] * len(greens)), 60, lambda: f"the wrong token to be told: {green.state()}")
    give("simsim")  # read again for each request
    green.wait_ready()
    greens[0].end()
    green.wait_says(greens[0].url, "nothing answers there")
    wait_until(lambda: blues[0].asked, 60, lambda: f"blue to be told something: {blue.state()}")
    asked = {x for p in blues + greens for x in p.asked}
    require(not any(method == "GET" and path.startswith("/actuator/bindings") for method, path in asked), f"asked: {asked}")
    text = blue.command.text() + green.command.text()
    require("sesame" not in text and "simsim" not in text, "a token is in the log")
    return f"{sum(len(p.asked) for p in blues + greens)} requests"


def stubs(f, blue=BINDING, green=BINDING):
    """One of each color, and their agents, each of which believes that the binding has this name."""
    f.add_controller()
    f.apply()
    for color in STREAMS:
        Stub(f, color)
    f.agents = {color: Agent(f, color, "--ready-alarm", "1s", binding=name) for color, name in (("blue", blue), ("green", green))}
    for a in f.agents.values():
        a.wait_ready()
    f.wait_plan()
    f.produce(200)
    f.wait_flowing()
    return f


def foreign_misnamed(w):
    """A wrong --binding: Spring Cloud Stream answers 204 to any name. Nothing shows of it before it matters; then the agent says what to look at, and the
    switch does not get on: it goes back, here by hand."""
    f = stubs(w.fleet({"in": 2}, spec=SPEC), green="order-in-0")

    def turned_back(color, *words):
        number = f.number() + 1
        command = f.switch("--deadline", "120s", to="green")
        f.agents[color].wait_says(*words)
        f.cli("abort", f.name).expect(0)
        f.wait_op(number, ("rolled-back",))
        require(command.wait().code == 6 and f.active() == "blue", f"not rolled back: {f.op()}")
        f.wait_flowing("blue")

    turned_back("green", "it was started", "has no member yet", "--binding")
    f.agents["blue"].command.child.kill()
    f.agents["blue"] = Agent(f, "blue", binding="order-in-0")  # its application runs on
    f.agents["blue"].wait_ready()
    f.wait_plan()
    turned_back("blue", "it was told to stop", "still has 1 consumers", "Is --binding right")
    return audit_note(f.expect_clean("--runs"))


def foreign_agent(w):
    """An agent is killed while its color works: the application goes on, and the next agent takes over. Then one is killed in a switch."""
    f = stubs(w.fleet({"in": 2}, spec=SPEC))
    f.agents["blue"].command.child.kill()
    f.wait_flowing("blue")
    f.agents["blue"] = Agent(f, "blue")
    f.agents["blue"].wait_ready()
    f.wait_plan()
    switched(f, "green")
    f.wait_plan()
    number = f.number() + 1
    f.switch("--deadline", "40s", to="blue")
    wait_until(lambda: "releasing" in f.states(), 60, "the order", 0.005)
    f.agents["green"].command.child.kill()
    f.agents["green"] = Agent(f, "green")
    state = f.wait_ended(number)["state"]
    require(state in ("complete", "rolled-back"), f"the switch did not end well: {f.op()}")
    f.wait_flowing()
    return f"{audit_note(f.expect_clean('--runs'))}, the second switch: {state}"


def foreign_two_agents(w):
    """Two agents of one color that both live: the younger speaks, the elder is silent and says so, and no switch begins. One that takes the place
    of a dead one is remarked by nobody."""
    f = w.fleet({"in": 2}, spec=SPEC)
    f.add_controller()
    f.apply()
    pods = {color: Fake() for color in STREAMS}
    agents = {color: Agent(f, color, "--spring-stream", pods[color].url) for color in STREAMS}
    for a in agents.values():
        a.wait_ready()

    def codes():
        return {x["code"]: x["what"] for x in f.cli("plan", f.name, "-o", "json").json()["findings"]}

    def rivals():
        members = f.cli("status", f.name, "-o", "json").expect(0).json()["colors"]["green"]["members"]
        return [(m["client_id"], m.get("rival", "")) for m in members]

    def named(agent):
        return agent.state()["client_id"]

    wait_until(lambda: rivals() == [(named(agents["green"]), "")], 60, lambda: f"one agent of green: {rivals()}")
    require("two-agents" not in codes(), f"the plan finds: {codes()}")
    elder, younger = agents["green"], Agent(f, "green", "--spring-stream", pods["green"].url)
    elder.wait_says("another agent of green", "speaks in its place")
    younger.wait_ready()
    require(named(younger) in elder.state()["why"], f"it is not named: {elder.state()}")
    wait_until(lambda: named(elder) in codes().get("two-agents", ""), 60, lambda: f"the plan to name {named(elder)}: {codes()}")
    (speaker, rival), = rivals()
    require(speaker == named(younger) and named(elder) in rival, f"the status tells of {speaker} and {rival}")
    f.cli("status", f.name).expect(0, "two agents", named(elder), named(younger))
    f.switch().wait().expect(1, "two-agents")

    younger.command.child.kill()  # the elder one stays silent: it knows no more than that it was replaced
    third = Agent(f, "green", "--spring-stream", pods["green"].url)
    third.wait_ready()
    wait_until(lambda: named(elder) in codes().get("two-agents", ""), 60, lambda: f"the plan to name {named(elder)} again: {codes()}")
    elder.command.child.kill()
    wait_until(lambda: "two-agents" not in codes(), 60, lambda: f"the dead one to be forgotten: {codes()}")
    require(third.state()["ready"] and rivals() == [(named(third), "")], f"{rivals()}, {third.state()}")

    key = f"{f.name}/{third.state()['incarnation']}"
    third.command.child.kill()  # and its clock was an hour ahead
    dump = subprocess.run([w.tools.probe, w.kafka.bootstrap, "dump", f"{f.prefix}baton.reports"], capture_output=True, text=True, check=True, timeout=90).stdout
    late = json.loads([r["value"] for r in map(json.loads, dump.splitlines()) if r["key"] == key][-1])
    late.update(sequence=late["sequence"] + 3600000, client_id="baton-agent-ahead")
    w.ask("put", f"{f.prefix}baton.reports", 0, key, json.dumps(late))
    Agent(f, "green", "--spring-stream", pods["green"].url).wait_says("still has baton-agent-ahead as the agent of green", "the clock of this host")
    return f"{rival} was told of"


TESTS = [
    Test("foreign-switch", foreign_switch),
    Test("foreign-stubborn", foreign_stubborn),
    Test("foreign-refused", foreign_refused),
    Test("foreign-two-agents", foreign_two_agents),
    Test("foreign-misnamed", foreign_misnamed),
    Test("foreign-agent", foreign_agent),
]
