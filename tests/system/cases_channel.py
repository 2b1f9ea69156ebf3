"""Members that hear from their controller by other ways than Kafka's topics; audited like the others."""

from cases_switch import audit_note, require, there_and_back
from fleet import Test
from kafka import end_child, wait_until


def over_http(f, blue=2, green=2, controllers=2, rate=20000):
    """As Fleet.up(), but the members are told of the controllers only: none of their handles opens one of Baton's topics."""
    for _ in range(controllers):
        f.add_controller()
    f.member_options.update({"baton.channel": "http", "baton.controllers": ",".join(c.url for c in f.controllers)})
    return f.up(blue, green, controllers=0, rate=rate)


def http_switch(w):
    """There and back, every member on the event stream of one of two controllers."""
    return audit_note(there_and_back(over_http(w.fleet({"in": 12})), 12))


def http_controller_dies(w):
    """The controller that holds the streams is killed in the middle of a switch: the members go over to the other one."""
    f = over_http(w.fleet({"in": 6}), rate=2000)
    leader = wait_until(f.leader, 30, "a leader")
    follower = next(c for c in f.controllers if c is not leader)
    running = f.switch("--deadline", "40s", to="green", address=["--server", follower.url])
    f.wait_op(1, ("passing", "observing", "complete"))
    end_child(leader.child, 9)
    running.wait()
    f.wait_ended(1)
    f.wait_flowing()
    ended = f.op(1)["state"]
    f.switch_when_allowed().expect(0)
    f.wait_flowing()
    f.expect_clean()
    return ended


def http_outage(w):
    """No controller for a while: who holds partitions goes on, who stands by stays so, and a new member delivers nothing."""
    f = over_http(w.fleet({"in": 6}), controllers=1, rate=2000)
    controller = f.controllers[0]
    controller.child.send_signal(19)  # SIGSTOP: connections stay open and say nothing
    try:
        late = f.add_member("green")
        f.wait_flowing("blue")
        require(late.lines() == 0 and all(m.lines() == 0 for m in f.of("green")), "a standby delivered records")
    finally:
        controller.child.send_signal(18)
    if not late.alive():
        late.start()  # it said within ten seconds that no controller answers
    f.wait_member(late)
    f.wait_plan()
    f.switch(to="green").wait().expect(0)
    f.wait_flowing("green")
    return audit_note(f.expect_clean())


TESTS = [
    Test("http-switch", http_switch),
    Test("http-controller-dies", http_controller_dies),
    Test("http-outage", http_outage),
]
