"""The main job: switch, canary, rollback, pause and receipts under load, with every assignment protocol; audited each time."""

import http.client
import os
import time

from fleet import Test, other
from kafka import Failure, end_child, start_child, wait_until

RANGE = {"partition.assignment.strategy": "range"}
KIP848 = {"group.protocol": "consumer", "session.timeout.ms": None, "heartbeat.interval.ms": None,
          "partition.assignment.strategy": None}
# What a broker of this suite gives a KIP-848 member (kafka.py): the fleet file must say the same.
KIP848_SPEC = {"members": {"session_timeout": "8s", "processing_max": "2s"}}


def require(fact, what):
    if not fact:
        raise Failure(what)


def check_receipt(f, number, partitions):
    """Every partition was handed over at the very offset that the brokers had; --verify agrees."""
    receipt = f.cli("receipt", f.name, str(number), "-o", "json").expect(0).json()
    require(len(receipt["partitions"]) == partitions, f"the receipt has {len(receipt['partitions'])} partitions of {partitions}")
    for p in receipt["partitions"]:
        way = p["forth"]
        where = f"{p['topic']}/{p['partition']}: {way}"
        require(way["taken"] and way["released"] == way["committed"] == way["from"], f"not handed over at one offset: {where}")
        require(way["first"] is not None and way["first"] >= way["from"], f"the taker began elsewhere: {where}")
        require(way["standstill_ms"] is not None and way["standstill_ms"] >= 0, f"no standstill: {where}")
    require(receipt["totals"]["lost"] == 0 and receipt["totals"]["repeated"] == 0, f"totals: {receipt['totals']}")
    f.cli("receipt", f.name, str(number), "--verify").expect(0)
    return receipt


def audit_note(a):
    s = a["standstill_ms"]
    if not s["count"]:  # records so seldom that no partition was seen to change hands between two of them
        return f"{a['produced']} records, no standstill to be seen"
    return f"{a['produced']} records, standstill p50 {s['p50']:.0f} p99 {s['p99']:.0f} max {s['max']:.0f} ms"


def there_and_back(f, partitions, *flags):
    f.switch("--reason", "deploy 2.0", to="green").wait().expect(0)
    require(f.op()["state"] == "complete" and f.active() == "green", f"after the switch: {f.op()}")
    first = f.number()
    check_receipt(f, first, partitions)
    f.wait_flowing()
    f.cli("rollback", f.name, "--reason", "not good").expect(0)
    require(f.active() == "blue", "blue does not work after the rollback")
    check_receipt(f, f.number(), partitions)
    f.wait_flowing()
    a = f.expect_clean(*flags)
    require(a["standstill_ms"]["count"] >= 2 * partitions, f"the workers saw {a['standstill_ms']['count']} changes of color, not "
            f"{2 * partitions}: some color processed nothing")
    return a


def switch_12(w):
    """Switch and rollback, 12 partitions, 20,000 records/s; Baton's topics under their own names."""
    f = w.fleet({"in": 12}, prefix="").up()
    return audit_note(there_and_back(f, 12))


def switch_64(w):
    """The same with 64 partitions and three members a color."""
    f = w.fleet({"in": 64}).up(blue=3, green=3)
    return audit_note(there_and_back(f, 64))


def switch_two_topics(w):
    """A fleet of two topics."""
    f = w.fleet({"orders": 6, "refunds": 3}).up(rate=5000)
    return audit_note(there_and_back(f, 9))


def switch_range(w):
    """Range, an eager assignor: switch, rollback, a member that joins in between."""
    f = w.fleet({"in": 12}, member_options=RANGE).up()
    f.add_member("green", wait=True)
    f.wait_shared()
    f.wait_plan()
    return audit_note(there_and_back(f, 12))


def switch_kip848(w):
    """group.protocol=consumer: switch, rollback, a member that joins in between."""
    f = w.fleet({"in": 12}, member_options=KIP848, spec=KIP848_SPEC).up()
    f.add_member("green", wait=True)
    f.wait_shared()
    f.wait_plan()
    return audit_note(there_and_back(f, 12))


def switch_paused(w):
    """Members that stand by paused instead of detached."""
    f = w.fleet({"in": 12}, member_options={"baton.standby": "paused"}).up()
    return audit_note(there_and_back(f, 12))


