#!/usr/bin/env python3
"""coverage - which lines and branches of a folder the tests have run, by gcov alone; the last line is JSON.

    coverage.py --build DIR [--folder src/core] [--list]

DIR was built with -Db_coverage=true and its tests have run. A source that was compiled more than once counts as run where
any of its objects ran it. --list names each line that never ran and each branch that always went one way.

Three kinds of code are there because they are never to run, and do not count; the text itself shows which they are:
  assert   the other way of an ASSERT, which leads into check_failed()
  enum     the way past a switch that names every value of its enum (no default), and the line behind such a switch, if each
           line within has run: no value leads there
  idle     a case with nothing but a break, which a switch without a default has to name
Whatever else is listed is code that no test has met.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOAL_PERCENT = 95


def objects(build):
    """What gcov says of every object that has run: (source, its line records)."""
    for data in sorted(build.rglob('*.gcda')):
        out = subprocess.run(['gcov', '--json-format', '--stdout', '--branch-probabilities', str(data)], capture_output=True, text=True, cwd=build)
        for text in out.stdout.splitlines():
            for file in json.loads(text)['files']:
                yield (build / file['file']).resolve(), file['lines']


def gather(build, folder):
    """{source: {line: (count, [count of each branch])}}, summed over the objects; where they disagree how many branches
    there are (optimized or not), those count of which the most were taken."""
    sums = {}
    for source, lines in objects(build):
        if folder not in source.parents or source.suffix != '.c':
            continue
        known = sums.setdefault(source, {})
        for line in lines:
            branches = [b['count'] for b in line['branches'] if not b['throw']]
            old = known.setdefault(line['line_number'], [0, {}])
            old[0] += line['count']
            before = old[1].get(len(branches), [0] * len(branches))
            old[1][len(branches)] = [a + b for a, b in zip(before, branches)]
    return {source: {n: (count, max(ways.values(), key=taken)) for n, (count, ways) in lines.items()} for source, lines in sums.items()}


def taken(branches):
    return sum(b > 0 for b in branches) / len(branches) if branches else 0


def asserts(text):
    """The lines of every ASSERT, however many it has."""
    found, within = set(), False
    for number, line in enumerate(text, 1):
        within = within or re.match(r'\s*(ASSERT|if \(.*\) *ASSERT)\b', line) is not None
        if within:
            found.add(number)
        within = within and not line.split('/*')[0].rstrip().endswith(';')
    return found


def switches(text, lines):
    """Of the switches without a default: (lines that are never to run, {line of a switch: how many of its ways are not to be taken})."""
    never, ways = set(), {}
    for first, line in enumerate(text, 1):
        indent = re.match(r'( *)switch \(.*\{$', line)
        if not indent:
            continue
        last = next(n for n in range(first + 1, len(text) + 1) if text[n - 1] == indent[1] + '}')
        body = range(first + 1, last)
        if any(re.match(indent[1] + 'default:', text[n - 1]) for n in body):
            continue
        ways[first] = 1
        labels = []
        for n in body:
            if re.match(indent[1] + r'case .*:( /\*.*)?$', text[n - 1]):
                labels.append(n)
                continue
            idle = labels and text[n - 1] == indent[1] + '    break;'
            if idle and all(lines.get(k, (0, []))[0] == 0 for k in [*labels, n]):
                never.update([*labels, n])
                ways[first] += 1
            labels = []
        behind = next((n for n in range(last + 1, len(text) + 1) if text[n - 1].strip()), last)
        if all(lines[n][0] > 0 for n in body if n in lines and n not in never) and lines.get(behind, (1, []))[0] == 0:
            never.add(behind)
    return never, ways


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--folder', type=pathlib.Path, default=pathlib.Path('src/core'))
    parser.add_argument('--list', action='store_true')
    args = parser.parse_args()
    folder = (ROOT / args.folder).resolve()
    figures = {'lines': 0, 'lines_run': 0, 'branches': 0, 'branches_run': 0}
    without = {'assert': 0, 'enum': 0, 'idle': 0}
    for source, lines in sorted(gather(args.build.resolve(), folder).items()):
        text = source.read_text().splitlines()
        asserted = asserts(text)
        never, ways = switches(text, lines)
        for number, (count, branches) in sorted(lines.items()):
            shown = text[number - 1].strip() if number <= len(text) else ''
            if number in never:
                without['idle' if re.match('case |break;', shown) else 'enum'] += 1
                continue
            if number in asserted:
                without['assert'] += len(branches)
                branches = []
            run = sum(b > 0 for b in branches)
            forgiven = min(ways.get(number, 0), len(branches) - run) if count else 0
            without['enum'] += forgiven
            total = len(branches) - forgiven
            figures['lines'] += 1
            figures['lines_run'] += count > 0
            figures['branches'] += total
            figures['branches_run'] += run
            if args.list and (count == 0 or run < total):
                what = 'never ran' if count == 0 else f'{run} of {total} ways'
                print(f'{source.relative_to(ROOT)}:{number}: {what}: {shown}')
    if figures['lines'] == 0:
        print('nothing has run: build with -Db_coverage=true and run the tests', file=sys.stderr)
        return 1
    for what in ('lines', 'branches'):
        figures[f'{what}_percent'] = round(100 * figures[f'{what}_run'] / max(1, figures[what]), 2)
    print(json.dumps({'coverage': {'folder': str(args.folder), **figures, 'goal_percent': GOAL_PERCENT, 'never_to_run': without}}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
