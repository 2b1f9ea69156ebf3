"""Members that hear from their controller by other ways than Kafka's topics; audited like the others."""

import os
import socket
import subprocess

from cases_switch import audit_note, require, there_and_back
from fleet import PATIENCE, Test
from kafka import ROOT, Failure, end_child, free_ports, start_child, wait_until


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


class Redis:
    """A real one, which keeps nothing: every start is an empty one."""

    def __init__(self, f):
        found = subprocess.run([os.path.join(ROOT, "scripts", "redis.sh")], stdout=subprocess.PIPE, text=True, check=False)
        if found.returncode != 0:
            raise Failure("scripts/redis.sh could not provide Redis")
        self.program, self.port, self.log = found.stdout.strip(), free_ports(1)[0], f.path("redis.log")
        self.url = f"redis://127.0.0.1:{self.port}"
        self.child = None
        self.start()

    def start(self):
        self.child = start_child([self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                                 self.log)
        wait_until(lambda: self.ask("PING") == "+PONG", PATIENCE, f"Redis to answer, see {self.log}")

    def ask(self, *words):
        """The first line of its reply; "" when there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
                s.sendall((" ".join(words) + "\r\n").encode())
                return s.makefile().readline().strip()
        except OSError:
            return ""

    def kill(self):
        end_child(self.child, 9)


def over_redis(f, blue=2, green=2, controllers=2, rate=2000):
    """As over_http(): nothing that the members are told of leads to a controller, or to Baton's topics."""
    redis = Redis(f)
    f.serve_options += ["--redis", redis.url]
    f.member_options.update({"baton.channel": "redis", "baton.redis": redis.url})
    return f.up(blue, green, controllers=controllers, rate=rate), redis


def redis_switch(w):
    """There and back through a real Redis."""
    f, _ = over_redis(w.fleet({"in": 12}), rate=20000)
    return audit_note(there_and_back(f, 12))


def broken_in_mid_switch(f, harm):
    """`harm` comes while partitions pass; the switch ends, whichever way, and the next one is clean."""
    with f.phase("releasing"):
        harm()
    f.wait_flowing()
    ended = f.op(1)["state"]
    f.switch_when_allowed().expect(0)
    f.wait_flowing()
    return f"{ended}; {audit_note(f.expect_clean())}"


def redis_killed(w):
    """Redis is killed in the middle of a switch, and comes back empty."""
    f, redis = over_redis(w.fleet({"in": 6}))

    def harm():
        redis.kill()
        redis.start()

    return broken_in_mid_switch(f, harm)


def redis_flushed(w):
    """FLUSHALL in the middle of a switch, some times."""
    f, redis = over_redis(w.fleet({"in": 6}))

    def harm():
        for _ in range(5):
            require(redis.ask("FLUSHALL") == "+OK", "Redis was not flushed")

    return broken_in_mid_switch(f, harm)


def redis_outage(w):
    """No Redis for a while: who holds partitions goes on, who stands by stays so; then everything goes on."""
    f, redis = over_redis(w.fleet({"in": 6}), controllers=1)
    redis.kill()
    f.wait_flowing("blue")
    require(all(m.lines() == 0 for m in f.of("green")), "a standby delivered records")
    redis.start()
    f.wait_plan()
    f.switch(to="green").wait().expect(0)
    f.wait_flowing("green")
    return audit_note(f.expect_clean())


TESTS = [
    Test("redis-switch", redis_switch),
    Test("redis-killed", redis_killed),
    Test("redis-flushed", redis_flushed),
    Test("redis-outage", redis_outage),
    Test("http-switch", http_switch),
    Test("http-controller-dies", http_controller_dies),
    Test("http-outage", http_outage),
]