def switch_threads(w):
    """Four polling threads a worker, done in any order."""
    f = w.fleet({"in": 12}).up(**{"threads": 4, "shuffle": True})
    f.switch(to="green").wait().expect(0)
    f.wait_flowing()
    f.cli("rollback", f.name).expect(0)
    f.wait_flowing()
    return audit_note(f.expect_clean("--unordered"))


def switch_many(w):
    """Ten switches to and fro, one right after the other."""
    f = w.fleet({"in": 12}).up()
    for _ in range(10):
        f.switch().wait().expect(0)
    a = f.expect_clean()
    require(a["standstill_ms"]["max"] < 5000, f"a partition stood still for {a['standstill_ms']['max']} ms")
    return audit_note(a)


def switch_quiet(w):
    """Partitions without any record, and with one now and then."""
    f = w.fleet({"empty": 3, "slow": 3}).up(rate=0)
    slow = next(t for t in f.topics if t.endswith("slow"))
    f.produce(6, topic=slow)
    for _ in range(3):
        f.switch().wait().expect(0)
    wait_until(lambda: f.lines() > 300, 30, "the slow topic to be processed")
    return audit_note(f.expect_clean())


def canary(w, member_options=None, spec=None):
    f = w.fleet({"in": 12}, member_options=member_options, spec=spec).up()
    r = f.switch("--stages", "10%,50%,100%", "--observe", "2s", to="green")
    seen = {}

    def look():
        if r.child.poll() is not None:
            return True
        s = f.status()
        op = s["operation"]
        if op and op["state"] == "observing":
            held = [p for p in s["partitions"] if p["holder"] == "green"]
            seen.setdefault(op["stage"], set()).add(len(held))
        return False

    wait_until(look, 60, "the canary to end", 0.05)
    r.wait().expect(0)
    counts = [seen.get(k, set()) for k in sorted(seen)]
    require(counts == [{2}, {6}, {12}], f"green held {counts} partitions while stages were observed, not 2, 6, 12")
    require(f.active() == "green", "green does not work after the canary")
    return audit_note(f.expect_clean())


def canary_stages(w):
    """10%, 50%, 100%: 2, 6 and 12 of 12 partitions, observed in between."""
    return canary(w)


def canary_range(w):
    """The stages under an eager assignor."""
    return canary(w, RANGE)


def canary_kip848(w):
    """The stages under KIP-848."""
    return canary(w, KIP848, KIP848_SPEC)


def canary_turned_back(w):
    """Rollback while the first stage is observed: exit 6 for the switch, 0 for the rollback."""
    f = w.fleet({"in": 12}).up()
    r = f.switch("--stages", "50%,100%", "--observe", "30s", to="green")
    wait_until(lambda: f.number() == 1, 20, "the switch to be accepted")
    f.wait_op(1, ("observing",))
    f.wait_flowing("any")
    f.cli("rollback", f.name, "--reason", "no").expect(0)
    r.wait().expect(6)
    op = f.op(1)
    require(op["state"] == "rolled-back" and f.active() == "blue", f"after the way back: {op}")
    require(all(p["holder"] == "blue" for p in f.status()["partitions"]), "green still holds partitions")
    return audit_note(f.expect_clean())


def canary_steered(w):
    """Stages by name and number; held, promoted, and taken back by hand; nothing else is taken back."""
    f = w.fleet({"in": 12}).up()
    topic = next(iter(f.topics))
    f.cli("abort", f.name).expect(5, "nothing is under way")
    f.cli("switch", f.name, "--stages", f"{topic}/99,100%", "--to", "green").expect(5, f"{topic}/99")
    f.cli("plan", f.name, "--to", "green", "--stages", f"{topic}/3,{topic}/7,6,100%").expect(0, "stage 1: 2 of 12", "stage 2: 6 of 12")
    r = f.switch("--stages", f"{topic}/3,{topic}/7,6,100%", "--observe", "3s", to="green")
    f.wait_op(1, ("observing",))
    f.cli("hold", f.name).expect(0)
    held = sorted(p["partition"] for p in f.status()["partitions"] if p["holder"] == "green")
    require(held == [3, 7], f"green holds {held}, not 3 and 7, which were named")
    time.sleep(4)  # longer than the stage would have been observed
    op = f.op(1)
    require(op["state"] == "observing" and op["stage"] == 0 and op["held"], f"a stage that is held goes on: {op}")
    f.cli("promote", f.name).expect(0)
    wait_until(lambda: (f.op(1)["stage"], f.op(1)["state"]) == (1, "observing"), 30, "the second stage to pass")
    count = sum(p["holder"] == "green" for p in f.status()["partitions"])
    require(count == 6, f"green holds {count} partitions in the second stage, not 6")
    f.cli("abort", f.name, "--reason", "enough seen").expect(0)
    r.wait().expect(7)  # it looked on until somebody was needed: that was the hold
    require(f.active() == "blue" and all(p["holder"] == "blue" for p in f.status()["partitions"]), "green still holds partitions")
    return audit_note(f.expect_clean())


