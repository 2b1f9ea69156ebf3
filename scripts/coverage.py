#!/usr/bin/env python3
"""coverage - which lines and branches of a folder the tests have run, by gcov alone; the last line is JSON.

    coverage.py --build DIR [--folder src/core] [--list]

DIR was built with -Db_coverage=true and its tests have run. A source that was compiled more than once counts as run where
any of its objects ran it. Branches into check_failed() do not count: an assertion's other way is never taken. --list names
each line that never ran and each branch that always went one way.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--folder', type=pathlib.Path, default=pathlib.Path('src/core'))
    parser.add_argument('--list', action='store_true')
    args = parser.parse_args()
    folder = (ROOT / args.folder).resolve()
    figures = {'lines': 0, 'lines_run': 0, 'branches': 0, 'branches_run': 0}
    for source, lines in sorted(gather(args.build.resolve(), folder).items()):
        text = source.read_text().splitlines()
        for number, (count, branches) in sorted(lines.items()):
            shown = text[number - 1].strip() if number <= len(text) else ''
            if re.match(r'(ASSERT|if \(.*\) *ASSERT)\b', shown):
                branches = []
            run = sum(b > 0 for b in branches)
            figures['lines'] += 1
            figures['lines_run'] += count > 0
            figures['branches'] += len(branches)
            figures['branches_run'] += run
            if args.list and (count == 0 or run < len(branches)):
                what = 'never ran' if count == 0 else f'{run} of {len(branches)} ways'
                print(f'{source.relative_to(ROOT)}:{number}: {what}: {shown}')
    if figures['lines'] == 0:
        print('nothing has run: build with -Db_coverage=true and run the tests', file=sys.stderr)
        return 1
    for what in ('lines', 'branches'):
        figures[f'{what}_percent'] = round(100 * figures[f'{what}_run'] / max(1, figures[what]), 2)
    print(json.dumps({'coverage': {'folder': str(args.folder), **figures}}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
