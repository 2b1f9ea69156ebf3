"""Bad input and bad times: every refusal comes in time, with the right exit code, and says what, why and how to mend it."""

import contextlib
import json
import os
import signal
import socket
import time

from cases_switch import require
from fleet import Running, Test
from kafka import end_child, free_ports, start_child, wait_until

SOON = 12  # "within 10 s", and the start of a process on a loaded machine


def in_time(f, what, seconds, *args):
    began = time.monotonic()
    r = f.cli(*args, address=[], seconds=60)
    took = time.monotonic() - began
    require(took < seconds, f"{what}: took {took:.1f} s to say so")
    return r


def wrong_address(w):
    """A broker address where nobody is, and one that does not speak Kafka: a sentence within 10 s, from all programs."""
    f = w.fleet({"in": 1})
    (nobody,) = free_ports(1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        begun = []
        for where in (f"127.0.0.1:{nobody}", f"127.0.0.1:{silent.getsockname()[1]}", "no-such-host.invalid:9092"):
            for args in (["status"], ["switch", "payments"], ["serve", "--listen", "127.0.0.1:0"]):
                begun.append((f.run(*args, address=["--bootstrap", where]), where))
            log = f.path(f"worker-{len(begun)}.log")
            argv = [w.tools.worker, "--out", f.path("x.txt"), "--baton.fleet", "x", "--baton.color", "blue", "--bootstrap.servers", where]
            begun.append((Running(start_child(argv, log), log, log, f"worker at {where}"), where))
        where = f"http://127.0.0.1:{nobody}"
        begun.append((f.run("status", address=["--server", where]), where))
        wait_until(lambda: all(r.child.poll() is not None for r, _ in begun), SOON,
                   lambda: "all to say so; still trying: " + ", ".join(r.what for r, _ in begun if r.child.poll() is None))
        for r, where in begun:
            r.wait().expect(1, where)


def control_topic(w):
    """A control topic that is not compacted, or has two partitions: refused, with the command that mends it."""
    f = w.fleet({"in": 1})
    for prefix, partitions, policy, command in (("a.", 1, "delete", "kafka-configs.sh"), ("b.", 2, "compact", "kafka-topics.sh")):
        name = f"{w.name}-{prefix}"
        w.ask("create", f"{name}baton.control", partitions, 1, f"cleanup.policy={policy}")
        for args in (["status"], ["serve", "--listen", "127.0.0.1:0"]):
            r = in_time(f, args[0], SOON, *args, "--bootstrap", w.kafka.bootstrap, "--prefix", name)
            r.expect(1, f"{name}baton.control", command)


def fleet_files(w):
    """A fleet file with a mistake: line, column and "did you mean"; nothing is changed."""
    f = w.fleet({"in": 1})
    f.add_controller()
    good = f"fleet: {f.name}\ntopics: [{next(iter(f.topics))}]\n"
    cases = (
        (good.replace("topics", "topcis"), "fleet.yaml:2:1", "did you mean 'topics'"),
        (good + "switch:\n  deadline: 10\n", ":4:", "30s"),
        (good + "switch:\n  stages: [50%, 20%, 100%]\n", "stages"),
        (good + f"fleet: {f.name}\n", ":3:1"),
        (good + "colors: {blue: {group: g}, green: {group: g}}\n", "group"),
        (good + "strategy: single-group\n", "separate-groups"),
        (good + "x: [", "fleet.yaml:"),
        ("", "fleet.yaml"),
    )
    for text, *words in cases:
        with open(f.path("fleet.yaml"), "w", encoding="utf-8") as file:
            file.write(text)
        r = f.cli("fleet", "apply", f.path("fleet.yaml"))
        require(r.code in (1, 2), f"exit code {r.code} for {text!r}: {r.out}{r.err}")
        r.expect(r.code, *words)
    f.cli("fleet", "apply", f.path("missing.yaml")).expect(3, "missing.yaml")
    f.cli("status", f.name).expect(3)


def usage(w):
    """Wrong command lines: exit 2, "did you mean"."""
    f = w.fleet({"in": 1})
    for args, word in ((["swich"], "switch"), (["switch", "x", "--stage", "10%"], "--stages"), (["switch", "x", "--to", "red"], "blue"),
                       (["switch", "x", "--stages", "10%,5%"], "stages"), (["switch", "x", "--deadline", "5"], "30s"),
                       (["status", "-o", "xml"], "json"), (["receipt", "x", "y"], "y"), (["agent", "x"], "color"),
                       (["agent", "x", "--color", "blue"], "application"),
                       (["agent", "x", "--color", "blue", "--on-change", "true", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:1"], "one address")):
        f.cli(*args, address=[]).expect(2, word)
    f.cli("switch", "--help", address=[]).expect(0, "--stages")
    f.cli("version", "-o", "json", address=[]).expect(0).json()


def two_at_once(w):
    """A second switch while one is under way: exit 5, 409; the first one is not disturbed."""
    f = w.fleet({"in": 6}).up(rate=5000)
    with f.phase("releasing") as p:
        f.cli("switch", f.name, "--to", "green").expect(5)
        status, said = f.api_raw("POST", f"/v1/fleets/{f.name}/switches", {"to": "green"})
        require(status == 409 and said["error"]["code"] == "conflict", f"{status} {said}")
        f.cli("pause", f.name).expect(5)
    p["answer"].expect(0)
    require(f.number() == 1, "a refused switch has a number")
    # The same request id twice is the same request, not a second one.
    body = {"to": "blue", "request_id": "the-same", "deadline": "30s", "observe": "0s"}
    numbers = {f.api("POST", f"/v1/fleets/{f.name}/switches", body)["number"] for _ in range(2)}
    require(numbers == {2}, f"one request id made the operations {numbers}")
    f.wait_ended(2)
    f.expect_clean()


def deadline(w):
    """Deadline passed: rolled back, exit 6, everything is consumed as before; the next switch works."""
    f = w.fleet({"in": 6}).up(rate=5000)
    f.hold("blue")
    f.switch("--deadline", "3s", to="green").wait().expect(6)
    op = f.op()
    require(op["state"] == "rolled-back" and op["cause"] == "deadline", f"{op}")
    f.unhold()
    s = f.status()
    require({p["holder"] for p in s["partitions"]} == {"blue"} and {p["state"] for p in s["partitions"]} == {"held"},
            f"after the way back: {s['partitions']}")
    f.wait_flowing()
    f.switch("--deadline", "30s", to="green").wait().expect(0)
    f.wait_flowing()
    f.expect_clean()


def preflight(w):
    """What a preflight refuses: no green at all, mixed versions, a consumer that Baton does not know, by client id."""
    f = w.fleet({"in": 6})
    f.add_controller()
    f.apply()
    for _ in range(2):
        f.wait_member(f.add_member("blue"))
    f.produce(2000)
    r = f.cli("switch", f.name, "--to", "green").expect(1, "green")
    require(f.number() == 0, "a refused switch has a number")
    plan = f.api("POST", f"/v1/fleets/{f.name}/plan", {"to": "green"})
    require(not plan["ok"] and plan["findings"], f"plan: {plan}")
    for finding in plan["findings"]:
        require(all(finding[k] for k in ("severity", "code", "what", "why", "mend")), f"a finding without words: {finding}")
    require(plan["findings"][0]["what"] in r.out + r.err, "the command does not print the finding")

    for _ in range(2):
        f.wait_member(f.add_member("green"))
    f.wait_plan()

    f.versions["green"] = "2.1-other"
    mixed = f.add_member("green", wait=True)
    wait_until(lambda: f.cli("plan", f.name).code == 1, 30, "mixed versions to be refused", 0.2)
    f.cli("plan", f.name).expect(1, "2.1-other", "2.0")
    mixed.leave()
    f.wait_plan()

    topic = next(iter(f.topics))
    stranger = start_child([w.tools.bare, "--bootstrap.servers", w.kafka.bootstrap, "--group.id", f"{f.name}-green", "--topic", topic,
                            "--client.id", "stranger-7", "--partition.assignment.strategy", "cooperative-sticky",
                            "--out", f.path("stranger.txt")], f.path("stranger.log"))
    wait_until(lambda: any(m["client_id"] == "stranger-7" and m["partitions"] for m in w.ask("group", f"{f.name}-green")["members"]), 60,
               "the stranger to join", 0.2)
    f.cli("switch", f.name, "--to", "green").expect(1, "stranger-7", "127.0.0.1")
    end_child(stranger)
    f.wait_plan()
    f.switch(to="green").wait().expect(0)
    f.wait_flowing()


def foreign_commit(w):
    """Somebody else's commit into the holder's group while it is released: the pass stops and says so; nothing is lost."""
    f = w.fleet({"in": 6}).up(rate=5000)
    topic = next(iter(f.topics))
    with f.phase("releasing") as p:
        # A partition whose release is still open; the offset stays in the group until the owner commits its own.
        w.ask("foreign", f"{f.name}-blue", topic, 0, 1)
    require(p["op"]["state"] in ("complete", "rolled-back"), f"{p['op']}")
    f.wait_flowing()
    f.expect_clean(within=True)


def bad_records(w):
    """Broken records and ones of a newer Baton in the control topic: reported, never misread, never a crash."""
    f = w.fleet({"in": 3}).up(rate=1000, controllers=2)
    control = f"{f.prefix}baton.control"
    for key, value in ((f"fleet/{f.name}", "{broken"), ("fleet/other", "{}"), ("switch/other/1", "[]"), ("what/is/this", "1"),
                       (f"fleet/{f.name}", json.dumps({"format": 1, "term": 0, "epoch": 1 << 62, "fleet": f.name}))):
        w.ask("put", control, 0, key, value)
    w.ask("put", f"{f.prefix}baton.reports", 0, f"{f.name}/ffff", "{broken")
    f.wait_flowing()
    for m in f.members:
        require(m.alive(), f"worker {m.name} ended over a bad record, see {m.log}")
    for c in f.controllers:
        require(c.alive(), f"controller {c.number} ended over a bad record, see {c.log}")
    f.switch(to="green").wait().expect(0)
    f.cli("rollback", f.name).expect(0)
    f.wait_flowing()
    # A controller that starts now reads all of it from the beginning.
    for c in f.controllers:
        require(end_child(c.child) == 0, f"controller {c.number} did not end cleanly")
    f.add_controller()
    wait_until(f.leader, 30, "a leader")
    f.wait_plan()
    f.switch(to="green").wait().expect(0)
    f.expect_clean()


def retention(w):
    """Retention takes records that the holder has not committed: the plan warns, the receipt and its verification show the hole."""
    f = w.fleet({"in": 3}).up(rate=3000)
    topic = next(iter(f.topics))
    f.hold("blue")  # what it has in hand stays uncommitted
    stands = {p: c["offset"] for p, c in w.ask("committed", f"{f.name}-blue", topic).items()}
    wait_until(lambda: all(end > stands[p] + 4000 for p, end in w.ask("ends", topic).items()), 60, "blue to fall behind", 0.2)
    f.stop_producers()
    ends = w.ask("ends", topic)
    for p in ends:
        w.ask("shorten", topic, p, ends[p] - 100)
    plan = f.api("POST", f"/v1/fleets/{f.name}/plan", {"to": "green"})
    found = {x["code"]: x for x in plan["findings"]}
    require(plan["ok"] and "expired-offset" in found, f"the plan does not warn: {plan}")
    require("3 partitions" in found["expired-offset"]["what"], f"{found['expired-offset']}")
    r = f.switch(to="green")
    wait_until(lambda: f.number() == 1, 20, "the switch to be accepted")
    f.unhold()
    r.wait().expect(0)
    f.wait_drained()
    receipt = f.cli("receipt", f.name, "1", "-o", "json").expect(0).json()
    for p in receipt["partitions"]:
        end, way = ends[str(p["partition"])], p["forth"]
        require(way["from"] < end - 100 == way["first"], f"the hole up to {end - 100} is not in the receipt: {way}")
    said = f.api("GET", f"/v1/fleets/{f.name}/switches/1/verify")
    require(sum(x["code"] == "log-shortened" for x in said["findings"]) == 3, f"verify does not show the hole: {said}")
    for m in f.of("green"):
        with open(m.log, encoding="utf-8") as log:
            require("retention has deleted" in log.read(), f"{m.name} does not say what retention took, see {m.log}")


def tokens(w):
    """A token guards changes; without one, only loopback is served."""
    f = w.fleet({"in": 1})
    r = in_time(f, "serve", SOON, "serve", "--bootstrap", w.kafka.bootstrap, *f.prefix_option, "--listen", "0.0.0.0:0")
    r.expect(r.code, "--token-file")
    require(r.code in (1, 2, 4), f"exit code {r.code}")
    token = f.path("token")
    with open(token, "w", encoding="utf-8") as file:
        file.write("correct-horse-battery\n")
    (port,) = free_ports(1)
    child = start_child([w.tools.baton, "serve", "--bootstrap", w.kafka.bootstrap, *f.prefix_option, "--listen", f"127.0.0.1:{port}",
                         "--token-file", token, "--open-reads"], f.path("serve.log"))
    server = ["--server", f"http://127.0.0.1:{port}"]
    wait_until(lambda: f.cli("fleet", "list", address=server).code == 0, 30, "the server", 0.2)
    f.cli("fleet", "apply", f.fleet_file(), address=server).expect(4)
    f.cli("fleet", "apply", f.fleet_file(), "--token-file", token, address=server).expect(0)
    end_child(child)


def signals(w):
    """Ctrl-C detaches from a switch, which goes on; SIGTERM ends a controller within seconds with 0; two SIGINT end it too."""
    f = w.fleet({"in": 3}).up(rate=1000)
    f.hold("blue")
    r = f.switch("--deadline", "40s", to="green")
    wait_until(lambda: "passing" in r.text(), 20, "the command to tell of its switch")
    r.child.send_signal(signal.SIGINT)
    answer = r.wait(15)
    require(answer.code != 0 and f.name in answer.out + answer.err, f"Ctrl-C said nothing: {answer.code} {answer.err}")
    require(f.op(1)["state"] == "passing", "Ctrl-C ended the switch")
    f.unhold()
    require(f.wait_ended(1)["state"] == "complete", f"{f.op(1)}")
    for number, count in ((signal.SIGTERM, 1), (signal.SIGINT, 2)):
        c = next(c for c in f.controllers if c.alive())
        began = time.monotonic()
        for _ in range(count):
            with contextlib.suppress(ProcessLookupError):
                c.child.send_signal(number)
            time.sleep(0.05)
        c.child.wait(20)
        require(time.monotonic() - began < 10, "the controller took too long to end")
        if count == 1:
            require(c.child.returncode == 0, f"exit code {c.child.returncode} after SIGTERM")
        f.add_controller()
    f.expect_clean()


def security(w):
    """TLS, SASL and ACLs: what is refused is named within 10 s; with the right words a whole switch works."""
    f = w.fleet({"in": 3}, prefix="")
    s = w.kafka.secure
    sasl, tls = f"127.0.0.1:{s.sasl_port}", f"127.0.0.1:{s.tls_port}"

    def password(user, word):
        return {"bootstrap.servers": sasl, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "PLAIN", "sasl.username": user,
                "sasl.password": word}

    def options(properties):
        ret = []
        for k, v in properties.items():
            ret += ["-X", f"{k}={v}"] if k != "bootstrap.servers" else ["--bootstrap", v]
        return ret

    other = f.path("other-ca.pem")
    with contextlib.suppress(FileExistsError):
        os.makedirs(f.path("other"))
    with open(type(s)(f.path("other")).ca, encoding="ascii") as a, open(other, "w", encoding="ascii") as b:
        b.write(a.read())
    refused = (
        ("a wrong password", 4, password("admin", "wrong"), (sasl, "sasl")),
        ("no ACL", 4, password("bob", "bob-secret"), ("baton.control",)),
        ("another's certificate", 4, {"bootstrap.servers": tls, "security.protocol": "SSL", "ssl.ca.location": other},
         (tls, "ssl.ca.location")),
        ("plain words to a TLS port", 1, {"bootstrap.servers": tls}, (tls, "security.protocol")),
    )
    for what, code, properties, words in refused:
        for args in (["status"], ["serve", "--listen", "127.0.0.1:0"]):
            in_time(f, f"{args[0]}, {what}", SOON, *args, *options(properties)).expect(code, *words)
        argv = [w.tools.worker, "--out", f.path("x.txt"), "--baton.fleet", "x", "--baton.color", "blue"]
        for k, v in properties.items():
            argv += [f"--{k}", v]
        child = start_child(argv, f.path("x.log"))

        def said(words=words):
            with open(f.path("x.log"), encoding="utf-8") as log:
                text = log.read()
            return all(x in text for x in words)

        wait_until(said, SOON, f"the library to speak of {words} ({what}); see {f.path('x.log')}", 0.1)
        end_child(child, signal.SIGKILL)
        os.unlink(f.path("x.log"))

    right = {"bootstrap.servers": tls, "security.protocol": "SSL", "ssl.ca.location": s.ca}
    f.member_options.update(password("admin", "admin-secret"))
    direct = options(right)
    f.apply(address=direct)
    for color in ("blue", "green"):
        f.add_member(color)
    f.produce(500)
    wait_until(lambda: f.cli("plan", f.name, address=direct).code == 0, 60, "the preflight to be content", 0.5)
    f.cli("switch", f.name, "--to", "green", address=direct).expect(0)
    f.add_controller()
    f.expect_clean()


TESTS = [
    Test("wrong-address", wrong_address),
    Test("control-topic", control_topic),
    Test("fleet-files", fleet_files),
    Test("usage", usage),
    Test("two-at-once", two_at_once),
    Test("deadline", deadline),
    Test("preflight", preflight),
    Test("foreign-commit", foreign_commit),
    Test("bad-records", bad_records),
    Test("retention", retention),
    Test("tokens", tokens),
    Test("signals", signals),
]
LAST = [Test("security", security, "secure")]
