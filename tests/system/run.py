#!/usr/bin/env python3
"""Runs the system tests on a real Apache Kafka, some at a time, and audits each.

    tests/system/run.py [--build DIR] [--jobs N] [--list] [--keep] [--repeat N] [NAME...]

A NAME selects the tests whose names contain it. The tests run in lanes: a lane is a process that has a Kafka of its own and
runs one test after the other on it, so a test may restart, freeze or kill the broker and disturbs nobody. Most of a test is
waiting (for a session to run out, for an observation to end), so more lanes than processors pay. Tests start in the order
of the tables, the long ones first.

One line a test on stdout, as it ends; the folder of a failed one is kept and named, and the ends of its logs are shown.
After them the slowest tests, with the processor time that they took (the broker's share included): the rest was waiting.
The last line is "N passed, N failed"; exit 1 when any failed, 130 after Ctrl-C.
"""

import argparse
import ctypes
import glob
import multiprocessing
import multiprocessing.connection
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import cases_agent
import cases_auditor
import cases_burrow
import cases_channel
import cases_faults
import cases_foreign
import cases_handover
import cases_judge
import cases_kube
import cases_lag
import cases_metrics
import cases_refusals
import cases_run
import cases_spring
import cases_switch
from fleet import Fleet, Tools
from kafka import PR_SET_PDEATHSIG, Failure, Kafka, ROOT, end_all_children, jars, take_ports

JOBS = 3  # on two processors; with four, a test that must see a session live begins to see it run out
SLOWEST_SHOWN = 10
LOG_LINES_SHOWN = 60  # of all logs of a failed test together; everything is in its folder

# What is special about the Kafka of each kind. A lane starts one when its test wants another kind than the last.
KINDS = {
    "shared": {},
    "slow-join": {"group_initial_rebalance_delay_ms": 3000},  # the default, which users have
    "secure": {"secure": True},
    "old": {"version": "3.9.1"},  # which Burrow can read
    "three": {"nodes": 3, "heap_mb": 320},
}

TESTS = (cases_faults.TESTS + cases_auditor.TESTS + cases_switch.TESTS + cases_handover.TESTS + cases_judge.TESTS + cases_lag.TESTS + cases_metrics.TESTS + cases_channel.TESTS + cases_kube.TESTS + cases_run.TESTS + cases_spring.TESTS + cases_foreign.TESTS + cases_agent.TESTS + cases_refusals.TESTS + cases_burrow.TESTS + cases_switch.LAST +
         cases_refusals.LAST)


class World:
    """What a test is given."""

    def __init__(self, kafka, tools, folder, name, kind):
        self.kafka, self.tools, self.folder, self.name, self.kind = kafka, tools, folder, name, kind
        self.fleets = []
        self.count = 0

    def fleet(self, topics, **options):
        """Topics by a short name: {"in": 12}; the test's own name is put before it."""
        self.count += 1
        name = self.name if self.count == 1 else f"{self.name}-{self.count}"
        real = {f"{name}.{t}": p for t, p in topics.items()}
        options.setdefault("replication", 3 if self.kind == "three" else 1)
        f = Fleet(self.kafka, self.tools, os.path.join(self.folder, name), name, real, **options)
        self.fleets.append(f)
        return f

    def path(self, name):
        return os.path.join(self.folder, name)

    def ask(self, *args, **more):
        return self.tools.ask(self.kafka.bootstrap, *args, **more)


class Lane:
    """In its own process: one Kafka, one test after the other."""

    def __init__(self, number, tools, folder):
        self.number, self.tools, self.folder = number, tools, folder
        self.kafka = self.kind = None
        self.count = 0

    def serve(self, pipe):
        """Takes (test's index, turn), answers a dict, until there are no more."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C goes to all of us, and the parent knows what to do; our children inherit nothing
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            while (order := pipe.recv()) is not None:
                index, turn = order
                pipe.send(self.run(TESTS[index], f"{TESTS[index].name}-again-{turn}" if turn else TESTS[index].name))
        except EOFError:
            pass
        finally:
            self.stop_kafka()
            end_all_children()

    def run(self, test, name):
        """`name` is that of the fleet too, so it differs from turn to turn."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        note, failed, world = "", None, None
        began, cpu = time.monotonic(), self.cpu()
        try:
            world = World(self.get_kafka(test.kind), self.tools, folder, name, test.kind)
            began, cpu = time.monotonic(), self.cpu()
            note = test.function(world) or ""
        except Failure as e:
            failed = str(e)
        except Exception:
            failed = traceback.format_exc()
        for f in world.fleets if world else []:
            f.end()
        took = time.monotonic() - began
        if self.kafka and any(n.child is None or n.child.poll() is not None for n in self.kafka.nodes):
            self.stop_kafka()  # the next test begins with one that runs
            cpu = self.cpu()
        return {"name": name, "failed": failed, "note": note, "took": took, "cpu": self.cpu() - cpu, "folder": folder}

    def cpu(self):
        """Processor seconds of us, of all children that have ended, and of the brokers that run."""
        own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        ret = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
        for n in self.kafka.nodes if self.kafka else []:
            try:
                with open(f"/proc/{n.child.pid}/stat", encoding="ascii") as f:
                    words = f.read().rpartition(")")[2].split()
                ret += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
            except (AttributeError, OSError):  # it does not run
                pass
        return ret

    def get_kafka(self, kind):
        if kind != self.kind:
            self.stop_kafka()
            self.count += 1
            self.kafka = Kafka(os.path.join(self.folder, f"kafka-{self.number}-{self.count}-{kind}"), **KINDS[kind])
            self.kind = kind
            self.kafka.start()
        return self.kafka

    def stop_kafka(self):
        if self.kafka:
            self.kafka.stop()
            shutil.rmtree(self.kafka.folder, ignore_errors=True)
        self.kafka = self.kind = None


