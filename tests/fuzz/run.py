#!/usr/bin/env python3
"""run - lets libFuzzer loose on every parser (fuzz.h), for a time or a number of executions over all.

    run.py --build DIR [--seconds N | --runs N] [--jobs N] [TARGET...]

Time is shared equally. With --runs, turns of ten seconds a target follow each other until so many executions are done.
What breaks a parser lands in found/<target>/, so `make check` repeats it until it is mended: give the file a name that
says what it is, and commit it. The last line is the figures as JSON.
"""
import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TARGETS = re.findall(r'^    X\((\w+)\)', (HERE / 'fuzz.h').read_text(), re.M)
TURN_SECONDS = 10
INPUT_BYTES_MAX = 8192
SHOWN_LINES_MAX = 60


def turn(build, target, seconds):
    """One run of one target: how many executions, edges covered, and what it said when it broke."""
    corpus, found = build / 'fuzz-corpus' / target, HERE / 'found' / target
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    command = [build / 'tests/fuzz' / f'fuzz-{target}', f'-max_total_time={seconds}', f'-dict={HERE}/words/{target}',
               f'-artifact_prefix={found}/', f'-max_len={INPUT_BYTES_MAX}', '-timeout=25', '-rss_limit_mb=1500', '-print_final_stats=1',
               corpus, HERE / 'seeds' / target, found]
    child = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace')
    said = child.stderr
    count = re.findall(r'number_of_executed_units: (\d+)', said)
    covered = re.findall(r'cov: (\d+)', said)
    if not any(found.iterdir()):
        found.rmdir()
    return {'target': target, 'executions': int(count[-1]) if count else 0, 'edges': int(covered[-1]) if covered else 0,
            'broken': None if child.returncode == 0 and count else said}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, required=True, help='a build folder with -Dfuzz=true')
    parser.add_argument('--seconds', type=int, default=60, help='in all, on each of the jobs (60)')
    parser.add_argument('--runs', type=float, default=0, help='executions over all; then --seconds does not count')
    parser.add_argument('--jobs', type=int, default=2, help='targets at a time (2)')
    parser.add_argument('targets', nargs='*', choices=[[], *TARGETS], metavar='TARGET', help=', '.join(TARGETS))
    args = parser.parse_args()
    args.build = args.build.resolve()
    targets = args.targets or TARGETS
    sums = {t: {'executions': 0, 'edges': 0, 'broken': 0} for t in targets}
    began = time.monotonic()
    seconds = TURN_SECONDS if args.runs else max(1, args.seconds * args.jobs // len(targets))

    def total():
        return sum(s['executions'] for s in sums.values())

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        while True:
            alive = [t for t in targets if not sums[t]['broken']]
            for r in pool.map(lambda t: turn(args.build, t, seconds), alive):
                s = sums[r['target']]
                s['executions'] += r['executions']
                s['edges'] = max(s['edges'], r['edges'])
                if r['broken']:
                    s['broken'] += 1
                    print(f"{r['target']}: BROKEN")
                    print(''.join(f'    | {line}\n' for line in r['broken'].splitlines()[-SHOWN_LINES_MAX:]), flush=True)
            if total() >= args.runs or not alive:
                break
            print(f'{total():.3g} of {args.runs:.3g} executions', file=sys.stderr, flush=True)
    for t, s in sums.items():
        print(f"{t:<12} {s['executions']:>12} executions {s['edges']:>6} edges{'  BROKEN' if s['broken'] else ''}")
    broken = sum(s['broken'] for s in sums.values())
    print(json.dumps({'fuzz': {'executions': total(), 'seconds': round(time.monotonic() - began), 'targets': len(targets), 'broken': broken,
                               'by_target': {t: s['executions'] for t, s in sums.items()}}}))
    return 1 if broken else 0


if __name__ == '__main__':
    sys.exit(main())
