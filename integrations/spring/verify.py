#!/usr/bin/env python3
"""Builds and tests the Spring starter on each Spring Boot that it is for, and on a real Kafka.

  integrations/spring/verify.py [--quick] [--out FOLDER]

Unit tests run on Boot 3.5 and on Boot 4; then two real applications of each Boot are switched there and back on a Kafka of our
own. --quick leaves the applications out. Maven fetches what is missing.
"""

import argparse
import glob
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "system"))
from kafka import Kafka  # noqa: E402


def maven(out, name, *more):
    """Each Boot has its own folder: nothing that was built for one is taken for the other. Answers (passed, failed)."""
    target = os.path.join(out, name)
    argv = ["mvn", "-q", "-B", "-ntp", "-Dstyle.color=never", "-f", HERE, f"-Dbaton.target={target}", *more]
    if name == "boot4":
        argv.append("-Pboot4")
    print(f"--- {name}: {' '.join(more)}", flush=True)
    for report in reports(target):
        os.unlink(report)
    code = subprocess.run(argv, check=False).returncode
    tests = failed = 0
    for report in reports(target):
        suite = xml.etree.ElementTree.parse(report).getroot()
        tests += int(suite.get("tests")) - int(suite.get("skipped"))
        failed += int(suite.get("failures")) + int(suite.get("errors"))
        print(f"{suite.get('name').split('.')[-1]:30}{suite.get('tests'):>4} tests  {suite.get('time'):>7} s", flush=True)
    if failed == 0 and (code != 0 or tests == 0):
        print(f"FAIL: Maven ended with {code} and ran {tests} tests: counted as a failure", flush=True)
        return tests, 1
    return tests - failed, failed


def reports(target):
    return glob.glob(os.path.join(target, "*-reports", "TEST-*.xml"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="only what needs no Kafka")
    p.add_argument("--boot", action="append", choices=["boot3", "boot4"], help="only this one")
    p.add_argument("--out", help="where to build (a folder of its own under /tmp)")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="baton-spring-") as folder:
        out = args.out or folder
        boots = args.boot or ["boot3", "boot4"]
        if args.quick:
            results = [maven(out, name, "test") for name in boots]
        else:
            with Kafka(os.path.join(folder, "kafka")) as kafka:
                results = [maven(out, name, "verify", f"-Dbaton.bootstrap={kafka.bootstrap}", f"-Dbaton.run={name}") for name in boots]
    passed, failed = (sum(numbers) for numbers in zip(*results))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
