"""The auditor's own tests: an auditor that cannot fail proves nothing.

A small real topic, and worker's files made up here, with one thing wrong at a time. Record n of the producer goes to
partition n % P, so the line that a faithful worker would have written is known.
"""

import json
import os
import subprocess

from fleet import Test
from kafka import Failure

PARTITIONS = 4
RECORDS = 400


def _topic(w):
    topic = f"{w.name}.in"
    w.ask("create", topic, PARTITIONS, 1)
    out = w.path("produced.json")
    subprocess.run([w.tools.producer, "--bootstrap", w.kafka.bootstrap, "--topic", topic, "--rate", "1000", "--seconds", "0.5",
                    "--out", out], check=True, stdout=subprocess.DEVNULL, timeout=60)
    with open(out, encoding="utf-8") as f:
        said = json.load(f)
    return topic, said["produced"], out


def _half(count):
    """Where green begins, at the same offset of each partition, however many records the producer got out."""
    return count // 2 // PARTITIONS * PARTITIONS


def _lines(topic, count):
    """Blue does the first half of each partition under epoch 3, green the rest under epoch 5."""
    ret = []
    for n in range(count):
        p, o = n % PARTITIONS, n // PARTITIONS
        green = n >= _half(count)
        ret.append([p, o, n, 5 if green else 3, "green" if green else "blue", 1_000_000 + n * 100, topic])
    return ret


def _audit(w, topic, lines, receipt=None, flags=()):
    paths = {c: w.path(f"{c}.txt") for c in ("blue", "green")}
    for color, path in paths.items():
        with open(path, "w", encoding="utf-8") as f:
            f.write("# start pid 1 at 0\n")
            f.writelines(" ".join(map(str, line)) + "\n" for line in lines if line[4] == color)
    receipts = []
    if receipt is not None:
        receipts.append(w.path("receipt.json"))
        with open(receipts[0], "w", encoding="utf-8") as f:
            json.dump(receipt, f)
    return w.tools.audit(w.kafka.bootstrap, [topic], list(paths.values()), receipts, w.path("produced.json"), flags)


def _expect(audit, **wanted):
    zero = dict(lost=0, repeated_across=0, repeated_unlisted=0, repeated_within=0, out_of_order=0, overlaps=0, overlaps_unlisted=0,
                strange=0, torn=0, short_topic=0)
    zero.update(wanted)
    wrong = {k: (audit[k], v) for k, v in zero.items() if audit[k] != v}
    if wrong:
        raise Failure(f"the auditor said (found, expected): {wrong}; {json.dumps(audit['examples'])}")


