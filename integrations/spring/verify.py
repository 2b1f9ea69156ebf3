#!/usr/bin/env python3
"""Builds and tests the Spring starter on each Spring Boot that it is for, and on a real Kafka.

  integrations/spring/verify.py [--quick] [--out FOLDER]

Unit tests run on Boot 3.5 and on Boot 4; then two real applications of each Boot are switched there and back on a Kafka of our
own. --quick leaves the applications out. Maven fetches what is missing.
"""

import argparse
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "system"))
from kafka import Kafka  # noqa: E402


def maven(out, name, *more):
    """Each Boot has its own folder: nothing that was built for one is taken for the other."""
    target = os.path.join(out, name)
    argv = ["mvn", "-q", "-B", "-ntp", "-f", HERE, f"-Dbaton.target={target}", *more]
    if name == "boot4":
        argv.append("-Pboot4")
    print(f"--- {name}: {' '.join(more)}", flush=True)
    return subprocess.run(argv, check=False).returncode


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
            return max(maven(out, name, "test") for name in boots)
        with Kafka(os.path.join(folder, "kafka")) as kafka:
            results = []
            for name in boots:
                results.append(maven(out, name, "verify", f"-Dbaton.bootstrap={kafka.bootstrap}", f"-Dbaton.run={name}"))
            return max(results)


if __name__ == "__main__":
    sys.exit(main())
