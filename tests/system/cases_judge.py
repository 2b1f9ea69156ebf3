"""The judge on a real Kafka: a green that gets worse is taken back by itself, a healthy one is promoted, and a metrics system that is
down takes nothing back."""

import json
import signal
import time

from cases_switch import require
from fleet import Test
from kafka import end_child, free_ports, wait_until

RATE = 600  # records a second
BASELINE = 12  # looks at blue alone


def judged(w, judge, controllers=1, **spec):
    """A fleet that is looked at every second, up."""
    f = w.fleet({"in": 4}, spec={"judge": {"interval": "1s", "warmup": "2s", "metrics": ["error_rate"], **judge}, **spec})
    f.worse = f.path("worse")
    f.up(blue=2, green=2, controllers=controllers, rate=RATE, worse=f.worse)
    return f


def samples(f, what):
    return [s for s in f.api("GET", f"/v1/fleets/{f.name}/signals")["samples"] if s["what"] == what]


def wait_baseline(f):
    wait_until(lambda: sum(s["blue"].get("records", 0) > 0 for s in samples(f, "baseline")) >= BASELINE, 60, "a baseline", 0.2)


def wait_looks(f, count):
    wait_until(lambda: len(samples(f, "look")) >= count, 60, "the judge to look", 0.1)


