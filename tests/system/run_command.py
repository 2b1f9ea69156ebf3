#!/usr/bin/env python3
"""A command for `baton run`, as a user would write it, that writes down every record for the auditor before it acknowledges.

    run_command.py --out FILE [--hold FILE] [--delay-us N] [--crash N] [--hang N] [--poison N] [--refuse N] [--serve PORT]

--crash N: ends the process in the middle of record number N, after its work and before its acknowledgement, when it is given
for the first time; --hang N: never answers it the first time; --poison N: always fails it; --refuse N: the same, before any
work. --serve: the same as an HTTP
endpoint for CloudEvents on a port.
"""
import argparse
import http.server
import json
import os
import sys
import time

options = argparse.ArgumentParser()
for name in ("out", "hold"):
    options.add_argument("--" + name)
for name in ("delay-us", "crash", "hang", "poison", "refuse", "serve"):
    options.add_argument("--" + name, type=int, default=-1)
options = options.parse_args()
out = os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
color = os.environ.get("BATON_COLOR", "")


def work(topic, partition, offset, epoch, attempt, value, of=color):
    while options.hold and os.path.exists(options.hold):
        time.sleep(0.002)
    number = int(value.split()[0])
    if number == options.refuse:
        raise ValueError("number %d is refused" % number)
    if options.delay_us > 0:
        time.sleep(options.delay_us / 1e6)
    os.write(out, b"%d %d %d %d %s %d %s\n" % (partition, offset, number, epoch, of.encode(), time.time_ns() // 1000, topic.encode()))
    if number == options.crash and attempt == 1:
        os._exit(3)
    if number == options.hang and attempt == 1:
        time.sleep(3600)
    if number == options.poison:
        raise ValueError("number %d is poison" % number)


def line(text):
    got = json.loads(text)
    for place, r in enumerate(got.get("records", [got])):
        try:
            work(r["topic"], r["partition"], r["offset"], r["epoch"], r.get("attempt", 1), r["value"])
        except ValueError as e:
            return {"id": got["id"], "done": place, "error": str(e)} if "records" in got else {"id": got["id"], "error": str(e)}
    return got["id"]


class Endpoint(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = 204
        for e in events if isinstance(events, list) else [events]:
            try:
                assert e["specversion"] == "1.0" and e["id"] and e["source"] and e["type"], e
                work(e["kafkatopic"], e["kafkapartition"], int(e["kafkaoffset"]), int(e["batonepoch"]), e.get("batonattempt", 1),
                     e["data"], e["batoncolor"])
            except ValueError:
                status = 422
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if options.serve > 0:
    http.server.ThreadingHTTPServer.request_queue_size = 64
    http.server.ThreadingHTTPServer(("127.0.0.1", options.serve), Endpoint).serve_forever()
for text in sys.stdin:
    print(json.dumps(line(text)), flush=True)
