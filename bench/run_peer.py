#!/usr/bin/env python3
"""The same work twice in Python: by hand with confluent-kafka, and as the command of `baton run`; and the records for it.

    run_peer.py feed BOOTSTRAP TOPIC COUNT          orders as JSON
    run_peer.py poll|consume BOOTSTRAP TOPIC COUNT TURN  by hand, one record at a time or 500
    run_peer.py run COUNT                           batches from stdin

The work: read the JSON, add the amount to the customer's. Ends after COUNT records and says how long they took, the sum, and what
this process has used of a processor, on stderr.
"""
import json
import sys
import time

sums, began, seen = {}, 0, 0


def work(order):
    global began, seen
    if not seen:
        began = time.monotonic()
    seen += 1
    sums[order["customer"]] = sums.get(order["customer"], 0) + order["amount"]


def tell():
    used = time.process_time()
    print(json.dumps({"seconds": time.monotonic() - began, "records": seen, "sum": sum(sums.values()), "cpu": used}), file=sys.stderr,
          flush=True)


def feed(bootstrap, topic, count):
    from confluent_kafka import Producer
    p = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 1000000})
    for n in range(count):
        value = json.dumps({"order": n, "customer": f"c{n % 1000}", "amount": n % 97, "currency": "EUR", "note": "as discussed on the phone"})
        p.produce(topic, value, key=f"c{n % 1000}")
        if n % 1000 == 0:
            p.poll(0)
    p.flush()


def by_hand(how, bootstrap, topic, count, turn):
    from confluent_kafka import Consumer
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}-python-{how}-{turn}", "auto.offset.reset": "earliest"})
    c.subscribe([topic])
    while seen < count:
        if how == "poll":
            message = c.poll(1.0)
            messages = [message] if message else []
        else:
            messages = c.consume(500, 1.0)
        for message in messages:
            if not message.error():
                work(json.loads(message.value()))
    tell()
    c.close()


def run(count):
    for line in sys.stdin:
        batch = json.loads(line)
        for record in batch["records"]:
            work(record["value"])
        print(batch["id"], flush=True)
        if seen == count:
            tell()


what, *args = sys.argv[1:]
if what == "feed":
    feed(args[0], args[1], int(args[2]))
elif what == "run":
    run(int(args[0]))
else:
    by_hand(what, args[0], args[1], int(args[2]), args[3])
