#!/usr/bin/env python3
"""Switches without end on a real Kafka while everything breaks; an auditor says what came of the records.

    tests/chaos/chaos.py [--build DIR] [--switches N] [--seed N] [--keep]; --help has those that narrow a failure down

Three brokers, three controllers, three members a color, an idempotent producer, a proxy in every connection (parts.py,
proxy.c). A run consists of chapters of at most CHAPTER_SWITCHES switches, each with a topic, a fleet and a seed of its own:
chapter n of a run has the seed of the run + n, so `--seed` of a failure with few switches tells its story again as far as a real
machine can. Its seed also draws its fleet file: a short one, whose sessions and deadlines end within seconds, or that of
somebody new to Baton, which names the fleet and its topics and leaves all else as it is.

A chapter consists of rounds. In a round an operator orders switches, canaries, rollbacks and pauses one after
the other while faults strike (storm.py). What is refused is refused with a reason, which the operator heeds: waits and asks again,
or, where the judge has turned a version back, insists or deploys the next one. Then the faults stop, and the fleet has a while
(`Kind.rest`) to come to rest by itself: no operation under way, every member ready, one color holding every partition and
working, and a last switch that must succeed. At the end of a chapter the auditor (tests/system/Auditor.java), which knows only
the topic, the workers' own files and what the receipts list, counts what was lost or done twice.

Fails on: a record lost, repeated by both colors without being listed, out of order, or processed by a color after the
other had begun (other than by a process that the test itself had put to sleep); a fleet that does not come to rest; a
process that ends by itself; a switch that the judge turned back while nothing was wrong. Everything is kept then, and named.
The last line is JSON; the one before it counts switches as passed and chapters as failed.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from parts import Brokers, Fleet, Proxy, PROCESSING, SESSION
from storm import SPOIL_SECONDS, Storm
from fleet import COLORS, Tools, other
from kafka import Failure, ROOT, end_all_children, jars, wait_until

CHAPTER_SWITCHES = 25
ROUND_SWITCHES = 8
ROUND_SECONDS = 25  # a round that gets nowhere ends, too
PARTITIONS = 12
RATE = 600  # records a second
LOOK = 0.02
COMMAND_SECONDS = 25  # then the operator loses patience and is killed
UP_SECONDS = 120  # processes that start on a busy machine
FAILURES_MAX = 3
ENDED = ("complete", "rolled-back", "needs-operator")
REFUSAL = re.compile(r"^  refusal (\S+)$", re.M)
FAILED_VERSION = "failed-version"

# What a chapter's fleet is: drawn by its seed. `rest`: what is left of a pass and its way back, a session and its afterlife, an
# election of brokers and one of controllers, which may wait half a minute for the dead (election.c), a JVM that starts on a busy
# machine.
Kind = collections.namedtuple("Kind", "odds rest observe")
KINDS = {
    "short": Kind(3, 120, ("0s", "0s", "1s", "3s", "10s")),
    "default": Kind(1, 400, (None,)),
}
TIMES = ("session.timeout.ms", "heartbeat.interval.ms")
PROTOCOLS = {
    "cooperative": ({}, {}),
    "range": ({"partition.assignment.strategy": "range"}, {}),
    "kip848": ({"group.protocol": "consumer", "partition.assignment.strategy": None, **dict.fromkeys(TIMES)}, {"session_timeout": "8s"}),
}


class Chapter:
    def __init__(self, run, seed, switches):
        self.run, self.seed, self.switches = run, seed, switches
        self.random = random.Random(seed)
        self.name = f"chaos-{seed}"
        self.folder = os.path.join(run.folder, self.name)
        os.makedirs(self.folder)
        self.story = open(os.path.join(self.folder, "story.txt"), "a", encoding="utf-8", buffering=1)
        self.began = time.monotonic()
        self.seen = {}     # number of an operation -> the operation, ended
        self.codes = collections.Counter()
        self.refusals = collections.Counter()
        self.insisted = self.deployed = 0
        self.audited = False
        self.failed_version = False  # the last order was refused for it

    # -- telling -------------------------------------------------------------------------------------------------

    def note(self, text):
        """A line of the story, with the wall clock that the logs have too."""
        now = time.time()
        self.story.write(f"{time.strftime('%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03} {text}\n")

    def say(self, text):
        self.note(text)
        print(f"{time.monotonic() - self.run.began:6.0f} s  {text}", flush=True)

    # -- the fleet -----------------------------------------------------------------------------------------------

    def up(self):
        protocol = self.random.choices(list(PROTOCOLS), (3, 1, 1))[0]
        protocol = self.run.args.protocol or protocol
        member_options, members = PROTOCOLS[protocol]
        name = self.random.choices(list(KINDS), [k.odds for k in KINDS.values()])[0]
        name = self.run.args.file or name
        self.kind = KINDS[name]
        self.about = f"seed {self.seed}: {protocol}, {name} fleet file"
        spec = {}
        if name == "short":
            unreachable = self.random.choices(("refuse", "fence"), (2, 1))[0]
            doubt = self.random.choices(("wait", "list"), (2, 1))[0]
            spec = {"members": {"session_timeout": f"{SESSION}s", "processing_max": f"{PROCESSING}s", **members},
                    "switch": {"deadline": "20s", "observe": "0s", "on_unreachable": unreachable, "on_doubt": doubt},
                    "judge": {"interval": "1s"}, "history": 1000}
            self.about += f", on_unreachable {unreachable}, on_doubt {doubt}"
        else:
            member_options = {**dict.fromkeys(TIMES), **member_options}
        self.say(self.about)
        member_options = {"baton.commit.interval.ms": self.random.choice((100, 500, 2000)), **member_options,
                          **dict(o.split("=", 1) for o in self.run.args.member)}
        self.fleet = Fleet(self.run.brokers, self.run.tools, self.folder, self.name, PARTITIONS, RATE, spec, member_options)
        self.storm = Storm(self.fleet, random.Random(self.seed + 1), self.note, self.run.args.spare.split(","))
        self.wait(self.fleet.leader, UP_SECONDS, "a controller to lead")
        self.fleet.apply()
        self.wait(self.fleet.all_ready, UP_SECONDS, "all members to be ready")
        self.fleet.wait_plan()
        self.fleet.wait_flowing()

    # -- the operator --------------------------------------------------------------------------------------------

    def address(self):
        if self.random.random() < 0.4:
            return ["--bootstrap", self.fleet.kafka.bootstrap, *self.fleet.prefix_option]
        return ["--server", self.random.choice(self.fleet.controllers).url]

    def blow(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.storm.blow()
            time.sleep(LOOK)

    def order(self, *args):
        """A command in the storm; its exit code, None when it was killed for taking too long."""
        running = self.fleet.run(args[0], self.fleet.name, "-v", *args[1:], address=self.address())
        self.note(f"order {' '.join(args)} ({os.path.basename(running.out)})")
        end = time.monotonic() + COMMAND_SECONDS
        while running.child.poll() is None and time.monotonic() < end:
            self.storm.blow()
            time.sleep(LOOK)
        if running.child.poll() is None:
            running.child.kill()
        code = running.wait().code
        code = None if code is None or code < 0 else code
        self.codes[code] += 1
        self.heed(args[0], code, running.text())
        if code not in (None, 0, 1, 5, 6, 7, 124):
            raise Failure(f"'{' '.join(args)}' ended with {code}: {running.text().strip()[-800:]}")
        return code

    def heed(self, what, code, text):
        """What a command said, read as the operator does: why it was refused."""
        refusals = sorted(set(REFUSAL.findall(text))) if code == 1 else []
        self.refusals.update(refusals)
        self.failed_version = FAILED_VERSION in refusals
        self.note(f"= {code} {what}: {', '.join(refusals) or repr(text.strip()[-300:])}")

    def choose(self, args):
        """A switch; one to a version that failed before is insisted on, or the next version comes up."""
        code = self.order("switch", *args)
        if not self.failed_version:
            return code
        active = self.active()
        if active and self.random.random() < 0.5:
            self.deploy(other(active))
        else:
            self.insisted += 1
            code = self.order("switch", "--force", *args)
        return code

    def active(self):
        """The active color, as the first controller says that answers soon; None when none does."""
        for c in self.fleet.controllers:
            with contextlib.suppress(OSError):
                status, said, _ = c.request("GET", f"/v1/fleets/{self.fleet.name}", seconds=1)
                if status == 200:
                    return said["active"]
        return None

    def deploy(self, color):
        """A new version of a color: who runs is started again with it, who is struck will be."""
        self.deployed += 1
        self.fleet.next_version(color)
        self.note(f"deploy {color} {self.fleet.versions[color]}")
        for m in self.fleet.outdated(color):
            self.storm.renew(m)

    def observe(self):
        seconds = self.random.choice(self.kind.observe)
        return ["--observe", seconds] if seconds else []

    def switch(self):
        return self.choose(self.observe())

    def canary(self):
        return self.choose(["--stages", self.random.choice(("10%,50%,100%", "25%,100%")), *self.observe()])

    def change_of_mind(self):
        """A switch that is taken back on the way or just after."""
        code = self.order("switch", "--no-wait", *self.observe())
        if code != 0:
            return code
        self.blow(self.random.choice((0, 0.05, 0.3, 2)))
        return self.order("rollback")

    def bad_version(self):
        """A switch to a version that does not stay up. Whether the judge is quick enough to turn it back is the storm's to say."""
        active = self.active()
        code = self.choose(["--no-wait", "--observe", "10s"])
        if code == 0 and active:
            self.storm.spoil(other(active))
            self.blow(SPOIL_SECONDS)
        return code

    def way_back(self):
        return self.order("rollback")

    def pause(self):
        code = self.order("pause")
        self.blow(self.random.uniform(0, 1))
        self.order("resume")
        return code

    def storm_round(self, count):
        """Orders one after the other, until so many have been carried out or the time is over."""
        self.storm.begin()
        self.note(f"storm, a fault every {self.storm.calm_s} s")
        end = time.monotonic() + ROUND_SECONDS
        done = 0
        while done < count and time.monotonic() < end:
            code = self.random.choices((self.switch, self.canary, self.change_of_mind, self.bad_version, self.way_back, self.pause),
                                       (40, 20, 15, 10, 5, 10))[0]()
            done += code in (None, 0, 6, 7)
            self.blow(0.5 if code in (1, 5, 124) else self.random.choice((0, 0.2)))

    # -- rest ----------------------------------------------------------------------------------------------------

    def wait(self, condition, seconds, what):
        """wait_until() for the time in which somebody may still give up at its start."""

        def look():
            self.storm.supervise()
            return condition()

        return wait_until(look, seconds, what, 0.1)

    def rest(self):
        """The faults stop, and all is well within a while. How long it took."""
        f = self.fleet
        began = time.monotonic()
        self.storm.calm()
        left = lambda: max(1, self.kind.rest - (time.monotonic() - began))
        self.wait(lambda: not self.storm.faults, left(), lambda: f"{self.storm.struck()} to serve again")
        self.wait(f.leader, left(), "a controller to lead")
        newest = f.number()
        if newest:
            f.wait_ended(newest, left())
        if f.status()["phase"] == "paused":
            f.cli("resume", f.name, seconds=left()).expect(0)
        for color in COLORS:  # a deployment is seen through
            for m in f.outdated(color):
                self.storm.renew(m)
        self.wait(f.all_ready, left(), lambda: f"all members to be ready: {f.status()['colors']}")
        f.wait_flowing("any", seconds=left())
        took = time.monotonic() - began
        self.check_operations()
        # However it was left: a switch without faults succeeds, and everything is in one hand. What the last faults did may
        # show only now (a session that ends), so the preflight may refuse for a while.
        status = f.status()
        holders = {p["holder"] for p in status["partitions"]}
        to = other(holders.pop() if len(holders) == 1 else status["active"])
        self.last_switch(to, left())
        f.wait_flowing(seconds=left())
        self.check_operations()
        if self.split():
            raise Failure(f"after a switch without faults: {self.split()}")
        return took

    def last_switch(self, to, seconds):
        """Ordered again while it is refused for what has to settle; a version that failed is insisted on."""
        until = time.monotonic() + seconds
        force, said = [], None
        while True:
            answer = self.fleet.cli("switch", self.fleet.name, "-v", "--to", to, *force, seconds=150)
            text = answer.out + answer.err
            if answer.code != 1 or REFUSAL.findall(text) != said:  # what is told again and again counts once
                self.heed("the last switch", answer.code, text)
                said = REFUSAL.findall(text)
            dead_late = answer.code == 6 and "went without a goodbye" in text  # whom the last faults killed was still waited for
            if (answer.code != 1 and not dead_late) or time.monotonic() > until:
                break
            if self.failed_version and not force:
                self.insisted += 1
                force = ["--force"]
            time.sleep(1)
        answer.expect(0)

    def split(self):
        """None when the active color holds every partition, else what is so."""
        status = self.fleet.status()
        holders = collections.Counter((p["state"], p["holder"]) for p in status["partitions"])
        return None if set(holders) == {("held", status["active"])} else f"active is {status['active']}, the partitions are {holders}"

    def check_operations(self):
        """All have ended, and only one that asks for the operator may have left the partitions in two hands."""
        new = [op for op in self.fleet.operations() if op["number"] not in self.seen]
        for op in new:
            self.seen[op["number"]] = op
            self.note(f"operation {op['number']} {op['kind']} {op['state']}: {op['cause']}, {op['why']}")
            if op["state"] not in ENDED:
                raise Failure(f"operation {op['number']} is {op['state']}, and a later one ended")
        if self.split() and not any(op["state"] == "needs-operator" for op in new):
            raise Failure(f"no operation asks for the operator, but {self.split()}")

    # -- the end -------------------------------------------------------------------------------------------------

    def judge(self):
        self.audited = True  # the producer ends with it
        a = self.fleet.audit(*self.fleet.audit_asleep())
        self.run.add_audit(a)
        wrong = [k for k in ("lost", "repeated_unlisted", "out_of_order", "overlaps_unlisted", "strange", "short_topic") if a[k]]
        if a["produced"] == 0:
            wrong.append("produced")
        if wrong:
            raise Failure("audit: " + ", ".join(f"{k} {a[k]}" for k in wrong) + "; " + json.dumps(a["examples"][:6]))
        self.say(f"audit: {a['produced']} records, lost 0, repeated: {a['repeated_across']} listed, {a['repeated_within']} within "
                 f"a color; {a['listed']} listed by receipts")

    def count_switches(self):
        return sum(op["kind"] == "switch" for op in self.seen.values())

    def play(self):
        self.up()
        number = 0
        while self.count_switches() < self.switches:
            number += 1
            struck = self.storm.counts.total()
            before = len(self.seen)
            self.storm_round(min(ROUND_SWITCHES - 1, self.switches - self.count_switches() - 1))
            took = self.rest()
            ends = collections.Counter(op["state"] for n, op in sorted(self.seen.items())[before:])
            self.say(f"round {number}: {', '.join(f'{n} {s}' for s, n in ends.items())}; "
                     f"{self.storm.counts.total() - struck} faults, at rest after {took:.1f} s; "
                     f"{self.count_switches()} of {self.switches} switches")
        self.judge()

    def dump(self):
        """What the controllers say at the moment of a failure, beside the logs."""
        with contextlib.suppress(Exception), open(os.path.join(self.folder, "state.json"), "w", encoding="utf-8") as f:
            json.dump({"status": self.fleet.status(), "operations": self.fleet.operations()}, f, indent=1)

    def calm(self):
        """The brokers as the next chapter wants them."""
        if hasattr(self, "storm") and not self.audited:
            self.storm.calm()
            self.wait(lambda: not self.storm.faults, UP_SECONDS, "what was struck to serve again")

    def end(self):
        if hasattr(self, "fleet"):
            self.fleet.end()
        self.story.close()


