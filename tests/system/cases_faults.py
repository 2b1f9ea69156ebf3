"""Members, controllers and brokers that come, go, die and freeze, in every phase of a switch; audited each time.

A table of faults times the phases times the color that suffers. One fleet does all phases of a row, to and fro, so that
each switch also begins with what the last fault left behind. Whatever happens, the switch ends by itself, complete or
rolled back, and the audit is clean: what Kafka itself repeats within a color after a kill is counted apart.
"""

import time

from cases_switch import KIP848, KIP848_SPEC, RANGE, require
from fleet import Test, other
from kafka import Failure, end_child, wait_until

PHASES = ("before", "releasing", "granted", "observing", "after")
SESSION = 6  # seconds: members.session_timeout of these fleets
GONE = SESSION + 2  # and members.processing_max


def _join(f, p, color):
    f.add_member(color)


def _leave(f, p, color):
    m = f.of(color)[0]
    if m.frozen:
        m.thaw()
    m.unhold()
    m.leave()


def _kill(f, p, color):
    f.of(color)[0].kill()


def _restart(f, p, color):
    m = f.of(color)[0]
    m.kill()
    m.start()


def _freeze_short(f, p, color):
    """Longer than the session, shorter than it takes to be thought gone."""
    m = f.of(color)[0]
    m.freeze()
    time.sleep(SESSION + 1.5)
    m.thaw()


def _freeze_long(f, p, color):
    """Until the controller has forgotten it (or, where it still waits, well past that)."""
    m = f.of(color)[0]
    m.freeze()
    end = time.monotonic() + SESSION + GONE + 4
    while time.monotonic() < end:
        if all(x["client_id"] != m.name for x in f.status()["colors"][color]["members"]):
            break
        time.sleep(0.1)
    m.thaw()


FAULTS = {"freeze-long": _freeze_long, "kill": _kill, "restart": _restart, "freeze": _freeze_short, "join": _join, "leave": _leave}


def _top_up(f, count):
    """As many members of each color as at the start, all of them ready, nothing to refuse."""
    for color in ("blue", "green"):
        while len(f.of(color)) > count:
            f.of(color)[-1].leave()
        while len(f.of(color)) < count:
            f.add_member(color)
        for m in f.of(color):
            f.wait_member(m)
    f.wait_plan(90)


def members(w, fault, side, phases=PHASES, **options):
    """`side`: which color suffers, the one that holds ("from") or the one that takes ("to")."""
    hard = fault not in ("join", "leave")
    f = w.fleet({"in": 12}, **options).up(rate=5000)
    ends = []
    for phase in phases:
        _top_up(f, 2)
        if phase == "observing":  # long enough for the fault to be seen while it lasts
            args = ("--observe", f"{GONE + SESSION + 6}s" if hard else "4s")
        else:
            args = ()
        before = f.active()
        with f.phase(phase, *args) as p:
            FAULTS[fault](f, p, p[side])
        op = p["op"]
        require(op["state"] in ("complete", "rolled-back"), f"{fault} in phase {phase}: the switch ended {op['state']}: {op.get('why')}")
        require(p["answer"].code == (0 if op["state"] == "complete" else 6),
                f"{fault} in phase {phase}: exit code {p['answer'].code}, operation {op['state']}")
        s = f.status()
        require({b["state"] for b in s["partitions"]} == {"held"} and len({b["holder"] for b in s["partitions"]}) == 1,
                f"{fault} in phase {phase}: {s['partitions']}")
        require(s["active"] == (other(before) if op["state"] == "complete" else before), f"active is {s['active']} after {op['state']}")
        if not hard:
            require(op["state"] == "complete", f"{fault} in phase {phase} turned the switch back: {op.get('why')}")
        ends.append(f"{phase} {op['state']}")
        f.wait_flowing()
    # A process that slept through its end wakes with records in its hands: only what it alone still did may overlap.
    a = f.expect_clean(within=hard, overlaps=fault == "freeze-long")
    return "; ".join(ends) + f"; {a['produced']} records, {a['repeated_within']} within a color"


