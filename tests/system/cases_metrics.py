"""A real Prometheus: it scrapes the controllers, the controllers ask it, and it goes down."""

import http.server
import json
import os
import re
import signal
import subprocess
import threading
import urllib.parse
import urllib.request

from cases_switch import require
from fleet import Test
from kafka import ROOT, end_child, free_ports, start_child, wait_until

# The password of user "admin" is "test": the example of Prometheus' own guide, for bcrypt is not in Python.
USER = "admin: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"
PASSWORD = "admin:test"
RATE = 2000  # records a second


class Prometheus:
    def __init__(self, f, targets, user=False):
        tools = subprocess.run([os.path.join(ROOT, "scripts", "prometheus.sh")], check=True, capture_output=True, text=True).stdout.strip()
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = f.path("prometheus.log")
        config, web = f.path("prometheus.yml"), f.path("prometheus-web.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("global: { scrape_interval: 1s, evaluation_interval: 1s }\n"
                       f"rule_files: ['{ROOT}/packaging/prometheus/baton.rules.yml']\n"
                       f"scrape_configs:\n  - job_name: baton\n    static_configs: [{{ targets: {json.dumps(targets)} }}]\n")
        with open(web, "w", encoding="utf-8") as file:
            file.write("basic_auth_users:\n  " + USER + "\n" if user else "")
        self.argv = [os.path.join(tools, "prometheus"), f"--config.file={config}", f"--web.config.file={web}",
                     f"--web.listen-address=127.0.0.1:{self.port}", f"--storage.tsdb.path={f.path('prometheus-data')}",
                     "--storage.tsdb.retention.time=1h", "--log.level=warn"]
        self.child = None

    def start(self):
        self.child = start_child(self.argv, self.log, env={**os.environ, "GOMAXPROCS": "1"})

    def stop(self):
        end_child(self.child)
        self.child = None

    def ask(self, query):
        """{labels as text: value}; empty while it does not answer."""
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                result = json.load(answer)["data"]["result"]
        except (OSError, ValueError):
            return {}
        return {json.dumps(r["metric"], sort_keys=True): float(r["value"][1]) for r in result}

    def one(self, query):
        values = list(self.ask(query).values())
        return values[0] if len(values) == 1 else None

    def wait(self, query, fine, what, seconds=40):
        last = []

        def look():
            last[:] = [self.one(query)]
            return last[0] is not None and fine(last[0])

        wait_until(look, seconds, lambda: f"{what}: {query} is {last}; see {self.log}", 0.2)
        return last[0]


def page(c):
    status, text, _ = c.request("GET", "/metrics")
    require(status == 200, f"/metrics answers {status}")
    return text


def value(c, series):
    """Of one series of a controller's page; None: it is not there."""
    found = re.search("^" + re.escape(series) + r" (\S+)$", page(c), re.M)
    return float(found.group(1)) if found else None


def metrics(w):
    """Two controllers under a real Prometheus' eyes: what it stores is what happened, also when the lead changes."""
    f = w.fleet({"in": 12})
    f.up(blue=2, green=2, controllers=2, rate=RATE)
    p = Prometheus(f, [f"127.0.0.1:{c.port}" for c in f.controllers])
    p.start()
    name = f'fleet="{f.name}"'
    p.wait('sum(up{job="baton"})', lambda v: v == 2, "both are scraped")
    p.wait(f'sum(baton_batons{{{name},holder="blue",state="held"}})', lambda v: v == 12, "all is blue's")
    p.wait(f'sum(rate(baton_records_done_total{{{name},color="blue"}}[10s]))', lambda v: RATE / 2 < v < RATE * 2, "blue's rate")
    p.wait(f'sum(baton_topic_lag_records{{{name},color="blue"}})', lambda v: v >= 0, "blue's lag")
    f.switch(to="green").wait().expect(0)
    p.wait(f'sum(baton_operations_total{{{name},kind="switch",outcome="complete"}})', lambda v: v == 1, "the switch")
    p.wait(f'sum(baton_standstill_seconds_count{{{name}}})', lambda v: v == 12, "twelve standstills")
    p.wait(f'max(baton_fleet_active{{{name},color="green"}})', lambda v: v == 1, "green")
    p.wait(f'sum(rate(baton_records_done_total{{{name},color="green"}}[10s]))', lambda v: v > RATE / 2, "green's rate")
    p.wait(f'max(fleet_color:baton_processing_seconds:p99_5m{{{name},color="green"}})', lambda v: 0 < v < 60, "a recorded p99")
    p.wait(f'sum(baton_metadata_seconds_count{{{name}}})', lambda v: v >= 4, "each member has asked about the topics")
    f.stop_producers()
    f.wait_drained()
    p.wait(f'sum(baton_topic_lag_records{{{name},color="green"}})', lambda v: v == 0, "green's lag")
    p.wait(f'sum(baton_partition_lag_records{{{name},color="green"}} >= bool 0)', lambda v: v == 12, "a lag for each partition")
    done = sum(value(f.leader(), f'baton_records_done_total{{{name},color="{c}"}}') for c in ("blue", "green"))
    audit = f.expect_clean()
    require(done == audit["produced"], f"{done} records are done by the page, {audit['produced']} were produced")
    old = f.leader()
    new = next(c for c in f.controllers if c is not old)
    require(value(new, f'baton_batons{{{name},holder="green",state="held"}}') is None, "a follower tells of fleets: they are counted twice")
    end_child(old.child, signal.SIGKILL)
    wait_until(lambda: value(new, f'baton_batons{{{name},holder="green",state="held"}}') == 12, 60, "the new leader's page", 0.2)
    require(value(new, f'baton_records_done_total{{{name},color="green"}}') <= audit["produced"], "a counter that was too high")
    p.wait(f'sum(increase(baton_operations_total{{{name}}}[5s]))', lambda v: v == 0, "no operation is counted again")
    p.stop()