def throttle(w):
    """A share of the partitions works, through a rebalance and a new leader; and back."""
    f = w.fleet({"in": 12}).up()
    f.cli("throttle", f.name, "--partitions", "12").expect(5, "no throttle")
    f.cli("throttle", f.name, "--partitions", "4", "--reason", "slow database").expect(0, "4 partitions work")
    working = lambda: {p["partition"] for p in f.status()["partitions"] if p["state"] != "paused"}  # noqa: E731
    four = working()
    require(f.status()["phase"] == "throttled" and len(four) == 4, f"phase {f.status()['phase']}, {four} work")
    f.cli("status", f.name).expect(0, "is throttled: 4 of 12 partitions work")
    f.cli("throttle", f.name, "--partitions", "4").expect(5, "already")
    f.cli("switch", f.name).expect(1, "paused")
    f.add_member("blue", wait=True)
    f.add_controller()
    end_child(f.controllers[0].child)  # hands over
    f.leader()
    require(f.status()["phase"] == "throttled" and working() == four, f"after a new leader {working()} work, not {four}")

    def committed():
        parts = f.api("GET", f"/v1/fleets/{f.name}?offsets=true")["partitions"]
        return {p["partition"]: p["committed"]["blue"] for p in parts}

    before = committed()
    wait_until(lambda: all(committed()[p] > before[p] for p in four), 30, "the four that work to go on")
    now = committed()
    moved = [p for p in now if p not in four and now[p] != before[p]]
    require(not moved, f"{moved} moved, though they wait")
    f.cli("throttle", f.name, "--partitions", "50%").expect(0)
    require(len(working()) == 6 and four <= working(), f"{working()} work, and {four} did before")
    f.cli("throttle", f.name, "--partitions", "all").expect(0)
    require(f.status()["phase"] == "steady", f"phase {f.status()['phase']}")
    f.wait_flowing()
    return audit_note(f.expect_clean())


def slow_join(w):
    """Kafka's default group.initial.rebalance.delay.ms: start, switch, members that come and go."""
    f = w.fleet({"in": 12}).up()
    f.switch(to="green").wait().expect(0)
    f.of("blue")[0].leave()
    f.of("green")[0].leave()
    for color in ("blue", "green"):
        f.add_member(color, wait=True)
    f.wait_shared()
    f.wait_plan()
    f.cli("rollback", f.name).expect(0)
    return audit_note(f.expect_clean())


def pause_resume(w):
    """Pause: nobody works, nothing is lost; resume: it goes on."""
    f = w.fleet({"in": 12}).up()
    f.cli("pause", f.name, "--reason", "migration").expect(0)
    require(f.status()["phase"] == "paused", f"phase {f.status()['phase']}")
    lines = f.lines()
    m = f.add_member("blue", wait=True)  # a rebalance must not wake anyone
    time.sleep(1)  # a look at "nothing happens" has to last
    require(f.lines() - lines < 500, "records were processed while the fleet was paused")  # remarks of the new file
    f.cli("switch", f.name).expect(1)
    f.cli("resume", f.name).expect(0)
    require(f.status()["phase"] == "steady", f"phase {f.status()['phase']}")
    f.wait_flowing()
    require(m.lines() > 0, "the new member did nothing after the resume")
    a = f.expect_clean()
    return f"{a['produced']} records"


