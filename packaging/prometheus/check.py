#!/usr/bin/env python3
"""check - Prometheus' own tools on what Baton serves and ships.

    check.py BATON

Starts an embedded broker and a controller with a fleet, and looks at the page in both formats: promtool finds nothing to
mend, the reference parser of OpenMetrics reads it, no series stands there twice. Then the rules and
their tests, and that every metric that rules, tests and dashboard name is on the page. The last line is "N passed, M failed".
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PATIENCE = 30
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
WORDS = re.compile(r"\b((?:baton|process|kafka)_[a-z0-9_]+)\b")
SUFFIXES = ("_total", "_bucket", "_count", "_sum", "_info", "_created")

passed = failed = 0


def check(name, fault):
    """fault: falsy, or what is wrong."""
    global passed, failed
    passed, failed = passed + (not fault), failed + bool(fault)
    print(f"{'ok  ' if not fault else 'FAIL'} {name}{f': {fault}' if fault else ''}", flush=True)


def promtool(*args, given=None):
    r = subprocess.run([PROMTOOL, *args], input=given, capture_output=True, text=True, check=False, timeout=60, cwd=HERE)
    return "" if r.returncode == 0 and "FAILED" not in r.stdout else (r.stdout + r.stderr).strip()


def first_line(child):
    line = child.stdout.readline().strip()
    if not line:
        raise SystemExit(f"{child.args[1]} says nothing")
    return line


def get(url, accept=None):
    request = urllib.request.Request(url, headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode(), answer.headers["Content-Type"]


def wait_for(url, needle):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            page = get(url)[0]
        except OSError:
            page = ""
        if needle in page:
            return page
        if time.monotonic() > deadline:
            raise SystemExit(f"{url} never showed {needle}:\n{page[:2000]}")
        time.sleep(0.05)


def series(page):
    return [line.rsplit(" ", 1)[0] for line in page.splitlines() if line and not line.startswith("#")]


def twice(page):
    names = series(page)
    return [n for n in set(names) if names.count(n) > 1][:3]


def strict(page):
    """Debian's python3-prometheus-client belongs to the system's Python, whatever else is on the PATH."""
    program = ("import sys\nfrom prometheus_client.openmetrics import parser\n"
               "print(len(list(parser.text_string_to_metric_families(sys.stdin.read()))))")
    r = subprocess.run(["/usr/bin/python3", "-c", program], input=page, capture_output=True, text=True, check=False, timeout=60)
    if "ModuleNotFoundError" in r.stderr:
        return "python3-prometheus-client is missing: run scripts/setup.sh test"
    return r.stderr.strip() if r.returncode else "" if int(r.stdout) > 30 else f"it holds {r.stdout.strip()} families"


def families(page):
    return {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ")}


def unknown_names(text, known):
    names = {word for word in WORDS.findall(text) if f":{word}" not in text}  # not parts of recorded names, fleet:baton_..:max
    bare = {k[: -len(s)] for k in known for s in SUFFIXES if k.endswith(s)} | known
    return sorted(n for n in names if n not in bare and not any(n.endswith(s) and n[: -len(s)] in bare for s in SUFFIXES))


def look(baton, folder):
    children = []
    try:
        broker = subprocess.Popen([baton, "broker", "--topic", "orders=64"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        children.append(broker)
        bootstrap = first_line(broker)
        serve = subprocess.Popen([baton, "serve", "--bootstrap", bootstrap, "--listen", "127.0.0.1:0", "--metrics-kafka-exporter",
                                  "--metrics-partitions", "40"],
                                 stdout=subprocess.PIPE, stderr=open(folder / "serve.log", "w", encoding="utf-8"), text=True)
        children.append(serve)
        server = first_line(serve).split()[-1]
        wait_for(server + "/metrics", 'baton_controller_role{baton_controller_role="leading"} 1')
        fleet = folder / "fleet.yaml"
        fleet.write_text("fleet: payments\ntopics: [orders]\n")
        subprocess.run([baton, "--server", server, "fleet", "apply", str(fleet)], check=True, capture_output=True, timeout=60)
        old = wait_for(server + "/metrics", 'baton_lag_hidden_partitions{fleet="payments"} 24')
        new, kind = get(server + "/metrics", OPENMETRICS)
        check("the formats are named", "" if kind.startswith("application/openmetrics-text; version=1.0.0") and
              get(server + "/metrics")[1].startswith("text/plain; version=0.0.4") else kind)
        check("promtool check metrics", promtool("check", "metrics", given=old))
        check("OpenMetrics' own parser", strict(new))
        check("the page ends with # EOF", "" if new.endswith("\n# EOF\n") else new[-100:])
        check("no series is there twice", ", ".join(twice(old) + twice(new)))
        both = set(s for s in series(new) if not re.search(r"_created(\{|$)", s))
        check("both formats hold the same", ", ".join(sorted(both ^ set(series(old)))[:3]))
        return old
    finally:
        for child in reversed(children):
            child.send_signal(signal.SIGTERM)
        for child in reversed(children):
            child.wait(20)
            child.stdout.close()


def main():
    global PROMTOOL
    PROMTOOL = os.path.join(subprocess.run([ROOT / "scripts/prometheus.sh"], check=True, capture_output=True,
                                           text=True).stdout.strip(), "promtool")
    with tempfile.TemporaryDirectory(prefix="baton-metrics-") as folder:
        page = look(os.path.abspath(sys.argv[1]), pathlib.Path(folder))
    rules, tests = (HERE / "baton.rules.yml").read_text(), (HERE / "baton.rules.test.yml").read_text()
    questions = re.sub(r"annotations:.*?(?=\n      - |\Z)", "", rules, flags=re.S)
    dashboard = (HERE.parent / "grafana" / "baton.json").read_text()
    check("promtool check rules", promtool("check", "rules", "baton.rules.yml"))
    check("promtool test rules", promtool("test", "rules", "baton.rules.test.yml"))
    alerts = re.findall(r"alert: (\w+)", rules)
    check("every alert is tested", ", ".join(a for a in alerts if f'alertname="{a}"' not in tests))
    known = families(page)
    expressions = " ".join(re.findall(r'"expr": "((?:[^"\\]|\\.)*)"', dashboard))
    for name, text in (("rules", questions), ("tests of the rules", tests), ("dashboard", expressions)):
        check(f"what the {name} name is on the page", ", ".join(unknown_names(text, known)))
    panels = [p for p in json.loads(dashboard)["panels"] if p["type"] != "row"]
    check("every panel of the dashboard asks something", "" if len(panels) > 15 and all(p["targets"] for p in panels) else "no")
    check("no panel lies over another", overlap(json.loads(dashboard)["panels"]))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def overlap(panels):
    taken = {}
    for p in panels:
        g = p["gridPos"]
        for cell in ((x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])):
            if cell in taken:
                return f"{p['title']} over {taken[cell]}"
            taken[cell] = p["title"]
    return ""


if __name__ == "__main__":
    sys.exit(main())