def _row(fault, side, **options):
    def run(w):
        return members(w, fault, side, **options)

    run.__doc__ = f"A member of the color that {'holds' if side == 'from' else 'takes'}: {fault}, in every phase."
    return run


def controllers(w, hard):
    """The leader dies in every phase with a second one standing by: the switch ends, complete or rolled back."""
    f = w.fleet({"in": 12}).up(rate=5000, controllers=2)
    f.direct = True
    ends = []
    for phase in PHASES:
        _top_up(f, 2)
        leader = wait_until(f.leader, 30, "a leader")
        args = ("--observe", "15s" if hard else "4s") if phase == "observing" else ()
        with f.phase(phase, *args) as p:
            began, term = time.monotonic(), f.term()
            if hard:
                end_child(leader.child, 9)
            else:
                require(end_child(leader.child) == 0, "the leader did not end cleanly")
            f.add_controller(wait=False)
            wait_until(lambda t=term: f.term() > t, 40, "another leader", 0.01)
            took = time.monotonic() - began
            require(took < (20 if hard else 8), f"the next one led after {took:.1f} s")
        op = p["op"]
        require(op["state"] in ("complete", "rolled-back"), f"phase {phase}: {op['state']}: {op.get('why')}")
        ends.append(f"{phase} {took:.1f} s {op['state']}")
        f.wait_flowing()
    a = f.expect_clean(within=hard)  # in "granted" the takers are frozen until the next one leads: as long as a session
    return "; ".join(ends) + f"; {a['produced']} records"


def controller_kill(w):
    """kill -9 of the leading controller in every phase, a second one standing by."""
    return controllers(w, True)


def controller_stop(w):
    """Clean stop of the leading controller in every phase: the next leads at once."""
    return controllers(w, False)


def controller_freeze(w):
    """The leader is frozen past its session and wakes up: its late words count for nothing."""
    f = w.fleet({"in": 12}).up(rate=5000, controllers=2)
    f.direct = True
    for phase in ("releasing", "granted"):
        leader = wait_until(f.leader, 30, "a leader")
        with f.phase(phase) as p:
            term = f.term()
            leader.child.send_signal(19)
            asleep, f.controllers = leader, [c for c in f.controllers if c is not leader]
            wait_until(lambda t=term: f.term() > t, 40, "another leader")
        asleep.child.send_signal(18)
        f.controllers.append(asleep)
        require(p["op"]["state"] in ("complete", "rolled-back"), f"{p['op']}")
        wait_until(lambda: sum(_leads(c) for c in f.controllers) == 1, 30, "exactly one leader")
        f.wait_flowing()
        f.wait_plan()
    f.switch().wait().expect(0)
    f.wait_flowing()
    a = f.expect_clean(within=True)  # in "granted" the takers are frozen as long, too
    return f"{a['produced']} records"


def _leads(c):
    try:
        status, body, _ = c.request("GET", "/v1/leader", seconds=3)
    except OSError:
        return False
    return status == 200 and body.get("self")


def outage(w):
    """No controller at all: work goes on, rebalances and restarts included; nobody starts what it was not given."""
    f = w.fleet({"in": 12}).up(rate=5000)
    f.switch(to="green").wait().expect(0)
    end_child(f.controllers[0].child, 9)
    f.wait_flowing("green")
    f.of("green")[0].kill()
    blue = f.of("blue")[0]
    blue.kill()
    blue.start()
    late = f.add_member("green")
    wait_until(lambda: late.lines() > 1000, 60, "a member that joined without a controller to work")
    f.wait_flowing("green")
    require(blue.lines() == 0, "a restarted member of the color that does not hold delivered records")
    f.add_controller()
    _top_up(f, 2)
    f.cli("rollback", f.name).expect(0)
    f.wait_flowing()
    a = f.expect_clean(within=True)
    return f"{a['produced']} records, {a['repeated_within']} within a color"


