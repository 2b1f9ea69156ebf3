#!/usr/bin/env python3
"""Runs the system tests on a real Apache Kafka, one after the other, and audits each.

    tests/system/run.py [--build DIR] [--list] [--keep] [--repeat N] [NAME...]

A NAME selects the tests whose names contain it. Tests of one kind share a Kafka; each has topics, groups, a prefix and
processes of its own. One line a test on stdout; the folder of a failed one is kept and named. The last line is
"N passed, N failed"; exit 1 when any failed, 130 after Ctrl-C.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import cases_auditor
import cases_faults
import cases_refusals
import cases_switch
from fleet import Fleet, Tools
from kafka import Failure, Kafka, ROOT, end_all_children, jars

# What is special about the Kafka of each kind. A kind is started when its first test comes and stopped after its last.
KINDS = {
    "shared": {},
    "slow-join": {"group_initial_rebalance_delay_ms": 3000},  # the default, which users have
    "secure": {"secure": True},
    "three": {"nodes": 3, "heap_mb": 320},
}

TESTS = cases_auditor.TESTS + cases_switch.TESTS + cases_refusals.TESTS + cases_faults.TESTS + cases_switch.LAST + cases_refusals.LAST


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


class Kafkas:
    """One Kafka at a time."""

    def __init__(self, folder):
        self.folder, self.kind, self.kafka, self.count = folder, None, None, 0

    def get(self, kind):
        if kind != self.kind:
            self.stop()
            self.count += 1
            self.kafka = Kafka(os.path.join(self.folder, f"kafka-{self.count}-{kind}"), **KINDS[kind])
            self.kind = kind
            self.kafka.start()
        return self.kafka

    def stop(self):
        if self.kafka:
            self.kafka.stop()
            shutil.rmtree(self.kafka.folder, ignore_errors=True)
        self.kafka = self.kind = None


def run_one(test, kafkas, tools, folder, keep):
    name, function, kind = test
    began = time.monotonic()
    os.makedirs(folder)
    note, failed = "", None
    try:
        began_kafka = time.monotonic()
        kafka = kafkas.get(kind)
        began += time.monotonic() - began_kafka
        world = World(kafka, tools, folder, name, kind)
        try:
            note = function(world) or ""
        finally:
            for f in world.fleets:
                f.end()
    except Failure as e:
        failed = str(e)
    except Exception:
        failed = traceback.format_exc()
    took = time.monotonic() - began
    print(f"{'FAIL' if failed else 'ok':5}{took:6.1f} s  {name}" + (f"  ({note})" if note and not failed else ""), flush=True)
    if failed:
        print("        " + failed.strip().replace("\n", "\n        "), f"\n        kept: {folder}", flush=True)
        with open(os.path.join(folder, "failure.txt"), "w", encoding="utf-8") as f:
            f.write(failed)
        if kafka_is_gone(kafkas):
            kafkas.stop()
    elif not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return not failed


def kafka_is_gone(kafkas):
    return kafkas.kafka and any(n.child is None or n.child.poll() is not None for n in kafkas.kafka.nodes)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.environ.get("BATON_BUILD") or os.path.join(ROOT, "build"))
    p.add_argument("--list", action="store_true", help="print the names and end")
    p.add_argument("--keep", action="store_true", help="keep the folders of tests that passed too")
    p.add_argument("--repeat", type=int, default=1, help="run the selection so many times")
    p.add_argument("names", nargs="*")
    args = p.parse_args()

    chosen = [t for t in TESTS if not args.names or any(n in t[0] for n in args.names)]
    if args.list:
        print("\n".join(f"{name:40}{(function.__doc__ or '').splitlines()[0]}" for name, function, _ in chosen))
        return 0
    if not chosen:
        print(f"no test is named so: {' '.join(args.names)}; --list has the names", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    folder = tempfile.mkdtemp(prefix="baton-system-")
    classes = os.path.join(folder, "classes")
    os.makedirs(classes)
    kafkas = Kafkas(folder)
    passed = failed = 0
    began = time.monotonic()
    try:
        tools = Tools(args.build, jars(), classes)
        for turn in range(args.repeat):
            for i, test in enumerate(chosen):
                if run_one(test, kafkas, tools, os.path.join(folder, f"{turn}-{i:02}-{test[0]}"), args.keep):
                    passed += 1
                else:
                    failed += 1
    except Failure as e:
        print(e, file=sys.stderr)
        failed += 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        with contextlib.suppress(Exception):
            kafkas.stop()
        end_all_children()
        if not failed and not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - began:.0f} s in all")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