def replay(w):
    """rollback --replay: what green did is done again by blue, and all of it is listed."""
    f = w.fleet({"in": 12}).up(rate=2000)
    f.switch(to="green").wait().expect(0)
    f.wait_flowing()
    f.cli("rollback", f.name, "--replay", "--reason", "green wrote rubbish").expect(0)
    f.wait_flowing()
    a = f.expect_clean(across=True)
    require(a["repeated_across"] > 0, "nothing was done again")
    require(a["listed"] >= a["repeated_across"], f"{a['repeated_across']} repeated, {a['listed']} listed")
    return f"{a['repeated_across']} done again, all listed"


def verify(w):
    """receipt --verify agrees, also much later, and disagrees when somebody moved the offsets."""
    f = w.fleet({"in": 3}).up(rate=1000)
    f.switch(to="green").wait().expect(0)
    f.cli("receipt", f.name, "--verify").expect(0)
    f.stop_producers()
    f.wait_drained()
    for m in f.members:
        m.leave()
    f.cli("receipt", f.name, "--verify").expect(0)
    topic = next(iter(f.topics))
    w.ask("commit", f"{f.name}-green", topic, 1, 0)
    f.cli("receipt", f.name, "--verify").expect(1, "1")
    wrong = f.api("GET", f"/v1/fleets/{f.name}/switches/1/verify")
    require(not wrong["agrees"] and wrong["findings"], f"verify says {wrong}")


def partitions_added(w):
    """Partitions added to a topic under load, before and after a switch."""
    f = w.fleet({"in": 6})
    # Metadata is looked at every five minutes by default; a test has less patience.
    f.member_options["topic.metadata.refresh.interval.ms"] = 1000
    f.up(rate=0)
    topic = next(iter(f.topics))
    f.produce(6000, grows=True)
    f.wait_flowing()
    for count in (9, 12):
        active = f.active()
        w.ask("partitions", topic, count)
        wait_until(lambda c=count: len(f.status()["partitions"]) == c, 60, f"Baton to know {count} partitions")
        f.topics[topic] = count
        require({p["holder"] for p in f.status()["partitions"]} == {active}, "a new partition is not the active color's")
        f.wait_plan()
        f.switch().wait().expect(0)
        require(all(p["holder"] == other(active) for p in f.status()["partitions"]), "not all partitions passed")
    return audit_note(f.expect_clean())


def follow(w):
    """Standbys commit the active color's offsets, marked as such, so that lag monitors see the truth."""
    f = w.fleet({"in": 6}, spec={"members": {"follow_interval": "500ms", "session_timeout": "6s", "processing_max": "2s"}})
    f.up(rate=2000)
    topic = next(iter(f.topics))

    def followed():
        got = w.ask("committed", f"{f.name}-green", topic)
        return all(c["offset"] > 100 and c["metadata"] == "baton/1 follow" for c in got.values())

    wait_until(followed, 30, "green to follow")
    marks = {c["metadata"] for c in w.ask("committed", f"{f.name}-blue", topic).values()}
    require(all(m.startswith("baton/1 epoch=") for m in marks), f"blue's commits are marked {marks}")
    f.switch(to="green").wait().expect(0)
    wait_until(lambda: all(c["metadata"] == "baton/1 follow" for c in w.ask("committed", f"{f.name}-blue", topic).values()), 30,
               "blue to follow after the switch")
    f.expect_clean()


def existing_group(w):
    """A group that worked without Baton goes on where it stood: blue takes its name and its offsets."""
    f = w.fleet({"in": 6}, spec={"colors": {"blue": {"group": f"{w.name}-old"}}})
    topic = next(iter(f.topics))
    f.groups = lambda: {"blue": f"{w.name}-old", "green": f"{f.name}-green"}
    f.produce(3000)
    old = f.path("old.txt")
    child = start_child([w.tools.bare, "--bootstrap.servers", w.kafka.bootstrap, "--group.id", f"{w.name}-old", "--topic", topic,
                         "--auto.offset.reset", "earliest", "--out", old], f.path("old.log"))
    wait_until(lambda: os.path.exists(old) and os.path.getsize(old) > 20000, 30, "the old consumer to work")
    require(end_child(child) == 0, "the old consumer did not end well")
    f.up(rate=0)
    f.wait_flowing()
    f.switch(to="green").wait().expect(0)
    f.wait_flowing()
    f.more_files = [old]
    a = f.expect_clean(across=False)
    return audit_note(a)


