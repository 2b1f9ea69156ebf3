#!/usr/bin/env python3
"""run - searches the model of the protocol (pass.pml) with spin, to the last state of each of the tables below.

    model/run.py [--full] [--jobs N]

The short form is for every change: each kind of fault with one partition, two partitions without a crash. The full form
takes up to 6 GB and half an hour. Three things have to come out, or the run fails:

  searches  no state breaks a property, and all states were visited
  mutants   each deliberate mistake breaks the property that is said to guard against it
  reached   what must be possible is: a model in which nothing happens breaks nothing either

The last line is one JSON object of figures. Before it searches, the run compares the table of docs/protocol.md with the model
and the core: every name there must exist.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / 'model/pass.pml'
DOC = ROOT / 'docs/protocol.md'
SECONDS_MAX = 3600  # of one search

KINDS = {'crashes': 1, 'cuts': 2, 'rebalances': 4, 'reigns': 8, 'deadlines': 16, 'losses': 32, 'repeats': 64}
PROPERTIES = {
    'safe': 'I1, I2, I4, I6 in every state: one holder; no gap, no overlap; nobody goes back; an end is an end',
    'ends': 'I6 at last: what is under way ends',
}


def bounds(partitions=1, records=1, faults=1, kinds=tuple(KINDS), follows=0, operations=1, lag=2, victim=7):
    return {'PARTITIONS': partitions, 'RECORDS': records, 'FAULTS': faults, 'FOLLOWS': follows, 'OPERATIONS': operations,
            'LAG': lag, 'VICTIM': victim, 'KINDS': sum(KINDS[k] for k in kinds)}


# name, bounds, properties
SHORT = [
    ('any fault', bounds(), ['safe', 'ends']),
    ('two partitions', bounds(partitions=2, faults=0), ['safe', 'ends']),
    ('two, new leader', bounds(partitions=2, kinds=['reigns', 'losses', 'repeats']), ['safe']),
    ('two follow', bounds(partitions=2, faults=0, follows=1), ['safe']),
    ('there and back', bounds(records=2, faults=0, operations=2, follows=1), ['safe', 'ends']),
]
FULL = SHORT + [
    ('two, blue dies', bounds(partitions=2, kinds=['crashes'], lag=1, victim=0), ['safe']),
    ('two, green dies', bounds(partitions=2, kinds=['crashes'], lag=1, victim=3), ['safe']),
    ('two, blue cut', bounds(partitions=2, kinds=['cuts'], lag=1, victim=0), ['safe']),
    ('two, green cut', bounds(partitions=2, kinds=['cuts'], lag=1, victim=3), ['safe']),
    ('two, rest', bounds(partitions=2, kinds=['rebalances', 'deadlines', 'reigns', 'losses', 'repeats']), ['safe']),
    ('two records', bounds(records=2), ['safe', 'ends']),
    ('two faults', bounds(faults=2, kinds=['rebalances', 'reigns', 'deadlines', 'losses', 'repeats']), ['safe', 'ends']),
    ('back, any fault', bounds(operations=2, kinds=['rebalances', 'reigns', 'deadlines', 'losses']), ['safe']),
]

# the name in the model, the bounds in which it shows, the property that it breaks, what it does
MUTANTS = [
    ('BARRIER_BEFORE_REPORT', bounds(kinds=['cuts']), 'i1', 'asks for the end of the log before its report is in'),
    ('GRANT_BEFORE_READ_BACK', bounds(faults=0, records=2), 'i2', 'reads the committed offset before all are quiet'),
    ('RELEASE_IN_FLIGHT', bounds(faults=0), 'i1', 'releases while a record is in flight'),
    ('LOWER_TERM', bounds(kinds=['reigns']), 'i4', 'acts on a record of a deposed leader'),
    ('FORGET_EPOCH', bounds(operations=2, kinds=['rebalances']), 'i2', 'begins at what is committed, whatever its mark'),
    ('ASK_ONLY_THE_OWNER', bounds(kinds=['rebalances']), 'i1', 'waits for the owner of a partition only'),
    ('TRUST_SILENCE', bounds(kinds=['cuts']), 'i1', 'forgets a member as soon as its group does'),
    ('NO_DOUBT', bounds(kinds=['crashes']), 'i2', 'passes on what a lost member did not commit'),
    ('FOLLOW_AFTER_ACKNOWLEDGEMENT', bounds(records=2, kinds=['deadlines'], follows=1), 'i2', 'follows on behind its acknowledgement'),
    ('FORGET_OPERATION', bounds(kinds=['reigns']), 'i6', 'a new leader does not go on with the operation'),
]

# the claim that must be violated, its bounds, what that shows
REACHED = [
    ('never_complete', bounds(faults=0), 'a switch is completed'),
    ('never_rolled_back', bounds(kinds=['deadlines']), 'a switch is rolled back'),
    ('never_complete_after_fault', bounds(kinds=['crashes']), 'a member dies in the middle, and the switch is completed'),
    ('never_complete_after_fault', bounds(kinds=['reigns']), 'the leader is replaced in the middle, and the switch is completed'),
    ('never_doubt', bounds(kinds=['crashes']), 'a doubt is written down'),
    ('never_processed', bounds(partitions=2, faults=0), 'both partitions are processed by green'),
]


class Failure(Exception):
    pass


def say(text):
    print(text, flush=True)


def run(command, folder, seconds_max=SECONDS_MAX):
    try:
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', timeout=seconds_max)
    except subprocess.TimeoutExpired:
        raise Failure(f'{command[0]} took more than {seconds_max} s')
    return done.returncode, done.stdout


class Search:
    """The model with these bounds, made into a program."""

    def __init__(self, folder, numbers, mutant=None, quick=False):
        self.folder = folder
        self.defines = [f'-D{name}={value}' for name, value in numbers.items()] + ([f'-DMUTANT_{mutant}'] if mutant else [])
        folder.mkdir(parents=True)
        code, text = run(['spin', *self.defines, '-a', str(MODEL)], folder)
        if code != 0 or not (folder / 'pan.c').exists():
            raise Failure(f'spin does not read the model:\n{text}')
        # everything is shared, so partial order reduction would find nothing to leave out
        code, text = run(['gcc', '-O0' if quick else '-O1', '-w', '-DNOREDUCE', '-DMEMLIM=8000', '-o', 'pan', 'pan.c'], folder)
        if code != 0:
            raise Failure(f'gcc does not compile what spin wrote:\n{text[-2000:]}')

    def claim(self, name):
        """Searches for a violation; (found, figures)."""
        for trail in self.folder.glob('*.trail'):
            trail.unlink()
        safety = name in ('safe', 'i1', 'i2', 'i4', 'i6')
        code, text = run(['./pan', '-w23', '-m100000', '-n', *([] if safety else ['-a']), '-N', name], self.folder)
        figures = {}
        for key, pattern in (('states', r'^\s*(\d+) states, stored'), ('transitions', r'^\s*(\d+) transitions'),
                             ('depth', r'depth reached (\d+)'), ('errors', r'errors: (\d+)'), ('seconds', r'elapsed time ([\d.]+)'),
                             ('memory_mb', r'([\d.]+)\s+total actual memory')):
            found = re.search(pattern, text, re.M)
            if found:
                figures[key] = float(found[1]) if '.' in found[1] else int(found[1])
        if 'errors' not in figures or 'Search not completed' in text and not figures['errors'] or 'max search depth' in text:
            raise Failure(f'the search did not come to its end:\n{text[-2000:]}')
        if figures['errors'] and 'newest' in text and '<' in text.split('assertion violated', 1)[-1][:60]:
            raise Failure(f'a bound of the model is too small:\n{text[:400]}')
        return figures['errors'] > 0, figures

    def story(self):
        trail = next(self.folder.glob('*.trail'), None)
        if not trail:
            return []
        _, text = run(['spin', *self.defines, '-t', '-k', str(trail), str(MODEL)], self.folder)
        told = re.compile(r'\s*(the leader|another|member|partition|the operation|a report|an answer)')
        return [line.strip() for line in text.splitlines() if told.match(line)]


def spell(numbers):
    kinds = [name for name, bit in KINDS.items() if numbers['KINDS'] & bit]
    faults = f"{numbers['FAULTS']} of {'any kind' if len(kinds) == len(KINDS) else '/'.join(kinds)}" if numbers['FAULTS'] else 'none'
    faults += '' if numbers['VICTIM'] == 7 else f" to member {numbers['VICTIM']}"
    return (f"partitions {numbers['PARTITIONS']}, records {numbers['RECORDS']}, operations {numbers['OPERATIONS']}, "
            f"follow-commits {numbers['FOLLOWS']}, behind by {numbers['LAG']}, faults {faults}")


def names_check():
    """Every name in the table of the document exists where it is said to."""
    model = MODEL.read_text()
    core = '\n'.join(path.read_text() for path in sorted((ROOT / 'src').glob('*/*.[ch]')))
    section = DOC.read_text().partition('<!-- model: begin -->')[2].partition('<!-- model: end -->')[0]
    missing, count = [], 0
    for cells in re.findall(r'^\|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|$', section, re.M):
        for name in re.findall(r'`(\w+)`', cells[0]):
            count += 1
            if not re.search(rf'^(inline|#define|ltl) {name}\b', model, re.M):
                missing.append(f'{name} is not in model/pass.pml')
        for name in re.findall(r'`(\w+)`', cells[1]):
            count += 1
            if not re.search(rf'^[\w ].*\b{name}\(', core, re.M):
                missing.append(f'{name}() is no function under src/')
    if count < 40:
        missing.append(f'only {count} names found in the table of docs/protocol.md')
    return missing, count


def search_all(base, name, numbers, properties):
    lines, results, failed = [], [], 0
    search = Search(base / re.sub(r'\W+', '-', name), numbers)
    for prop in properties:
        found, figures = search.claim(prop)
        lines.append(f"  {name:<16} {prop:<5} {figures['states']:>10} states  depth {figures['depth']:>4}  "
                     f"{figures.get('seconds', 0):>7} s  {'BROKEN' if found else 'holds'}   {spell(numbers)}")
        if found:
            failed += 1
            lines += ['    | ' + line for line in search.story()]
        results.append({'search': name, 'property': prop, 'bounds': numbers, 'holds': not found, **figures})
    shutil.rmtree(search.folder)
    return lines, results, failed


def mutant_one(base, mutant, numbers, prop, about):
    search = Search(base / mutant.lower(), numbers, mutant, quick=True)
    found, figures = search.claim(prop)
    line = (f"  {mutant.lower().replace('_', ' '):<29} {prop.upper():<3} {'broken' if found else 'HOLDS: the mutant lives'} after "
            f"{figures['states']} states   {about}")
    shutil.rmtree(search.folder)
    return [line], [{'mutant': mutant.lower(), 'breaks': prop.upper() if found else None, 'states': figures['states']}], int(not found)


def reached_one(base, number, claim, numbers, about):
    search = Search(base / f'reached-{number}', numbers, quick=True)
    found, figures = search.claim(claim)
    line = f"  {about:<72} {'reached' if found else 'NOT REACHED'} after {figures['states']} states"
    shutil.rmtree(search.folder)
    return [line], [{'reached': about, 'found': found}], int(not found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--full', action='store_true', help='the large searches too: up to 6 GB, half an hour')
    parser.add_argument('--jobs', type=int, default=2, help='searches at a time (2)')
    args = parser.parse_args()
    if not shutil.which('spin'):
        say('model: spin is not installed; mend: scripts/setup.sh model')
        return 1
    began = time.monotonic()
    passed = failed = 0
    missing, count = names_check()
    for line in missing:
        say('  docs/protocol.md: ' + line)
    passed, failed = int(not missing), int(bool(missing))
    if not missing:
        say(f'names: {count} names in the table of docs/protocol.md, all of them exist')
    figures = {}
    with tempfile.TemporaryDirectory(prefix='baton-model-') as folder:
        base = pathlib.Path(folder)
        parts = [
            ('searches', [(search_all, *row) for row in (FULL if args.full else SHORT)]),
            ('mutants', [(mutant_one, *row) for row in MUTANTS]),
            ('reached', [(reached_one, i, *row) for i, row in enumerate(REACHED)]),
        ]
        with concurrent.futures.ThreadPoolExecutor(1 if args.full else args.jobs) as pool:
            for title, tasks in parts:
                say(f'{title}:')
                figures[title] = []
                for task in [pool.submit(task[0], base / title, *task[1:]) for task in tasks]:
                    try:
                        lines, results, bad = task.result()
                    except Failure as problem:
                        lines, results, bad = [f'  {problem}'], [{}], 1
                    for line in lines:
                        say(line)
                    figures[title] += results
                    failed += bad
                    passed += len(results) - bad
    for name, about in PROPERTIES.items():
        say(f'{name}: {about}')
    searches = [s for s in figures['searches'] if s]
    total = {
        'states': sum(s['states'] for s in searches), 'states_max': max((s['states'] for s in searches), default=0),
        'transitions': sum(s['transitions'] for s in searches), 'depth': max((s['depth'] for s in searches), default=0),
        'seconds': round(time.monotonic() - began, 1), 'exhaustive': failed == 0,
        'properties': {p: all(s['holds'] for s in searches if s['property'] == p) for p in PROPERTIES},
        'mutants': len(MUTANTS), 'mutants_caught': sum(bool(m.get('breaks')) for m in figures['mutants']),
        'reached': sum(bool(r.get('found')) for r in figures['reached']), 'reached_of': len(REACHED),
        'form': 'full' if args.full else 'short', **{k: v for k, v in figures.items() if k == 'searches'},
    }
    say(f'{passed} passed, {failed} failed')
    say(json.dumps({'model': total}))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