class Lanes:
    """All lanes, seen from the parent."""

    def __init__(self, count, tools, folder):
        self.idle, self.busy = [], {}  # pipe -> (process, test)
        context = multiprocessing.get_context("fork")
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_lane, args=(number, count, tools, folder, theirs, [p for p, _ in self.idle] + [ours]))
            process.start()
            theirs.close()
            self.idle.append((ours, process))

    def start(self, waiting):
        """Gives each idle lane the next (test's index, turn) of the list, which is taken off it."""
        while self.idle and waiting:
            pipe, process = self.idle.pop(0)
            item = waiting.pop(0)
            self.busy[pipe] = (process, item[0])
            pipe.send(item)

    def wait(self):
        """The results that came next. A lane that died is a failure of its test, and is gone."""
        ret = []
        for pipe in multiprocessing.connection.wait(list(self.busy)):
            process, index = self.busy.pop(pipe)
            try:
                ret.append(pipe.recv())
                self.idle.append((pipe, process))
            except EOFError:
                process.join(30)
                ret.append({"name": TESTS[index].name, "failed": f"its process ended with {process.exitcode}", "note": "", "took": 0, "cpu": 0,
                            "folder": None})
        return ret

    def end(self):
        """The idle ones stop their Kafka, the busy ones are told to."""
        everyone = self.idle + [(pipe, process) for pipe, (process, _) in self.busy.items()]
        for pipe, process in everyone:
            if pipe in self.busy:
                process.terminate()
            else:
                pipe.send(None)
        for _, process in everyone:
            process.join(60)
            if process.is_alive():
                process.kill()
                process.join()
        self.idle, self.busy = [], {}


def _lane(number, count, tools, folder, pipe, others):
    for other in others:  # the parent's ends, which fork() gave us too
        other.close()
    take_ports(number, count)
    Lane(number, tools, folder).serve(pipe)


def show(r):
    print(f"{'FAIL' if r['failed'] else 'ok':5}{r['took']:6.1f} s  {r['name']}" + (f"  ({r['note']})" if r["note"] and not r["failed"] else ""),
          flush=True)
    if not r["failed"]:
        return
    print("        " + r["failed"].strip().replace("\n", "\n        "))
    if not r["folder"]:
        return
    with open(os.path.join(r["folder"], "failure.txt"), "w", encoding="utf-8") as f:
        f.write(r["failed"])
    logs = {}
    for path in sorted(glob.glob(os.path.join(r["folder"], "**", "*.log"), recursive=True)):
        with open(path, encoding="utf-8", errors="replace") as f:
            logs[os.path.basename(path)] = [line for line in f.read().splitlines() if " http_request " not in line]
    for name, lines in logs.items():
        for line in lines[-max(4, LOG_LINES_SHOWN // len(logs)):]:
            print(f"        {name}| {line[:300]}")
    print(f"        kept: {r['folder']}", flush=True)


def show_slowest(results):
    if len(results) <= 1:
        return
    print("slowest:")
    for r in sorted(results, key=lambda r: -r["took"])[:SLOWEST_SHOWN]:
        print(f"  {r['took']:6.1f} s, {r['cpu']:5.1f} s of a processor  {r['name']}")
    print(f"  {sum(r['took'] for r in results):6.0f} s, {sum(r['cpu'] for r in results):5.0f} s of a processor  all of them")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.environ.get("BATON_BUILD") or os.path.join(ROOT, "build"))
    p.add_argument("--jobs", type=int, default=JOBS, help=f"so many tests at a time ({JOBS})")
    p.add_argument("--list", action="store_true", help="print the names and end")
    p.add_argument("--keep", action="store_true", help="keep the folders of tests that passed too")
    p.add_argument("--repeat", type=int, default=1, help="run the selection so many times")
    p.add_argument("names", nargs="*")
    args = p.parse_args()

    chosen = [i for i, t in enumerate(TESTS) if not args.names or any(n in t.name for n in args.names)]
    if args.list:
        print("\n".join(f"{TESTS[i].name:40}{(TESTS[i].function.__doc__ or '').splitlines()[0]}" for i in chosen))
        return 0
    if not chosen:
        print(f"no test is named so: {' '.join(args.names)}; --list has the names", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    folder = tempfile.mkdtemp(prefix="baton-system-")
    classes = os.path.join(folder, "classes")
    os.makedirs(classes)
    waiting = [(i, turn) for turn in range(args.repeat) for i in chosen]
    lanes, results, broken = None, [], 0
    began = time.monotonic()
    try:
        tools = Tools(args.build, jars(), classes)
        lanes = Lanes(max(1, min(args.jobs, len(waiting))), tools, folder)
        while waiting or lanes.busy:
            lanes.start(waiting)
            if not lanes.busy:
                raise Failure(f"no lane is left; {len(waiting)} tests did not run")
            for r in lanes.wait():
                show(r)
                results.append(r)
                if not r["failed"] and not args.keep:
                    shutil.rmtree(r["folder"], ignore_errors=True)
    except Failure as e:
        print(e, file=sys.stderr)
        broken = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        if lanes:
            lanes.end()
        if not broken and not args.keep and not any(r["failed"] for r in results):
            shutil.rmtree(folder, ignore_errors=True)
    show_slowest(results)
    failed = sum(bool(r["failed"]) for r in results) + broken
    print(f"{time.monotonic() - began:.0f} s in all")
    print(f"{len(results) + broken - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