def commands(w):
    """status, history, fleet list and show, plan, --dry-run, --no-wait, in both forms; reads change nothing."""
    f = w.fleet({"in": 3}).up(rate=1000)
    f.cli("plan", f.name).expect(0)
    require(f.cli("plan", f.name, "-o", "json").expect(0).json()["ok"], "plan -o json says no")
    f.cli("switch", f.name, "--dry-run").expect(0)
    require(f.number() == 0, "--dry-run made an operation")
    f.cli("switch", f.name, "--no-wait", "-o", "json", "--reason", "why not").expect(0)
    f.wait_ended(1)
    for args in (("status", f.name), ("status",), ("history", f.name), ("fleet", "list"), ("receipt", f.name)):
        f.cli(*args).expect(0)
        f.cli(*args, "-o", "json").expect(0).json()
    f.cli("status", f.name, "-o", "wide").expect(0, "green")
    f.cli("history", f.name).expect(0, "why not")
    f.cli("fleet", "show", f.name).expect(0, f.name)
    f.cli("receipt", f.name, "7").expect(3)
    f.cli("status", "no-such-fleet").expect(3)
    for color in ("blue", "green"):
        for m in f.of(color):
            m.leave()
    f.cli("fleet", "delete", f.name, "--yes").expect(0)
    f.cli("status", f.name).expect(3)


def no_server(w):
    """A fleet of two members a color, and how a command reaches it by itself."""
    f = w.fleet({"in": 6})
    direct = ["--bootstrap", w.kafka.bootstrap, *f.prefix_option]
    f.apply(address=direct)
    for color in ("blue", "green"):
        for _ in range(2):
            f.add_member(color)
    return f, direct


def serverless(w):
    """--bootstrap without a server: apply, switch, status, rollback, receipt; each command leads while it runs."""
    f, direct = no_server(w)
    f.produce(5000)
    wait_until(lambda: f.cli("plan", f.name, address=direct).code == 0, 60, "the preflight to be content", 0.5)
    f.cli("switch", f.name, "--to", "green", address=direct).expect(0)
    f.wait_flowing("green")
    require(f.cli("status", f.name, "-o", "json", address=direct).expect(0).json()["active"] == "green", "status says otherwise")
    f.cli("rollback", f.name, address=direct).expect(0)
    f.cli("receipt", f.name, "--verify", address=direct).expect(0)
    history = f.cli("history", f.name, "-o", "json", address=direct).expect(0).json()
    require(len(history["switches"]) == 2, f"history: {history}")
    f.add_controller()  # for the receipts of the audit
    return audit_note(f.expect_clean())


def serverless_crash(w):
    """Without a server a member that crashed counts as gone to nobody who comes and goes: the switch leads, looks on, and then goes."""
    f, direct = no_server(w)
    f.produce(2000)

    def refusals():
        found = f.cli("plan", f.name, "-o", "json", address=direct).json()["findings"]
        return [x["code"] for x in found if x["severity"] == "refusal"]

    wait_until(lambda: not refusals(), 60, "the preflight to be content", 0.5)
    f.of("blue")[0].kill()
    wait_until(lambda: refusals() == ["member-not-listed"], 60, "the brokers to drop who crashed", 0.5)
    f.cli("switch", f.name, "--no-wait", address=direct).expect(1, "member-not-listed")
    f.cli("switch", f.name, address=direct).expect(0, "nobody else leads", "is complete")
    f.wait_flowing("green")
    f.add_controller()  # for the receipts of the audit
    return audit_note(f.expect_clean(within=True))


def handed_over(w):
    """--bootstrap while a controller leads: the command hands its order to that one."""
    f = w.fleet({"in": 6}).up(rate=5000)
    direct = ["--bootstrap", w.kafka.bootstrap, *f.prefix_option]
    term = f.status()["term"]
    f.cli("switch", f.name, "--to", "green", address=direct).expect(0)
    require(f.status()["term"] == term, "the command took the lead from a controller that works")
    f.cli("switch", f.name, "--to", "green", address=direct).expect(1)  # it has it already
    f.cli("rollback", f.name, address=direct).expect(0)
    return audit_note(f.expect_clean())