def restarted_waits(w):
    """Members restarted in mid-switch deliver nothing before they are told, whatever their color."""
    f = w.fleet({"in": 12}).up(rate=5000)
    with f.phase("releasing") as p:
        blue, green = f.of("blue")[0], f.of("green")[0]
        # The other blue member keeps the switch open with its records in flight.
        for m in (blue, green):
            m.unhold()
            m.leave() if m is green else m.kill()
            m.start()
        late = f.add_member("blue")
        for m in (blue, green, late):
            f.wait_member(m)
        releasing = {b["partition"] for b in f.status()["partitions"] if b["state"] == "releasing"}
        require(releasing, "no partition is being released any more")
        time.sleep(1)  # a look at "nothing happens" has to last
        for m in (blue, late):
            require(m.lines() == 0, f"{m.name} delivered records while its color is being released")
        require(not (_partitions(green) & releasing), "green works on partitions that blue has not released")
    require(p["op"]["state"] in ("complete", "rolled-back"), f"{p['op']}")
    f.wait_flowing()
    a = f.expect_clean(within=True)
    return f"{p['op']['state']}; {a['produced']} records"


def _partitions(m):
    with open(m.files[-1], encoding="utf-8") as f:
        return {int(line.split()[0]) for line in f if not line.startswith("#") and line.endswith("\n")}


def unreachable_refused(w):
    """Blue frozen: by default the switch is turned back, exit 6; blue goes on when it wakes."""
    f = w.fleet({"in": 12}).up(rate=5000)
    frozen = f.of("blue")[0]
    frozen.freeze()
    f.switch("--deadline", "5s", to="green").wait(90).expect(6)
    require(f.op()["state"] == "rolled-back", f"{f.op()}")
    require({b["holder"] for b in f.status()["partitions"]} == {"blue"}, "green holds partitions of a member that did not answer")
    frozen.thaw()
    f.wait_flowing()
    f.wait_plan()
    f.switch(to="green").wait().expect(0)
    f.wait_flowing()
    a = f.expect_clean(within=True)
    return f"{a['produced']} records, {a['repeated_within']} within a color"


def unreachable_fenced(w):
    """on_unreachable: fence. All of blue frozen: green goes on, what may be repeated is listed, the audit is inside that list."""
    f = w.fleet({"in": 12}, spec={"switch": {"deadline": "60s", "observe": "0s", "on_unreachable": "fence"}})
    f.member_options["baton.commit.interval.ms"] = 2000  # so that there is something in doubt
    f.up(rate=5000)
    frozen = f.of("blue")
    for m in frozen:
        m.freeze()
    began = time.monotonic()
    f.switch(to="green").wait(120).expect(0)
    took = time.monotonic() - began
    require(f.active() == "green", "green does not work")
    f.wait_flowing()
    for m in frozen:
        m.thaw()
    f.wait_flowing()
    receipt = f.cli("receipt", f.name, "-o", "json").expect(0).json()
    a = f.expect_clean(within=True, across=True)
    require(receipt["totals"]["repeated"] == a["listed"], f"the receipt's total {receipt['totals']} is not what it lists, {a['listed']}")
    require(a["repeated_across"] <= a["listed"], f"{a['repeated_across']} repeated, {a['listed']} listed")
    return f"fenced after {took:.0f} s, {a['listed']} listed, {a['repeated_across']} repeated across"


