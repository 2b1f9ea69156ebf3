"""How long an application stands still that nobody has changed: Spring Cloud Stream, stopped and started as a whole by its agent.

Boot 3.5 and Boot 4.1, switched to and fro under load; the floor of it is what a group that was Empty waits for by the brokers' settings:
`group.initial.rebalance.delay.ms` with the classic protocol, a heartbeat with the new one.
"""

import cases_foreign

PARTITIONS = 6
RATE = 600  # what piles up meanwhile is the application's own affair: a partition waits for the pile of the one before it
GOAL_MS = 300
HEARTBEAT_MS = 5000  # of a default broker
# protocol, initial rebalance delay, what the brokers make it wait, as long as the goal adds it
RUNS = (("classic", 0, 0), ("classic", 3000, 3000), ("consumer", 0, HEARTBEAT_MS))


def _run(b, protocol, delay_ms):
    b.stop_kafka()
    b.start_kafka(group_initial_rebalance_delay_ms=delay_ms, group_consumer_heartbeat_interval_ms=HEARTBEAT_MS,
                  group_consumer_session_timeout_ms=45000)
    session = "6s" if protocol == "classic" else "45s"
    f = b.fleet("foreign", {f"foreign-{b.count}": PARTITIONS}, spec={**cases_foreign.SPEC, "members": {"session_timeout": session, "processing_max": "2s"}})
    switches = max(6, b.args.switches // 8)
    try:
        cases_foreign.up(b, f, 1, rate=RATE, protocol=protocol)
        for i in range(switches):
            color = "green" if i % 2 == 0 else "blue"
            f.wait_plan()
            f.switch(to=color).wait(150).expect(0)
            f.wait_flowing(color)
        a = cases_foreign.clean(f, switches * PARTITIONS)
    finally:
        f.end()
        b.stop_kafka()
    return a["standstill_ms"]


def measure(b):
    """Spring Cloud Stream without Baton in it, switched to and fro by its agents, with what makes a group of Kafka wait."""
    for protocol, delay_ms, wait_ms in RUNS:
        s = _run(b, protocol, delay_ms)
        goal = GOAL_MS + wait_ms
        name = f"standstill of Spring Cloud Stream as it is, {'KIP-848' if protocol == 'consumer' else f'brokers delay {delay_ms} ms'}"
        b.figure(f"{name}, p99", s["p99"], "ms", f"{goal} ms", s["p99"] / goal)
        b.figure(f"{name}, p50", s["p50"], "ms", f"{goal} ms", s["p50"] / goal, "<= 1 x", s["p50"] <= goal)
