#!/usr/bin/env python3
"""static - reads the source without running it: gcc's -fanalyzer and clang-tidy over src/.

    static.py --build DIR [--jobs N] [FILE...]

Each file is read with the flags of its build. What is looked for stands in .clang-tidy, with the reason of each check that is
off. gcc's leak checks are off, since gcc 12 loses sight of what is stored in a list or struct; leaks are watched by
LeakSanitizer in `make asan`. -Wconversion and the other warnings are errors of every build. The last line is JSON.
"""
import argparse
import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
GCC = ['gcc', '-O1', '-fanalyzer', '-Wno-analyzer-malloc-leak', '-Wno-analyzer-file-leak', '-Werror', '-c', '-o', '/dev/null']


def flags(build, entry):
    """What of a file's command matters to a reader: macros and where headers lie."""
    words = iter(shlex.split(entry['command']))
    kept = ['-std=c11']
    for word in words:
        if re.match(r'-[DI].', word):
            path = word[2:]
            kept.append(word if word.startswith('-D') else f'-I{(build / path).resolve()}')
        elif word.startswith('-isystem'):
            kept.append('-isystem' + str((build / (word[8:] or next(words))).resolve()))
    return kept


def read(build, entry):
    """What both say of one file."""
    path, own = str((build / entry['file']).resolve()), flags(build, entry)
    said = []
    for command in ([*GCC, *own, path], ['clang-tidy', '--quiet', f'--config-file={ROOT}/.clang-tidy', path, '--', *own]):
        child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if child.returncode != 0:
            said.append(child.stdout + '\n'.join(l for l in child.stderr.splitlines() if 'warnings generated' not in l))
    return path, said


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('files', nargs='*', help='such as src/core/switch.c (all of src/)')
    args = parser.parse_args()
    build = args.build.resolve()
    wanted = [(ROOT / f).resolve() for f in args.files]
    entries = {}
    for entry in json.loads((build / 'compile_commands.json').read_text()):
        path = (build / entry['file']).resolve()
        if ROOT / 'src' in path.parents and (not wanted or path in wanted):
            entries.setdefault(path, entry)
    began, findings = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for path, said in pool.map(lambda e: read(build, e), entries.values()):
            findings += len(said)
            for text in said:
                print(text.replace(f'{ROOT}/', ''), flush=True)
    print(json.dumps({'static': {'files': len(entries), 'findings': findings, 'seconds': round(time.monotonic() - began)}}))
    return 1 if findings or not entries else 0


if __name__ == '__main__':
    sys.exit(main())
