"""`baton run`: records through a command's stdin and stdout, or as CloudEvents by HTTP, audited as any other consumer."""

import json
import os
import re
import shutil
import signal
import sys

from cases_switch import audit_note, require, there_and_back
from fleet import Member, Test
from kafka import ROOT, end_child, free_ports, start_child, wait_until

COMMAND = os.path.join(ROOT, "tests", "system", "run_command.py")
EXAMPLES = os.path.join(ROOT, "examples", "run")


class Runner(Member):
    """A member that is `baton run`; `command` makes the command line from the file where the work is written down."""

    def __init__(self, fleet, color, name, options, command):
        super().__init__(fleet, color, name, {})
        self.run_options, self.command = options, command

    def start(self):
        f = self.fleet
        self.files.append(f.path(f"{self.name}-{len(self.files)}.txt"))
        with open(self.files[-1], "ab"):
            pass  # the command may have nothing to write
        argv = [f.tools.baton, "run", f.name, "--color", self.color, "--app-version", f.versions[self.color],
                "--bootstrap", f.kafka.bootstrap, "--log-level", "debug", *f.prefix_option, "-X", f"client.id={self.name}"]
        for k, v in f.member_options.items():
            if v is not None:
                argv += ["-X", f"{k}={v}"]
        argv += self.run_options
        command = self.command(self)
        self.child = start_child(argv + (["--", *command] if command else []), self.log)
        return self

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait_log(self, words, seconds=60):
        wait_until(lambda: words in self.log_text(), seconds, f"{self.name} to say '{words}', see {self.log}")


def python(*more):
    return lambda m: [sys.executable, COMMAND, "--out", m.files[-1], "--hold", m.hold_path, *map(str, more)]


def add(f, color, options=(), command=None):
    count = sum(m.color == color for m in f.members)
    m = Runner(f, color, f"{f.name}-{color}-{count}", list(options), command or python())
    f.members.append(m)
    return m.start()


def up(f, blue=1, green=1, options=(), command=None, rate=2000):
    return f.up(blue, green, rate=rate, add=lambda color: add(f, color, options, command))


def run_switch(w):
    """There and back under load, then every member leaves as SIGTERM asks: nothing lost, nothing repeated, nothing out of order."""
    f = w.fleet({"in": 6})
    up(f, 2, 2)
    a = there_and_back(f, 6)
    for m in f.members:
        m.leave()
        require("clean=yes" in m.log_text(), f"{m.name} left without a clean end, see {m.log}")
    return audit_note(a)


def run_batches(w):
    """Batches, keys and two processes a member: the order within a partition holds all the same, for records have no key here."""
    f = w.fleet({"in": 6})
    up(f, options=["--order", "key", "--concurrency", "2", "--batch", "100"], rate=20000)
    return audit_note(there_and_back(f, 6))


def run_crash(w):
    """The command crashes, hangs and fails in mid-work; a switch goes on meanwhile; a poison record ends among the dead letters."""
    f = w.fleet({"in": 4})
    dead = f"{f.name}.dead"
    w.ask("create", dead, 1, 1)
    up(f, options=["--record-timeout", "1s", "--dlq", dead, "--retries", "2"],
       command=python("--crash", 600, "--hang", 1200, "--poison", 1800))
    blue = f.members[0]
    blue.wait_log("possibly_repeated")
    blue.wait_log("command_hangs")
    blue.wait_log("dead_letter ")
    there_and_back_loosely(f)
    totals = f.api("GET", f"/v1/fleets/{f.name}/switches/1/receipt")["totals"]
    given = sum(int(n) for n in re.findall(r"possibly_repeated process=\d+ records=(\d+)", blue.log_text()))
    require(0 < totals["given_again"] <= given and totals["repeated"] == 0, f"{given} were given again, the receipt says {totals}")
    a = f.expect_clean(within=True)

    # The letter itself, read by a run of its own: the command echoes each line, which acknowledges it.
    name = f"{f.name}-letters"
    path = f.path("letters.yaml")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"fleet: {name}\ntopics: [{dead}]\n")
    f.cli("fleet", "apply", path).expect(0)
    out = f.path("letters.ndjson")
    child = start_child([f.tools.baton, "run", name, "--color", "blue", "--bootstrap", f.kafka.bootstrap, *f.prefix_option, "--",
                         shutil.which("tee"), "-a", out], f.path("letters.log"))
    wait_until(lambda: os.path.exists(out) and os.path.getsize(out) > 0, 60, "the dead letter")
    require(end_child(child, signal.SIGTERM) == 0, "the reader of the dead letters did not end well")
    with open(out, encoding="utf-8") as lines:
        letters = [json.loads(line) for line in lines]
    headers = {h["name"]: h["value"] for h in letters[0]["headers"]}
    require(len(letters) == 1 and letters[0]["value"].split()[0] == "1800", f"the letters: {letters}")
    require(headers["baton-error"] == "number 1800 is poison" and headers["baton-topic"] == f"{f.name}.in" and
            headers["baton-attempts"] == "3" and headers["baton-color"] == "blue", f"its headers: {headers}")
    return f"{a['produced']} records, {a['repeated_within']} again within a color"


def run_mended(w):
    """A record that only the old version cannot do, and that it tries for ever: the switch takes it along to the version that can."""
    f = w.fleet({"in": 4})
    up(f, command=lambda m: python(*(("--refuse", 600) if m.color == "blue" else ()))(m))
    blue = f.members[0]
    blue.wait_log("number 600 is refused")
    f.switch(to="green").wait().expect(0)
    blue.wait_log("given_back")
    f.wait_flowing("green")
    return audit_note(f.expect_clean())