def worse(w):
    """One record in five fails: back on blue within seconds, the receipt says why, and the version is not tried again."""
    f = judged(w, {"mode": "auto"}, switch={"observe": "5m"})
    wait_baseline(f)
    running = f.switch()
    f.wait_op(1, ("observing",))
    wait_looks(f, 5)
    began = time.time()
    with open(f.worse, "w", encoding="utf-8") as file:
        file.write("200 0\n")
    op = f.wait_ended(1, 60)
    took = time.time() - began
    answer = running.wait()
    require(op["state"] == "rolled-back" and op["cause"] == "verdict", f"{op}")
    answer.expect(6)
    receipt = f.api("GET", f"/v1/fleets/{f.name}/switches/1/receipt")
    verdict = receipt["verdict"]
    errors = next(m for m in verdict["metrics"] if m["name"] == "error_rate")
    require(verdict["verdict"] == "worse" and verdict["rule"] == "evidence", f"{verdict}")
    require(errors["state"] == "worse" and errors["e_value"] >= errors["e_bound"], f"{errors}")
    require("error_rate" in op["why"] and "failed" in op["why"], op["why"])
    require("with the same partitions" in errors["sentence"], f"compared partition by partition: {errors['sentence']}")
    require(f.active() == "blue" and took < 20, f"it took {took:.1f} s")
    print(f"judge: from the first bad record until all is back on blue {took:.1f} s", flush=True)
    f.cli("receipt", f.name, "1").expect(0, "judge", "worse", "error_rate")
    f.cli("switch", f.name, "--no-wait").expect(1, "2.0", "switch 1", "--force")
    f.cli("plan", f.name).expect(1, "worse")
    path = f.path("recording.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(f.api("GET", f"/v1/fleets/{f.name}/signals"), file)
    f.cli("judge", "--replay", path, "--policy", f.fleet_file(), address=[]).expect(0, "worse: error_rate")
    f.stop_producers()
    f.wait_drained()
    f.expect_clean()


def new_leader(w):
    """kill -9 of the leader while a stage is observed: the next one judges on the old one's yardstick, though blue has nothing left to do."""
    f = judged(w, {"mode": "auto"}, controllers=2, switch={"observe": "5m"})
    wait_baseline(f)
    f.cli("switch", f.name, "--no-wait").expect(0)
    f.wait_op(1, ("observing",))
    wait_looks(f, 4)
    end_child(f.leader().child, signal.SIGKILL)
    wait_until(f.leader, 60, "a new leader", 0.2)
    wait_looks(f, 3)
    with open(f.worse, "w", encoding="utf-8") as file:
        file.write("200 0\n")
    op = f.wait_ended(1, 60)
    require(op["state"] == "rolled-back" and op["cause"] == "verdict", f"{op}")
    verdict = f.api("GET", f"/v1/fleets/{f.name}/switches/1/receipt")["verdict"]
    errors = next(m for m in verdict["metrics"] if m["name"] == "error_rate")
    require(verdict["rule"] == "evidence" and errors["state"] == "worse" and errors["expected"] is not None, f"{verdict}")
    require("with the same partitions" in errors["sentence"], f"the strata were kept as well: {errors['sentence']}")
    f.stop_producers()
    f.wait_drained()
    f.expect_clean()


def yardstick_left(w):
    """kill -9 of the leader before the switch: the next one has what the old one saw of blue, and needs not watch it anew."""
    f = judged(w, {"mode": "auto"}, controllers=2, switch={"observe": "5m"})
    wait_baseline(f)
    with open(f.worse, "w", encoding="utf-8") as file:
        file.write("200 0\n")
    end_child(f.leader().child, signal.SIGKILL)
    wait_until(f.leader, 60, "a new leader", 0.05)
    f.cli("switch", f.name, "--no-wait").expect(0)
    op = f.wait_ended(1, 60)
    require(op["state"] == "rolled-back" and op["cause"] == "verdict", f"{op}")
    errors = next(m for m in f.api("GET", f"/v1/fleets/{f.name}/switches/1/receipt")["verdict"]["metrics"] if m["name"] == "error_rate")
    require(errors["state"] == "worse" and errors["expected"] is not None, f"{errors}")
    f.stop_producers()
    f.wait_drained()
    f.expect_clean()


def healthy(w):
    """As good as blue: ok, long before the observation ends, where the policy says early."""
    f = judged(w, {"promote": "early"}, switch={"observe": "5m"})
    wait_baseline(f)
    f.switch("--auto").wait(120).expect(0)
    receipt = f.api("GET", f"/v1/fleets/{f.name}/switches/1/receipt")
    require(receipt["state"] == "complete" and receipt["verdict"]["verdict"] == "ok", f"{receipt['verdict']}")
    f.stop_producers()
    f.wait_drained()
    f.expect_clean()


def prometheus_down(w):
    """A signal that nobody answers: neither promoted nor turned back, it is held and says so; a person decides."""
    (port,) = free_ports(1)
    f = judged(w, {"mode": "auto", "warmup": "0s", "on_undecided": "rollback"}, switch={"observe": "6s"},
               prometheus={"url": f"http://127.0.0.1:{port}"},
               signals=["{name: cpu, query: 'cpu{color=\"$color\"}', limit: 0.9}"])
    wait_baseline(f)
    f.cli("plan", f.name).expect(0, "signal-unknown", "signal cpu of blue is unknown")
    f.cli("switch", f.name).expect(7, "is held", "cpu: unknown", str(port))
    receipt = f.api("GET", f"/v1/fleets/{f.name}/switches/1/receipt")
    require(receipt["state"] == "observing" and receipt["held"], f"{receipt['state']}, held {receipt['held']}")
    require(receipt["verdict"]["blind"] and "cpu" in receipt["verdict"]["sentence"], f"{receipt['verdict']}")
    f.cli("rollback", f.name).expect(0)
    require(f.wait_ended(1)["state"] == "rolled-back", "taken back by hand")
    f.stop_producers()
    f.wait_drained()
    f.expect_clean()


def vanished(w):
    """All of green is killed while it is watched: back, though nothing is judged but that somebody is there."""
    f = judged(w, {}, switch={"observe": "5m", "on_unreachable": "fence"})
    f.cli("switch", f.name, "--no-wait").expect(0)
    f.wait_op(1, ("observing",))
    f.wait_flowing("green")
    wait_looks(f, 2)
    for m in f.of("green"):
        m.kill()
    op = f.wait_ended(1, 90)
    require(op["state"] == "rolled-back" and op["cause"] == "verdict" and "no member of green" in op["why"], f"{op}")
    f.stop_producers()
    f.wait_drained()
    f.expect_clean(within=True, across=True, overlaps=True)


def takes_and_does_nothing(w):
    """A green that takes every record and finishes none, with so little traffic that nothing waits to be taken: that is no progress."""
    f = w.fleet({"in": 4}, spec={"judge": {"interval": "1s", "no_progress": "10s"}, "switch": {"observe": "10m"},
                                 "members": {"processing_max": "5s"}})
    f.up(blue=1, green=1, rate=1, threads=64, batch=1)
    green = f.of("green")[0]
    green.hold()
    f.switch("--no-wait").wait().expect(0)
    try:
        wait_until(lambda: (f.api("GET", f"/v1/fleets/{f.name}/switches/1/receipt").get("verdict") or {}).get("verdict") == "worse", 60,
                   "a verdict", 0.5)
    finally:
        green.unhold()
    op = f.wait_ended(1, 90)
    require(op["state"] == "rolled-back" and op["cause"] == "verdict" and "stood still" in op["why"], f"{op}")
    f.stop_producers()
    f.wait_drained()
    audit = f.audit()  # sixty-four threads write down what they did in any order
    require(not any(audit[k] for k in ("lost", "repeated_unlisted", "repeated_across", "strange")), f"{audit}")


def window(w):
    """`window.rules` in the fleet file: the label of green's commits turns it back, long before no_progress would."""
    f = w.fleet({"in": 4}, spec={"judge": {"interval": "1s", "warmup": "2s", "no_progress": "10m"}, "window": {"rules": "burrow"},
                                 "switch": {"observe": "10m"}})
    f.up(blue=1, green=1, rate=50)
    green = f.of("green")[0]
    label = lambda: (samples(f, "look") or [{}])[-1].get("window")  # noqa: E731
    f.switch("--no-wait").wait().expect(0)
    wait_until(lambda: label() == "OK", 60, lambda: f"green's window to be seen and to be well: {label()}", 0.5)
    green.hold()
    try:
        wait_until(lambda: (f.api("GET", f"/v1/fleets/{f.name}/switches/1/receipt").get("verdict") or {}).get("verdict") == "worse", 120,
                   lambda: f"a verdict; the window is {label()}", 0.5)
    finally:
        green.unhold()
    op = f.wait_ended(1, 90)
    require(op["state"] == "rolled-back" and "by Burrow's rules" in op["why"], f"{op}")
    f.stop_producers()
    f.wait_drained()
    f.expect_clean()


def open_transaction(w):
    """Somebody's transaction is left open on a partition: all that comes after it waits, which is not green's fault."""
    f = judged(w, {"no_progress": "10s"}, switch={"observe": "25s"}, members={"processing_max": "5s"})
    f.switch("--no-wait").wait().expect(0)
    f.wait_op(1, ("observing",))
    w.ask("open", next(iter(f.topics)), 0)

    def stuck():
        """As the brokers have it; on a machine that is busy they may take too long once."""
        answer = {}

        def told():
            answer.update(f.api("GET", f"/v1/fleets/{f.name}?offsets=true", fine=(200, 503)))
            return "partitions" in answer

        wait_until(told, 60, "the offsets", 0.5)
        return next(p for p in answer["partitions"] if p["partition"] == 0)

    at = stuck()["committed"]["green"]
    wait_until(lambda: stuck()["log_end"] > at + RATE, 30, lambda: f"records to wait behind the transaction: {stuck()}", 0.2)
    op = f.wait_ended(1, 90)
    require(op["state"] == "complete", f"{op}")
    require(stuck()["log_end"] - stuck()["committed"]["green"] > RATE, f"nothing waited: {stuck()}")
    w.ask("settle")
    wait_until(lambda: stuck()["committed"]["green"] > at + 2 * RATE, 30, lambda: f"it to go on: {stuck()}", 0.2)
    f.stop_producers()
    f.wait_drained()  # the auditor, which reads aborted records too, has no part in this


TESTS = [
    Test("judge-worse", worse),
    Test("judge-new-leader", new_leader),
    Test("judge-yardstick-left", yardstick_left),
    Test("judge-healthy", healthy),
    Test("judge-prometheus-down", prometheus_down),
    Test("judge-vanished", vanished),
    Test("judge-takes-and-does-nothing", takes_and_does_nothing),
    Test("judge-window", window),
    Test("judge-open-transaction", open_transaction),
]