def prometheus(w):
    """Queries of the fleet file: known, unknown while Prometheus is down, which turns nothing back, and known again."""
    f = w.fleet({"in": 4})
    password = f.path("password")
    with open(password, "w", encoding="utf-8") as file:
        file.write(PASSWORD + "\n")
    f.serve_options = ["--prometheus-auth-file", password]
    c = f.add_controller()
    p = Prometheus(f, [f"127.0.0.1:{c.port}"], user=True)
    p.start()
    f.spec["prometheus"] = {"url": p.url}
    f.spec["judge"] = {"interval": "1s"}
    f.spec["signals"] = [{"name": "rate", "query": f'sum(rate(baton_records_done_total{{fleet="$fleet",color="$color"}}[10s]))', "worse": "lower"},
                         {"name": "two", "query": 'up{job="$group"} or vector(1) or label_replace(vector(2), "a", "b", "", "")', "worse": "higher"}]
    f.apply()
    for color in ("blue", "green"):
        f.add_member(color)
    for m in f.members:
        f.wait_member(m)
    f.wait_plan()
    f.produce(RATE)
    f.wait_flowing()

    def newest():
        kept = f.api("GET", f"/v1/fleets/{f.name}/signals")["samples"]
        return kept[-1]["blue"]["signals"] if kept else [None, None]

    def known(state):
        return value(c, f'baton_signals{{fleet="{f.name}",state="{state}"}}')

    wait_until(lambda: newest()[0] is not None and newest()[0] > RATE / 4, 60, lambda: f"a rate from Prometheus, not {newest()}", 0.2)
    require(newest()[1] is None, "two series are no figure")
    require(known("known") == 2 and known("unknown") == 2, f"{known('known')} known, {known('unknown')} unknown")
    with open(c.log, encoding="utf-8") as log:
        require("the query gives 2 series, one is wanted" in log.read(), f"{c.log} does not say why a signal is unknown")
    p.stop()
    wait_until(lambda: newest()[0] is None, 40, "the rate to be unknown", 0.2)
    f.switch("--observe", "5s", to="green").wait().expect(0)
    require(f.op()["state"] == "complete" and f.active() == "green", f"a Prometheus that is down turned the switch back: {f.op()}")
    p.start()
    wait_until(lambda: newest()[0] is not None, 60, "the rate to be known again", 0.2)
    p.stop()
    f.expect_clean()


class Figure:
    """Something that a Prometheus scrapes: one number, ours to set."""

    def __init__(self):
        figure = self

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(f"database_load {figure.value}\n".encode())

            def log_message(self, *_):
                pass

        self.value = 10
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.target = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def throttle_when(w):
    """A database that is overrun, by a real Prometheus: a quarter goes on working until it is well again, whoever leads."""
    f = w.fleet({"in": 12})
    load = Figure()
    p = Prometheus(f, [load.target])
    p.start()
    f.spec["prometheus"] = {"url": p.url}
    f.spec["throttle_when"] = {"signal": "query", "query": "max(database_load)", "above": 100, "until": 50, "for": "2s", "rest": "2s",
                               "partitions": "25%"}
    f.up(blue=2, green=1, rate=RATE)
    sees = lambda: f.status()["throttle_when"]  # noqa: E731
    working = lambda: sum(x["state"] != "paused" for x in f.status()["partitions"])  # noqa: E731
    phase = lambda wanted: wait_until(lambda: f.status()["phase"] == wanted, 60, lambda: f"{wanted}, not {f.status()['phase']}, {sees()}", 0.2)  # noqa: E731
    wait_until(lambda: sees() and sees()["figure"] == 10, 60, lambda: f"the load, not {sees()}", 0.2)
    f.cli("status", f.name).expect(0, "throttle_when: query is 10, throttles above 100")
    load.value = 500
    phase("throttled")
    op = f.op()
    require(op["kind"] == "throttle" and op["by_signal"] and op["by"] == "throttle_when" and "query is 500, above 100" in op["reason"], f"{op}")
    require(working() == 3, f"{working()} partitions work")
    f.cli("status", f.name).expect(0, "is throttled by throttle_when", "query is 500", "3 of 12 partitions work")
    p.stop()
    load.value = 10
    wait_until(lambda: sees()["figure"] is None, 40, lambda: f"it to be unknown, not {sees()}", 0.2)
    require(f.status()["phase"] == "throttled", "a Prometheus that is down has let the fleet go")
    f.cli("status", f.name).expect(0, "throttle_when: query is unknown")
    f.add_controller()
    end_child(f.controllers[0].child, signal.SIGKILL)
    wait_until(f.leader, 60, "a new leader", 0.2)
    require(f.status()["phase"] == "throttled" and working() == 3, f"after a new leader {working()} work")
    p.start()
    phase("steady")
    op = f.op()
    require(op["kind"] == "resume" and op["by_signal"] and "at most 50" in op["reason"] and working() == 12, f"{op}")
    f.cli("receipt", f.name, str(op["number"])).expect(0, "throttle_when", "at most 50")
    f.cli("throttle", f.name, "--partitions", "4", "--reason", "by hand").expect(0)
    wait_until(lambda: sees()["state"] == "hands-off", 20, lambda: f"hands off, not {sees()}", 0.2)
    f.cli("resume", f.name).expect(0)
    p.stop()
    f.stop_producers()
    f.wait_drained()
    f.expect_clean()


TESTS = [
    Test("metrics", metrics),
    Test("prometheus", prometheus),
    Test("throttle-when", throttle_when),
]