def follower(w):
    """Two controllers: the one that does not lead reads itself and sends changes on to the leader (307)."""
    f = w.fleet({"in": 3}).up(controllers=2, rate=1000)
    leader = wait_until(f.leader, 30, "a leader")
    (second,) = [c for c in f.controllers if c is not leader]
    status, said, _ = second.request("GET", f"/v1/fleets/{f.name}")
    require(status == 200 and said["name"] == f.name, f"the follower does not read: {status} {said}")
    status, said, headers = second.request("POST", f"/v1/fleets/{f.name}/switches", {"to": "green"})
    require(status == 307 and headers["Location"].startswith(leader.url), f"{status} {headers['Location']}, leader {leader.url}")
    f.cli("switch", f.name, "--to", "green", address=["--server", second.url]).expect(0)
    require(f.active() == "green", "the switch was not made")
    f.expect_clean()


def events(w):
    """/v1/events tells a switch as it goes, and goes on after Last-Event-ID."""
    f = w.fleet({"in": 3}).up(rate=1000)

    def read(last, until):
        c = http.client.HTTPConnection("127.0.0.1", f.controllers[0].port, timeout=30)
        c.request("GET", "/v1/events", headers={"Last-Event-ID": last} if last else {})
        r = c.getresponse()
        require(r.status == 200 and r.headers["Content-Type"].startswith("text/event-stream"), f"events: {r.status}")
        ret, one = [], {}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            line = r.readline().decode().rstrip("\r\n")
            if line.startswith("id:"):
                one["id"] = line[3:].strip()
            elif line.startswith("event:"):
                one["event"] = line[6:].strip()
            elif line.startswith("data:"):
                one["data"] = one.get("data", "") + line[5:].strip()
            elif not line and one:
                ret.append(one)
                if until(one):
                    c.close()
                    return ret
                one = {}
        raise Failure(f"the event did not come; there were {[(e.get('id'), e.get('event')) for e in ret][-20:]}")

    f.switch(to="green").wait().expect(0)
    first = read("0", lambda e: "complete" in e.get("data", ""))
    ids = [e["id"] for e in first if "id" in e]
    require(len(ids) == len(set(ids)), f"an id came twice: {ids}")
    f.cli("rollback", f.name).expect(0)
    again = read(ids[-1], lambda e: "complete" in e.get("data", ""))
    require(not set(ids) & {e.get("id") for e in again}, "events before Last-Event-ID came again")


def three_nodes(w):
    """Three brokers; one is killed in the middle of a switch and comes back."""
    f = w.fleet({"in": 12}).up()
    with f.phase("releasing") as p:
        w.kafka.nodes[1].kill()
        time.sleep(1)  # let it be missed
    require(p["op"]["state"] in ("complete", "rolled-back"), f"the switch ended {p['op']}")
    w.kafka.nodes[1].start()
    w.kafka.nodes[1].wait_ready()
    f.wait_flowing()
    f.wait_plan()
    f.switch().wait(120).expect(0)
    a = f.expect_clean(within=True)
    return audit_note(a)


TESTS = [
    Test("switch-12", switch_12),
    Test("switch-64", switch_64),
    Test("switch-two-topics", switch_two_topics),
    Test("switch-range", switch_range),
    Test("switch-kip848", switch_kip848),
    Test("switch-paused", switch_paused),
    Test("switch-threads", switch_threads),
    Test("switch-many", switch_many),
    Test("switch-quiet", switch_quiet),
    Test("canary-stages", canary_stages),
    Test("canary-range", canary_range),
    Test("canary-kip848", canary_kip848),
    Test("canary-turned-back", canary_turned_back),
    Test("canary-steered", canary_steered),
    Test("throttle", throttle),
    Test("pause-resume", pause_resume),
    Test("replay", replay),
    Test("verify", verify),
    Test("partitions-added", partitions_added),
    Test("follow", follow),
    Test("existing-group", existing_group),
    Test("commands", commands),
    Test("serverless", serverless),
    Test("serverless-crash", serverless_crash),
    Test("handed-over", handed_over),
    Test("follower", follower),
    Test("events", events),
]
LAST = [
    Test("slow-join", slow_join, "slow-join"),
    Test("three-nodes", three_nodes, "three"),
]
