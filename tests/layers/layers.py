#!/usr/bin/env python3
"""layers - includes point one way, and core is pure.

    layers.py SOURCE_ROOT [NM LIBCORE.A]

The table below is the architecture (docs/ARCHITECTURE.md): what a folder may include, of ours and of others. A line
that is not in it is refused with its file and line. With NM and the core library, the symbols that core wants from
outside are checked too: no clock, no I/O, no allocation can hide behind a header that is allowed.
"""
import pathlib
import re
import subprocess
import sys

C_HEADERS = 'assert ctype errno float inttypes limits math setjmp stdalign stdarg stdatomic stdbool stddef stdint ' \
            'stdio stdlib string time'.split()

ADAPTERS = ['wire', 'core', 'base']
SHELL = ['kafka', 'channel', 'http', 'redis', 'kube'] + ADAPTERS

# folder: (which folders it may include, which libraries it may use beside C and POSIX; None: any)
LAYERS = {
    'src/base': (['base'], []),
    'src/core': (['core', 'base'], []),
    'src/wire': (['wire', 'core', 'base'], ['jansson.h', 'libfyaml.h']),
    'src/kafka': (['kafka'] + ADAPTERS, ['librdkafka/']),
    'src/redis': (['redis', 'http'] + ADAPTERS, ['hiredis/', 'openssl/']),
    'src/kube': (['kube', 'http'] + ADAPTERS, ['jansson.h']),
    'src/channel': (['channel', 'kafka', 'http', 'redis', 'kube'] + ADAPTERS, ['jansson.h']),
    'src/http': (['http'] + ADAPTERS, ['event2/', 'openssl/', 'curl/', 'jansson.h']),
    'src/member': (['member', 'baton'] + SHELL, ['librdkafka/', 'jansson.h']),
    'src/run': (['run', 'baton', 'kafka', 'http', 'base'], ['librdkafka/', 'jansson.h']),
    'src/agent': (['agent'] + SHELL, ['event2/', 'jansson.h']),
    'src/controller': (['controller'] + SHELL, ['librdkafka/', 'event2/', 'jansson.h', 'zlib.h']),
    'src/cli': (['cli', 'agent', 'run', 'controller', 'member', 'baton'] + SHELL, None),
    'include/baton': (['baton'], []),
    'examples': (['baton'], None),
}

PURE_HEADERS = {h + '.h' for h in C_HEADERS} - {'time.h', 'errno.h', 'setjmp.h', 'stdatomic.h'}
PURE_CALLS = set('abs bsearch labs llabs memchr memcmp memcpy memmove memset qsort snprintf strchr strcmp strcspn '
                 'strlen strncmp strnlen strrchr strspn strstr suggest vsnprintf '
                 'exp fabs floor log log1p pow sqrt'.split())
IMPURE_OF_BASE = re.compile(r'clock_(?!format)|log_(?!quote)')
OF_THE_COMPILER = re.compile(r'_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__gcov_|__llvm_')
FORTIFIED = re.compile(r'^__(\w+)_chk$')
THIRD_PARTY = {name for _, libraries in LAYERS.values() for name in libraries or [] if not name.endswith('/')} \
    | {'sqlite3.h', 'zlib.h', 'zstd.h', 'event.h', 'cmocka.h'}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
POSIX = re.compile(r'(arpa|net|netinet|sys|linux)/[a-z_]+\.h|[a-z0-9_]+\.h')


def wrong_includes(root):
    known = {pathlib.PurePath(folder).name for folder in LAYERS}
    for folder, (ours, libraries) in LAYERS.items():
        for path in sorted((root / folder).rglob('*.[ch]')):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                quote, name = found.groups()
                where = f'{path.relative_to(root)}:{number}'
                first = name.split('/')[0]
                if quote == '"' or first in known and '/' in name:
                    if first not in ours or '/' not in name:
                        yield f'{where}: {folder} may not include "{name}", only from {", ".join(ours)} ("folder/file.h")'
                elif folder == 'src/core' and name not in PURE_HEADERS:
                    yield f'{where}: core is pure and may not include <{name}>'
                elif libraries is not None and not any(name.startswith(lib) for lib in libraries) \
                        and (not POSIX.fullmatch(name) or name in THIRD_PARTY):
                    yield f'{where}: {folder} may not use <{name}>; its libraries are {", ".join(libraries) or "none"}'


def wrong_calls(nm, core_lib):
    out = subprocess.run([nm, '-A', core_lib], check=True, capture_output=True, text=True).stdout
    wanted, defined = {}, set()
    for line in out.splitlines():
        where, _, rest = line.rpartition(':')
        kind, name = rest.split()[-2:]
        if kind in 'Uw':
            wanted.setdefault(name, where)
        else:
            defined.add(name)
    base = pathlib.Path(__file__).resolve().parents[2] / 'src/base'
    of_base = set(re.findall(r'\b([a-z]+_[a-z0-9_]+)\s*[\[(;]', ''.join(p.read_text() for p in base.glob('*.h'))))
    for name, where in sorted(wanted.items()):
        name = FORTIFIED.sub(r'\1', name)
        if name in defined or name in PURE_CALLS or OF_THE_COMPILER.match(name):
            continue
        if name in of_base and not IMPURE_OF_BASE.match(name):
            continue
        yield f'{where}: core is pure and may not call {name}()'


def main():
    root = pathlib.Path(sys.argv[1])
    complaints = list(wrong_includes(root))
    if len(sys.argv) == 4:
        complaints += wrong_calls(*sys.argv[2:])
    for line in complaints:
        print(line)
    print(f'layers: {len(complaints)} complaints' if complaints else 'layers: includes point one way, core is pure')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
