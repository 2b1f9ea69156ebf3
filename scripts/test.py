#!/usr/bin/env python3
"""test - runs the suites that it is given and sums them up in one last line, "N passed, N failed".

    test.py [--build DIR] [--asan DIR] [--tsan DIR] [--fuzz DIR] SUITE...

A suite is a line of the table SUITES. A suite that does not run, ends early, takes too long or holds no test counts as
a failure: silence is not consent. The output of a failed test is shown, that of the others stays in the logs.
"""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUMMARY = re.compile(r'^(\d+) passed, (\d+) failed\s*$', re.M)
CMOCKA = re.compile(r'^\[  (PASSED|FAILED)  \] (\d+) test\(s\)', re.M)
SHOWN_LINES_MAX = 200
RETOLD_LINES_MAX = 12  # of a failed program, under the table: who reads only the end of a log knows what failed
FUZZ_SECONDS = 60
MODEL_SECONDS_MAX = 600
CHAOS_SECONDS_MAX = 900
SPRING_SECONDS_MAX = 600  # most of it is fetching, the first time
SYSTEM_SECONDS_MAX = 1500  # all of make test stays under 45 minutes on two cores
EMBEDDED_AT_ONCE = 4  # they wait more than they work
retold = []


def run(command, seconds_max, **more):
    """Runs a command in a process group of its own, which is gone when this returns; its exit code, or None if late."""
    child = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL, **more)
    try:
        return child.wait(timeout=seconds_max)
    except subprocess.TimeoutExpired:
        return None
    finally:
        for sign, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            try:
                os.killpg(child.pid, sign)
                child.wait(timeout=patience)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                pass
        child.wait()


def count_one(test):
    """What one program of Meson's said: (passed, failed)."""
    ok = test['result'] in ('OK', 'EXPECTEDFAIL')
    out = test.get('stdout', '') + '\n' + test.get('stderr', '')
    last = SUMMARY.findall(out)
    found = {'PASSED': 0, 'FAILED': 0}
    for verdict, count in CMOCKA.findall(out):
        found[verdict] += int(count)
    if last:
        found = {'PASSED': int(last[-1][0]), 'FAILED': int(last[-1][1])}
    if ok:
        return max(found['PASSED'], 0 if found['FAILED'] else 1), found['FAILED']
    return found['PASSED'], max(found['FAILED'], 1)


def meson_suite(build, suite, seconds_max, at_once=None, name=None):
    """Runs a suite of Meson's, or one test of it; a name, passed and failed for each of its programs."""
    log = build / 'meson-logs' / 'testlog.json'
    log.unlink(missing_ok=True)
    command = ['meson', 'test', '-C', str(build), '--no-rebuild', '--suite', suite]
    command += ['--num-processes', str(at_once)] if at_once else []
    command += [name] if name else []
    code = run(command, seconds_max, stdout=subprocess.DEVNULL)
    passed = failed = programs = 0
    for line in log.read_text().splitlines() if log.exists() else []:
        test = json.loads(line)
        good, bad = count_one(test)
        programs += 1
        passed, failed = passed + good, failed + bad
        name = test['name'].split(' / ')[-1]
        say(f"  {name:<24} {good:>5} passed{f'  {bad} FAILED' if bad else ''}  {test.get('duration', 0):.1f} s")
        if bad:
            text = (test.get('stdout', '') + test.get('stderr', '')).splitlines()
            for shown in text[-SHOWN_LINES_MAX:]:
                say('    | ' + shown)
            retold.extend(f'{name}: {line[:300]}' for line in text[-RETOLD_LINES_MAX:])
            say(f"    | ({test['result']}, exit {test.get('returncode', '?')}; everything is in {os.path.relpath(log)})")
    if programs == 0:
        say(f'  no test of suite "{suite}" ran in {build}: counted as a failure')
        failed += 1
    elif code != 0 and failed == 0:
        say('  ' + ('took too long' if code is None else f'meson test ended with exit code {code}') + ': counted as a failure')
        failed += 1
    return passed, failed


def unit(args):
    return meson_suite(args.build, 'unit', 300)


def embedded(args):
    return meson_suite(args.build, 'embedded', 600, EMBEDDED_AT_ONCE)


def sim(args):
    return meson_suite(args.build, 'sim', 120)


def long(args):
    return meson_suite(args.build, 'long', 900)


def build_folder(args, folder, what, *targets):
    """Sets up (by a rule of the Makefile) and builds one of the other folders; false when that fails."""
    if not (folder / 'build.ninja').exists():
        command = ['make', f'BUILD={args.build}', f'{what}={folder}', f'{folder}/build.ninja']
        if run(command, 300, stdout=subprocess.DEVNULL) != 0:
            say('  the build folder could not be set up')
            return False
    if run(['ninja', '-C', str(folder), '--quiet', *targets], 900) != 0:
        say('  does not build')
        return False
    return True


def asan(args):
    if not build_folder(args, args.asan, 'ASAN'):
        return 0, 1
    sums = [meson_suite(args.asan, suite, 900, at_once) for suite, at_once in (('unit', None), ('sim', None), ('embedded', EMBEDDED_AT_ONCE))]
    return sum(s[0] for s in sums), sum(s[1] for s in sums)


