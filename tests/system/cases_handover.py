"""The command line at bad moments: a leader that has just died, a topic that is a moment old, a fleet that goes; and the demo."""

import os
import subprocess

from cases_switch import require
from fleet import Test
from kafka import ROOT, end_child, wait_until


def leader_dies(w):
    """A follower that still names the dead leader is asked again until it leads itself."""
    f = w.fleet({"in": 6})
    f.up(controllers=2, rate=500)
    leader = wait_until(f.leader, 30, "a leader")
    follower = next(c for c in f.controllers if c is not leader)
    end_child(leader.child, 9)
    status, _, headers = follower.request("POST", f"/v1/fleets/{f.name}/switches", {"to": "blue"})
    require(status == 307 and headers["Location"].startswith(leader.url), f"the follower knows already: {status}")
    f.switch(to="green", address=["--server", follower.url]).wait().expect(0)
    require(f.op()["state"] == "complete" and f.active() == "green", f"after the switch: {f.op()}")
    require(f.number() == 1, f"it was carried out {f.number()} times")
    f.wait_flowing()
    f.expect_clean()


def new_topics(w):
    """A fleet of topics that were created a moment before; a topic that does not exist is told soon."""
    f = w.fleet({})
    f.add_controller()
    for i in range(4):
        topic, name, path = f"{f.name}.new-{i}", f"{f.name}-{i}", f.path(f"{i}.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"fleet: {name}\ntopics: [{topic}]\n")
        if i == 3:
            f.cli("fleet", "apply", path).expect(1, topic, "no such topic", "create the topic")
        else:
            w.ask("create", topic, 64, 1)
            f.cli("fleet", "apply", path).expect(0, "created")


def fleet_goes(w):
    """A fleet is deleted and made again: refused in mid-switch, its members stop, and go on where they stopped."""
    f = w.fleet({"in": 6})
    f.up(rate=500)
    with f.phase("observing", "--observe", "6s") as p:
        f.cli("fleet", "delete", f.name, "--yes").expect(5, "switch 1 is under way")
    p["answer"].expect(0)
    f.cli("fleet", "delete", f.name).expect(2, "--yes")
    f.cli("fleet", "delete", f.name, "--yes").expect(0, "deleted")
    f.cli("fleet", "delete", f.name, "--yes").expect(3, "there is no fleet")
    f.cli("status", f.name).expect(3)
    size = [-1]

    def still():
        before, size[0] = size[0], f.lines()
        return before == size[0]

    wait_until(still, 30, "the members to stop", 1.0)
    f.spec["active"] = "green"  # where the switch had brought it
    f.apply()
    f.wait_flowing("green")
    for m in list(f.members):
        m.leave()
    f.cli("fleet", "delete", f.name, "--yes").expect(0, "deleted")
    f.apply()  # without members, too
    f.add_member("green")
    f.wait_flowing("green")
    f.expect_clean(within=True)


def demo(w):
    """`baton demo -o json` on a real Kafka: nothing lost, nothing done twice unlisted, nothing left running or on the cluster."""
    before = set(w.ask("topics")), set(w.ask("groups"))
    r = subprocess.run([os.path.join(ROOT, "tests", "unit", "demo.py"), w.tools.baton, "--bootstrap", w.kafka.bootstrap],
                       capture_output=True, text=True, timeout=240, check=False)
    require(r.returncode == 0, r.stdout[-2000:] + r.stderr[-500:])
    left = (set(w.ask("topics")) - before[0] - {"__consumer_offsets"}) | (set(w.ask("groups")) - before[1])
    require(not left, f"left behind: {left}")


TESTS = [Test("leader-dies", leader_dies), Test("new-topics", new_topics), Test("fleet-goes", fleet_goes), Test("demo", demo)]