def rule(op):
    """By which of its rules the judge turned an operation back; None when it was not the judge."""
    return f"judge: {op['verdict']['rule']}" if op["cause"] == "verdict" else None


class Run:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.began = time.monotonic()
        self.switches = collections.Counter()  # by outcome
        self.operations = collections.Counter()
        self.codes = collections.Counter()
        self.causes = collections.Counter()  # of switches that turned back
        self.refusals = collections.Counter()
        self.insisted = self.deployed = 0
        self.faults = collections.Counter()  # (what, to whom) -> how often
        self.given_up = collections.Counter()
        self.audits = collections.Counter()
        self.failures = []
        self.interrupted = False

    def add_audit(self, a):
        for k in ("produced", "lost", "repeated_across", "repeated_unlisted", "repeated_within", "listed", "out_of_order", "overlaps",
                  "overlaps_unlisted"):
            self.audits[k] += a[k]

    def up(self):
        classes = os.path.join(self.folder, "classes")
        os.makedirs(classes)
        self.tools = Tools(self.args.build, jars(), classes)
        self.proxy = Proxy(self.args.build, self.folder)
        self.brokers = Brokers(self.proxy, os.path.join(self.folder, "kafka")).start()

    def play(self):
        """A chapter that fails is kept, and the next one begins on the same brokers; not after FAILURES_MAX of them."""
        done = 0
        while done < self.args.switches and len(self.failures) < FAILURES_MAX:
            chapter = Chapter(self, self.args.seed + done // CHAPTER_SWITCHES, min(CHAPTER_SWITCHES, self.args.switches - done))
            try:
                chapter.play()
                if not self.args.keep:
                    shutil.rmtree(chapter.folder, ignore_errors=True)
            except Exception as e:
                text = (str(e) if isinstance(e, Failure) else traceback.format_exc()).strip()
                chapter.dump()
                chapter.say(f"FAIL with --seed {chapter.seed} --switches {chapter.switches}: {text}")
                self.failures.append({"seed": chapter.seed, "why": text[:500]})
                chapter.calm()
            finally:
                chapter.end()
            self.add(chapter)  # not one that was interrupted: nobody has audited it
            done += CHAPTER_SWITCHES

    def add(self, chapter):
        for op in chapter.seen.values():
            (self.switches if op["kind"] == "switch" else self.operations)[
                op["state"] if op["kind"] == "switch" else f"{op['kind']} {op['state']}"] += 1
            if op["kind"] == "switch" and op["state"] != "complete":
                self.causes[rule(op) or op["cause"]] += 1
        self.refusals.update(chapter.refusals)
        self.insisted += chapter.insisted
        self.deployed += chapter.deployed
        self.codes.update({"lost patience" if k is None else str(k): n for k, n in chapter.codes.items()})
        if hasattr(chapter, "storm"):
            self.faults.update(chapter.storm.counts)
            self.given_up.update(chapter.storm.given_up)

    def faults_by_kind(self):
        ret = {}
        for (what, whom), n in sorted(self.faults.items()):
            ret.setdefault(what, {})[whom] = n
        return ret

    def sum(self):
        return {
            "chaos": "failed" if self.failures else "interrupted" if self.interrupted else "ok", "seed": self.args.seed,
            "switches": {"all": self.switches.total(), **self.switches}, "other_operations": dict(sorted(self.operations.items())),
            "turned_back": dict(sorted(self.causes.items())),
            "refusals": {"all": self.refusals.total(), **dict(sorted(self.refusals.items()))}, "insisted": self.insisted,
            "deployed": self.deployed, "exit_codes": dict(sorted(self.codes.items())),
            "faults": {"all": self.faults.total(), **self.faults_by_kind()},
            "gave_up_at_start": dict(self.given_up), "records": self.audits["produced"], "lost": self.audits["lost"],
            "repeated": {"listed": self.audits["repeated_across"] - self.audits["repeated_unlisted"],
                         "unlisted": self.audits["repeated_unlisted"], "within_color": self.audits["repeated_within"]},
            "out_of_order": self.audits["out_of_order"], "overlaps_unlisted": self.audits["overlaps_unlisted"],
            "failures": self.failures, "seconds": round(time.monotonic() - self.began),
        }


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.environ.get("BATON_BUILD") or os.path.join(ROOT, "build"))
    p.add_argument("--switches", type=int, default=25)
    p.add_argument("--seed", type=int, default=random.randrange(1, 10**9))
    p.add_argument("--protocol", choices=PROTOCOLS, help="how members share partitions, in every chapter")
    p.add_argument("--file", choices=KINDS, help="the fleet file of every chapter")
    p.add_argument("--member", action="append", default=[], metavar="NAME=VALUE", help="one more option of every member: debug=cgrp")
    p.add_argument("--spare", default="", metavar="KIND,...", help="strike no broker, controller, member or producer: to narrow a failure down")
    p.add_argument("--keep", action="store_true", help="keep the logs of chapters that passed too")
    args = p.parse_args()
    if args.switches < 1:
        p.error("--switches wants at least 1")
    print(f"seed {args.seed}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like ^C: with the sum of what is done

    folder = tempfile.mkdtemp(prefix="baton-chaos-")
    run = Run(args, folder)
    code = 1
    try:
        run.up()
        run.play()
        code = 1 if run.failures else 0
    except KeyboardInterrupt:
        run.interrupted = True
        code = 130
    except Exception as e:
        run.failures.append({"seed": args.seed, "why": str(e)})
        print(e if isinstance(e, Failure) else traceback.format_exc(), file=sys.stderr)
    finally:
        end_all_children()
        if run.failures:
            print(f"kept: {folder}", flush=True)
        elif not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{run.switches.total()} passed, {len(run.failures)} failed")
    print(json.dumps(run.sum()), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