def tsan(args):
    """What has threads: the server's tests and all that talks to Kafka."""
    if not build_folder(args, args.tsan, 'TSAN'):
        return 0, 1
    sums = [meson_suite(args.tsan, 'unit', 300, None, 'http'), meson_suite(args.tsan, 'embedded', 1200, EMBEDDED_AT_ONCE)]
    return sum(s[0] for s in sums), sum(s[1] for s in sums)


def fuzz(args):
    """One minute over all parsers; each that holds is a pass."""
    if not build_folder(args, args.fuzz, 'FUZZ', 'fuzz'):
        return 0, 1
    command = [str(ROOT / 'tests/fuzz/run.py'), '--build', str(args.fuzz), '--seconds', str(FUZZ_SECONDS)]
    figures = args.build / 'fuzz.txt'
    with figures.open('w') as out:
        code = run(command, 4 * FUZZ_SECONDS, stdout=out)
    lines = figures.read_text().splitlines()
    for line in lines:
        say('  ' + line)
    sums = json.loads(lines[-1])['fuzz'] if lines and lines[-1].startswith('{') else {'targets': 0, 'broken': 1}
    return sums['targets'] - sums['broken'], max(sums['broken'], int(code != 0))


def model(args):
    return own_sum(args, 'model/run.py', MODEL_SECONDS_MAX)


def system(args):
    return own_sum(args, 'tests/system/run.py', SYSTEM_SECONDS_MAX)


def spring(args):
    return own_sum(args, 'integrations/spring/verify.py', SPRING_SECONDS_MAX, '--quick')


def chaos(args):
    return own_sum(args, 'tests/chaos/chaos.py', CHAOS_SECONDS_MAX, '--switches', '25', '--file', 'short')


def own_sum(args, program, seconds_max, *options):
    """A program that shows its own progress and ends with its own sum."""
    command = [sys.executable, '-u', str(ROOT / program), *options]
    environment = {**os.environ, 'BATON_BUILD': str(args.build)}
    sums = []
    child_out, child_in = os.pipe()

    def copy():
        with os.fdopen(child_out, errors='replace') as lines:
            for line in lines:
                sums[:] = SUMMARY.findall(line) or sums
                if 'FAIL' in line:
                    retold.append(f'{pathlib.Path(program).parent.name}: {line.rstrip()[:300]}')
                say('  ' + line.rstrip('\n'))

    reader = threading.Thread(target=copy)
    reader.start()
    code = run(command, seconds_max, stdout=child_in, stderr=child_in, env=environment)
    os.close(child_in)
    reader.join(10)
    passed, failed = map(int, sums[-1]) if sums else (0, 0)
    if code != 0 and failed == 0 or passed + failed == 0:
        say('  ' + ('took too long' if code is None else f'exit {code} without a failed test: counted as one'))
        failed += 1
    return passed, failed


SUITES = {
    'unit': (unit, 'unit tests and layers'),
    'sim': (sim, 'short simulation'),
    'embedded': (embedded, 'library, controller and adapter on the embedded broker'),
    'asan': (asan, 'these under AddressSanitizer and UBSan'),
    'tsan': (tsan, 'what has threads under ThreadSanitizer'),
    'fuzz': (fuzz, 'a minute of libFuzzer over every parser'),
    'long': (long, 'long simulation'),
    'model': (model, 'every state of the model of the protocol'),
    'spring': (spring, 'the Spring starter on Boot 3.5 and on Boot 4'),
    'system': (system, 'system tests on Apache Kafka'),
    'chaos': (chaos, '25 switches on three brokers while everything breaks, audited'),
}


def say(text):
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build')
    parser.add_argument('--asan', type=pathlib.Path, default=ROOT / 'build-asan')
    parser.add_argument('--tsan', type=pathlib.Path, default=ROOT / 'build-tsan')
    parser.add_argument('--fuzz', type=pathlib.Path, default=ROOT / 'build-fuzz')
    parser.add_argument('suites', nargs='+', choices=SUITES, metavar='SUITE', help=', '.join(SUITES))
    args = parser.parse_args()
    args.build, args.asan, args.tsan, args.fuzz = (p.resolve() for p in (args.build, args.asan, args.tsan, args.fuzz))
    sum_file = args.build / 'test-sum.txt'
    sum_file.unlink(missing_ok=True)
    table = []
    for name in args.suites:
        function, about = SUITES[name]
        say(f'{name}: {about}')
        began = time.monotonic()
        try:
            passed, failed = function(args)
        except Exception as problem:  # a runner that breaks must not look like a pass
            say(f'  {type(problem).__name__}: {problem}')
            passed, failed = 0, 1
        table.append((name, passed, failed, time.monotonic() - began))
    say('')
    for name, passed, failed, seconds in table:
        say(f"{name:<8} {passed:>6} passed {failed:>4} failed {seconds:>7.1f} s{'   <--' if failed else ''}")
    if any(t[2] for t in table):
        say('\n'.join(['', 'what failed:'] + [f'  {line}' for line in retold] + ['']))
    passed, failed = sum(t[1] for t in table), sum(t[2] for t in table)
    line = f'{passed} passed, {failed} failed'
    sum_file.write_text(line + '\n')
    say(line)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