def doubt_waits(w):
    """Blue killed with work uncommitted, then a switch: green gets nothing that blue has done."""
    f = w.fleet({"in": 12})
    f.member_options["baton.commit.interval.ms"] = 5000
    f.up(blue=3, rate=5000)
    f.wait_flowing()
    f.of("blue")[0].kill()
    answer = f.switch_when_allowed("--deadline", "60s")
    require(answer.code in (0, 6), f"exit code {answer.code}: {answer.out}{answer.err}")
    f.wait_flowing()
    a = f.expect_clean(within=True)
    require(a["repeated_within"] > 0, "nothing was in doubt: this test tests nothing")
    return f"exit {answer.code}, {a['repeated_within']} within a color"


def broker(w, hard):
    f = w.fleet({"in": 12}).up(rate=5000, controllers=2)
    ends = []
    for phase in ("releasing", "granted", "observing"):
        _top_up(f, 2)
        with f.phase(phase, *(("--observe", "10s") if phase == "observing" else ())) as p:
            w.kafka.restart(hard=hard)
        op = p["op"]
        require(op["state"] in ("complete", "rolled-back"), f"phase {phase}: {op['state']}: {op.get('why')}")
        ends.append(f"{phase} {op['state']}")
        f.wait_flowing()
    a = f.expect_clean(within=True)
    return "; ".join(ends) + f"; {a['produced']} records, {a['repeated_within']} within a color"


def broker_restart(w):
    """The broker restarts in the middle of a switch."""
    return broker(w, False)


def broker_kill(w):
    """The broker is killed and restarts in the middle of a switch."""
    return broker(w, True)


def storm(w):
    """Random kills, joins, leaves and switches at random times, for a while; seeded by the test's name."""
    f = w.fleet({"in": 12}).up(rate=5000, controllers=2)
    r, f.direct = f.random, True
    end = time.monotonic() + 60
    story = []
    while time.monotonic() < end:
        running = f.switch("--deadline", "30s")
        for _ in range(r.randrange(0, 3)):
            time.sleep(r.random() * 0.5)
            color = r.choice(("blue", "green"))
            what = r.choice(("kill", "leave", "join", "controller", "restart"))
            story.append(f"{what} {color}")
            if what == "controller":
                leader = f.leader()
                if leader:
                    end_child(leader.child, 9)
                    f.add_controller(wait=False)
            elif what == "join" or not f.of(color):
                f.add_member(color)
            else:
                FAULTS[what](f, None, color)
        answer = running.wait(150)
        story.append(f"= {answer.code}")
        if answer.code not in (0, 1, 5, 6, 7):  # 7 is an end too: both colors lost members on the way; the audit judges
            raise Failure(f"exit code {answer.code} after {story}: {answer.err[-500:]}")
        number = f.number()
        if number:
            f.wait_ended(number)
        _top_up(f, 2)
    f.wait_flowing()
    a = f.expect_clean(within=True)
    return f"{len(story)} events, {story.count('= 7')} for the operator, {a['produced']} records, {a['repeated_within']} within a color"


# The long ones first: see run.py.
TESTS = [Test("storm", storm), Test("broker-restart", broker_restart), Test("broker-kill", broker_kill)]
TESTS += [Test(f"member-{fault}-{side}", _row(fault, side)) for fault in FAULTS for side in ("from", "to")]
TESTS += [
    Test("controller-kill", controller_kill),
    Test("controller-freeze", controller_freeze),
    Test("range-kill", _row("kill", "from", phases=("releasing", "granted"), member_options=RANGE)),
    Test("kip848-kill", _row("kill", "from", phases=("releasing", "granted"), member_options=KIP848, spec=KIP848_SPEC)),
    Test("unreachable-fenced", unreachable_fenced),
    Test("unreachable-refused", unreachable_refused),
    Test("doubt-waits", doubt_waits),
    Test("restarted-waits", restarted_waits),
    Test("outage", outage),
    Test("controller-stop", controller_stop),
    Test("range-join", _row("join", "to", phases=("releasing", "granted"), member_options=RANGE)),
    Test("kip848-join", _row("join", "from", phases=("releasing", "granted"), member_options=KIP848, spec=KIP848_SPEC)),
]
