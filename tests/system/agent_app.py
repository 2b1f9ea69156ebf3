#!/usr/bin/env python3
"""A consumer as a user would write it with integrations/python, that writes down every record for the auditor before it is done.

    agent_app.py --out FILE --hold FILE --color COLOR --port PORT --topic NAME [--token FILE] -X NAME=VALUE ...
"""
import argparse
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "integrations", "python"))
from baton_lifecycle import Consumer

options = argparse.ArgumentParser()
for name in ("out", "hold", "color", "token"):
    options.add_argument("--" + name)
options.add_argument("--port", type=int)
options.add_argument("--topic", action="append")
options.add_argument("-X", action="append", default=[])
options = options.parse_args()
out = os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
if options.token:
    with open(options.token, encoding="ascii") as f:
        options.token = f.read().strip()
consumer = Consumer(dict(x.split("=", 1) for x in options.X), options.topic, port=options.port, token=options.token)
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
while not stopped and not consumer.left:
    m = consumer.poll(0.5)
    if m is None:
        continue
    while os.path.exists(options.hold):
        time.sleep(0.002)
    number = int(m.value().split()[0])
    p = consumer.running.get((m.topic(), m.partition()))
    os.write(out, b"%d %d %d %d %s %d %s\n" % (m.partition(), m.offset(), number, p.epoch if p else 0, options.color.encode(),
                                              time.time_ns() // 1000, m.topic().encode()))
    consumer.done(m)
while not stopped:
    time.sleep(0.05)  # it serves its document until it is ended
consumer.close()
