#!/usr/bin/env python3
"""consumer - a whole consumer in Python: a line in, an acknowledgement out.

    baton run payments --color blue -- python3 consumer.py
"""
import json
import sys


def work(record):
    if record["value"] is None:
        return  # a tombstone: the key was deleted
    if "poison" in record["value"]:
        raise ValueError("poison")
    print(record["partition"], record["offset"], record["value"], file=sys.stderr)  # stdout is for acknowledgements


for line in sys.stdin:
    record = json.loads(line)
    try:
        work(record)
        print(record["id"], flush=True)
    except Exception as e:
        print(json.dumps({"id": record["id"], "error": str(e)}), flush=True)