def auditor(w):
    """It finds a lost, a repeated, an unlisted, a strange record, a broken order, two at work at once."""
    topic, count, produced = _topic(w)
    good = _lines(topic, count)
    half = _half(count)

    a = _audit(w, topic, good)
    _expect(a)
    if a["produced"] != count or a["standstill_ms"]["count"] != PARTITIONS:
        raise Failure(f"produced {a['produced']} of {count}, standstills {a['standstill_ms']}")

    _expect(_audit(w, topic, good[:7] + good[8:]), lost=1)
    _expect(_audit(w, topic, good[:-PARTITIONS]), lost=PARTITIONS)

    # Green begins one record too early in partition 1: done by both, listed by nobody.
    again = [1, (half - PARTITIONS) // PARTITIONS, half - PARTITIONS + 1, 5, "green", 1_000_000 + (half - 1) * 100 + 50, topic]
    twice = good[:half] + [again] + good[half:]
    _expect(_audit(w, topic, twice), repeated_across=1, repeated_unlisted=1)
    listed = {"topic": topic, "partition": 1, "forth": {"from": 0, "possibly_repeated": {"from": again[1], "to": again[1] + 1}}}
    _expect(_audit(w, topic, twice, {"partitions": [listed]}), repeated_across=1)
    listed = {"topic": topic, "partition": 1, "back": {"from": 0, "replayed": {"from": 0, "to": again[1] + 1}}}
    _expect(_audit(w, topic, twice, {"partitions": [listed]}), repeated_across=1)
    for other in ({"topic": topic, "partition": 2, "forth": {"possibly_repeated": {"from": 0, "to": 1 << 40}}},
                  {"topic": "another", "partition": 1, "forth": {"possibly_repeated": {"from": 0, "to": 1 << 40}}},
                  {"topic": topic, "partition": 1, "forth": {"possibly_repeated": {"from": again[1] + 1, "to": again[1] + 9}}},
                  {"topic": topic, "partition": 1, "back": {"replayed": {"from": 0, "to": again[1]}}},
                  {"topic": topic, "partition": 1, "forth": {"from": 0, "to": 1 << 40, "possibly_repeated": None}}):
        _expect(_audit(w, topic, twice, {"partitions": [other]}), repeated_across=1, repeated_unlisted=1)

    # A successor of the same color under the same grant: Kafka's own, counted apart.
    _expect(_audit(w, topic, good[:half] + [good[0][:5] + [1_000_000 + half * 100 - 50, topic]] + good[half:]), repeated_within=1)
    # The same color again under a later grant is a matter of the hand-over.
    _expect(_audit(w, topic, good + [good[0][:3] + [9, "blue", 9_000_000_000, topic]]), repeated_across=1, repeated_unlisted=1)

    # Order: two records of partition 0 change places in time.
    swapped = [list(x) for x in good]
    swapped[0][5], swapped[PARTITIONS][5] = swapped[PARTITIONS][5], swapped[0][5]
    _expect(_audit(w, topic, swapped), out_of_order=1)
    _expect(_audit(w, topic, swapped, flags=["--unordered"]), out_of_order=None)

    # Blue's last record of partition 2, done after green's first: both at work.
    late = [list(x) for x in good]
    late[half - PARTITIONS + 2][5] = late[half + 2][5] + 10
    _expect(_audit(w, topic, late), overlaps=1, overlaps_unlisted=1, out_of_order=1)
    # Two colors under one epoch.
    both = [list(x) for x in good]
    for x in both:
        x[3] = 3
    both[half - PARTITIONS + 2][5] = both[half + 2][5] + 10
    _expect(_audit(w, topic, both), overlaps=1, overlaps_unlisted=1, out_of_order=1)

    # Without epochs: a run of a color stands for a grant, and two at work at once are a change of color too many.
    def without(lines):
        return _audit(w, topic, [x[:3] + [0] + x[4:] for x in lines], flags=["--runs"])

    for lines, changes, wanted in ((good, 0, {}), (late, 2, {"out_of_order": 1}),
                                   (good + [good[0][:4] + ["blue", 9_000_000_000, topic]], 1, {"repeated_across": 1, "repeated_unlisted": 1})):
        a = without(lines)
        _expect(a, **wanted)
        if a["standstill_ms"]["count"] != PARTITIONS + changes:
            raise Failure(f"{a['standstill_ms']['count']} changes of color, expected {PARTITIONS + changes}")

    _expect(_audit(w, topic, good[:-1] + [good[-1][:2] + [good[-1][2] + 1] + good[-1][3:]]), strange=1, lost=1)
    _expect(_audit(w, topic, good + [[0, count, count, 5, "green", 1, topic]]), strange=1)

    # A line torn by a kill proves nothing.
    with open(w.path("torn.txt"), "w", encoding="utf-8") as f:
        f.write(" ".join(map(str, good[-1])))
    good_files = [w.path("blue.txt"), w.path("green.txt")]
    _audit(w, topic, good[:-1])
    _expect(w.tools.audit(w.kafka.bootstrap, [topic], good_files + [w.path("torn.txt")]), torn=1, lost=1)

    # The topic itself has less than the broker acknowledged.
    with open(produced, encoding="utf-8") as f:
        said = json.load(f)
    said["acknowledged"]["3"] += 5
    with open(produced, "w", encoding="utf-8") as f:
        json.dump(said, f)
    _expect(_audit(w, topic, good), short_topic=5)
    os.unlink(produced)
    return f"{count} records"


TESTS = [Test("auditor", auditor)]
