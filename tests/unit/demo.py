#!/usr/bin/env python3
"""Runs `baton demo -o json` as a user would and checks what it says: demo.py BATON [OPTION...]

stdout holds one JSON object and nothing else; no record is lost, none done by both colors without a receipt that lists
it; the kill of a consumer is in the figures; and when it ends, nothing of it runs any more.
"""

import json
import os
import subprocess
import sys

ABOUT_ALL = {
    "produced": lambda v: v > 1000,
    "switches": lambda v: v == 3,
    "lost": lambda v: v == 0,
    "unlisted_repeats": lambda v: v == 0,
    "strange": lambda v: v == 0,
    "passes": lambda v: v >= 24,
    "standstill_ms_p50": lambda v: v > 0,
    "standstill_ms_p99": lambda v: v > 0,
    "standstill_ms_max": lambda v: v > 0,
    "seconds": lambda v: v > 0,
}


def left_behind(session):
    """Processes of the demo's own session that still live."""
    ret = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            ret.append(pid)
    return ret


def main():
    demo = subprocess.Popen([sys.argv[1], "demo", "-o", "json", *sys.argv[2:]], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    out, err = demo.communicate(timeout=230)
    wrong = []
    if demo.returncode != 0:
        wrong.append(f"exit code {demo.returncode}")
    try:
        said = json.loads(out)
        wrong += [f"{name} is {said.get(name)}" for name, good in ABOUT_ALL.items() if name not in said or not good(said[name])]
    except ValueError as e:
        wrong.append(f"stdout is not one JSON object ({e}): {out[:300]!r}")
    wrong += [f"process {pid} was left behind" for pid in left_behind(demo.pid)]
    if wrong:
        print("\n".join(wrong), "\n--- it said:\n", err, sep="")
        return 1
    print(out.strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
