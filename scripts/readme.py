#!/usr/bin/env python3
"""readme - keeps the pages honest: the code they show is the code that is built, and what they link to exists.

    readme.py [--write]

A fenced block after a line `<!-- PATH (...) -->` must hold that file word for word; --write puts it there.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHOWN = re.compile(r'(<!-- (\S+) \(.*?\) -->\n```c\n)(.*?)(```\n)', re.S)
LINK = re.compile(r'\]\(([^)#:\s]+)(?:#[^)]*)?\)')


def main():
    write = '--write' in sys.argv[1:]
    complaints = []
    for page in [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]:
        text = page.read_text()
        name = page.relative_to(ROOT)
        fresh = SHOWN.sub(lambda m: m[1] + (ROOT / m[2]).read_text() + m[4], text)
        if fresh != text and write:
            page.write_text(fresh)
        elif fresh != text:
            complaints.append(f'{name}: a file it shows has changed; run scripts/readme.py --write')
        for number, line in enumerate(text.splitlines(), 1):
            for target in LINK.findall(line):
                if not (page.parent / target).exists():
                    complaints.append(f'{name}:{number}: {target} does not exist')
    for complaint in complaints:
        print(complaint)
    print(f'readme: {len(complaints)} complaints' if complaints else 'readme: code and links are in step')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
