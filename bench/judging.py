"""How often the judge is wrong, how soon it is right, and how soon all is back.

The first two on simulated fleets (bench/judge.c, which also prints a table beside what others do with the same traffic); the last on a
real Kafka, with members of which one record in five begins to fail: by the test's clock from that moment to the end of the way back.
"""

import json
import os
import subprocess
import time

import judge_plot
from kafka import Failure, wait_until

BOUND = 5.0  # percent of healthy versions that may be turned back: judge.alpha
LOOK = 1.0   # seconds, the observation interval of the real fleet


def simulated(b):
    quick = b.args.quick
    argv = [os.path.join(b.tools.build, "bench", "judge"), "--runs", "500" if quick else "10000", "--peers", "40" if quick else "300"]
    r = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=3600)
    if r.returncode != 0:
        raise Failure(f"bench/judge: {r.stderr}")
    b.say(r.stdout[:r.stdout.rindex("{\"judge\"")])
    plot = os.path.join(b.tools.build, "judge-power.svg")
    with open(plot, "w", encoding="utf-8") as file:
        file.write(judge_plot.draw(r.stdout))
    b.say(f"  drawn: {plot}")
    scenes = {s["name"]: s for s in json.loads(r.stdout.splitlines()[-1])["judge"]["scenes"]}
    for name in ("healthy", "healthy, errors in bursts"):
        share = scenes[name]["baton"]["turned_back_percent"]
        b.figure(f"false rollbacks in {scenes[name]['baton']['runs']} runs, a look every second for half an hour, {name}", share, "%",
                 f"the bound, {BOUND:g} %", share / BOUND, "<= 1 x", share <= BOUND)
    for name in ("errors 0.5% -> 1.5%", "latency x1.3"):
        own = scenes[name]["baton"]["median_records"]
        for peer in ("kayenta", "argo", "flagger"):
            other = scenes[name][peer]["median_records"]
            b.figure(f"median records until found, {name}, beside {peer}", own, "records", f"{peer}, {other:g}", own / other, "< 1 x",
                     0 < own < other)


def back(b):
    rounds = 3 if b.args.quick else 20
    spec = {"judge": {"mode": "auto", "interval": "1s", "warmup": "1s", "metrics": ["error_rate"]}, "switch": {"observe": "5m"}}
    taken = []
    f = b.fleet("judged", {"judged": 12}, spec=spec)
    try:
        worse = f.path("worse")
        f.up(blue=2, green=2, rate=2000, worse=worse)

        def looks(what):
            samples = f.api("GET", f"/v1/fleets/{f.name}/signals")["samples"]
            return sum(s["what"] == what and s.get("operation", 0) == f.number() for s in samples)

        wait_until(lambda: looks("baseline") >= 20, 90, "a baseline", 0.2)
        for _ in range(rounds):
            number = f.api("POST", f"/v1/fleets/{f.name}/switches", {"to": "green", "force": True})["number"]
            f.wait_op(number, ("observing",))
            wait_until(lambda: looks("look") >= 4, 30, "the judge to look", 0.05)
            with open(worse, "w", encoding="utf-8") as file:
                file.write("200 0\n")
            began = time.monotonic()
            op = f.wait_ended(number, 60)
            taken.append(time.monotonic() - began)
            os.unlink(worse)
            if op["state"] != "rolled-back" or op["cause"] != "verdict":
                raise Failure(f"switch {number} ended {op['state']}, {op['cause']}: {op.get('why')}")
    finally:
        f.end()
    taken.sort()
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        value = taken[min(len(taken) - 1, int(q * len(taken)))]
        b.figure(f"from the first bad record until all is back, {name} of {rounds}", value * 1000, "ms", f"a look, {1000 * LOOK:g} ms",
                 value / LOOK)


def measure(b):
    """The judge: false rollbacks, records until a worse version is found, time until all is back."""
    simulated(b)
    back(b)