def there_and_back_loosely(f):
    f.switch(to="green").wait().expect(0)
    f.wait_flowing()
    f.cli("rollback", f.name).expect(0)
    f.wait_flowing()


def run_slow(w):
    """A command that takes 20 ms a record, and falls behind: what is in hand is so little that a switch takes a moment."""
    f = w.fleet({"in": 4})
    up(f, command=python("--delay-us", 20000), rate=0)
    f.produce(200)
    wait_until(lambda: f.members[0].lines() > 50, 60, "blue to work")
    a_switch = f.switch(to="green").wait()
    a_switch.expect(0)
    f.wait_flowing()
    receipt = f.cli("receipt", f.name, "-o", "json").expect(0).json()
    worst = max(p["forth"]["standstill_ms"] for p in receipt["partitions"])
    require(worst < 15000, f"a partition stood still for {worst} ms: too much was in hand")
    f.stop_producers()
    f.members[1].leave()  # in the middle of its work: it ends within the grace, and clean
    add(f, "green")  # a fast one does the rest
    f.expect_clean()
    return f"standstill at most {worst} ms"


def run_http(w):
    """An HTTP endpoint instead of a command, singly and in batches; it is away for a while, and no record is held against that."""
    f = w.fleet({"in": 4})
    ports = free_ports(2)
    files = [f.path("endpoint-blue.txt"), f.path("endpoint-green.txt")]

    def serve(i):
        return start_child([sys.executable, COMMAND, "--out", files[i], "--serve", str(ports[i])], f.path("endpoints.log"))

    servers = [serve(0), serve(1)]
    f.add_controller()
    f.apply()
    for i, color in enumerate(("blue", "green")):
        m = add(f, color, ["--to", f"http://127.0.0.1:{ports[i]}/events?x=1", "--concurrency", "2", "--on-error", "stop"] +
                (["--batch", "50"] if i else []), lambda m: None)
        f.wait_member(m)
    f.more_files += files
    f.wait_plan()
    f.produce(300)
    f.wait_flowing("blue")
    end_child(servers[0], signal.SIGKILL)
    f.members[0].wait_log("endpoint_unreachable")
    servers[0] = serve(0)
    f.members[0].wait_log("endpoint_reached")
    f.wait_flowing("blue")
    there_and_back_loosely(f)
    a = f.expect_clean(within=True)
    for m in f.members:
        m.leave()
    for s in servers:
        end_child(s, signal.SIGKILL)
    return f"{a['produced']} records, {a['repeated_within']} again within a color"


def run_ends(w):
    """How it ends: the command's exit code when it never works, 127 when it is not there, 2 for a wrong line."""
    f = w.fleet({"in": 1})
    f.add_controller()
    f.apply()
    base = ["run", f.name, "--color", "blue"]
    address = ["--bootstrap", f.kafka.bootstrap, *f.prefix_option]

    def end(code, *words, options=(), command=()):
        r = f.run(*base, *options, *address, *(["--", *command] if command else []), address=[])
        r.wait(60).expect(code, *words)

    end(3, "is in no folder of PATH", command=["no-such-program"])
    end(2, "who gets the records")
    end(2, "not both", options=["--to", "http://127.0.0.1:1/"], command=["cat"])
    end(3, "no topic", "--create", options=["--dlq", f"{f.name}.none"], command=["cat"])
    end(7, "command_given_up", "exit code 7", command=["sh", "-c", "exit 7"])


def run_examples(w):
    """The examples of docs/run.md, each in its language, each switched to and fed; those whose interpreter is here."""
    languages = {"consumer.py": "python3", "batches.py": "python3", "consumer.mjs": "node", "consumer.sh": "bash", "consumer.jq": "jq",
                 "main.go": "go"}
    done = []
    for name, interpreter in languages.items():
        if not shutil.which(interpreter):
            continue
        f = w.fleet({"in": 2})
        program = [shutil.which(interpreter), os.path.join(EXAMPLES, name)]
        options = ["--batch", "100"] if name == "batches.py" else []
        if name == "consumer.jq":
            program = [program[0], "--unbuffered", "-c", "-f", program[1]]
        if name == "main.go":
            built = f.path("consumer")
            r = start_child([program[0], "build", "-o", built, program[1]], f.path("go.log"), env={**os.environ, "GO111MODULE": "off"})
            require(r.wait(240) == 0, f"the Go example does not compile, see {f.path('go.log')}")
            program = [built]
        f.add_controller()
        f.apply()
        m = add(f, "blue", options, lambda m, program=program: program)
        f.produce(500 if name != "consumer.sh" else 50)
        f.wait_member(m)
        f.stop_producers()
        f.wait_drained()
        m.leave()
        require("failed=0 given_again=0" in m.log_text() and "clean=yes" in m.log_text(), f"{name} did not do its work, see {m.log}")
        done.append(name)
        f.end()
    require(len(done) >= 3, f"only {done} could be tried")
    return ", ".join(done)


TESTS = [Test("run-crash", run_crash), Test("run-switch", run_switch), Test("run-batches", run_batches), Test("run-slow", run_slow), Test("run-mended", run_mended),
         Test("run-http", run_http), Test("run-ends", run_ends), Test("run-examples", run_examples)]
