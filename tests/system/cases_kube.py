"""Members that hear from their controller by ConfigMaps of a real kube-apiserver, with the rights that the manifests give and no more.

Where `make tools-kube` has not been run these tests are left out, and run.py says so.
"""

import json
import os
import subprocess
import sys

import kube
from cases_switch import audit_note, require, there_and_back
from fleet import Test
from kafka import Failure, free_ports, start_child, wait_until


def over_configmaps(w, topics, blue=2, green=2, controllers=2, rate=2000):
    """Nothing that the members are told of leads to a controller, or to Baton's topics."""
    k = kube.Kube(w.path("kube"))
    f = w.fleet(topics)
    f.serve_options += ["--configmap", k.server, "--configmap-token-file", k.token("baton-controller"), "--configmap-ca", k.ca]
    f.member_options.update({"baton.channel": "configmap", "baton.configmap": k.server, "baton.configmap.token.file": k.token("baton-member"),
                             "baton.ca.file": k.ca})
    return f.up(blue, green, controllers=controllers, rate=rate), k


def kube_switch(w):
    """There and back by ConfigMaps; tokens are exchanged in between, and who leaves leaves nothing behind."""
    f, k = over_configmaps(w, {"in": 12}, rate=20000)
    try:
        require(len(k.configmaps("member")) == 4, f"ConfigMaps of members: {list(k.configmaps('member'))}")
        for account in ("baton-controller", "baton-member"):
            k.token(account)
        a = there_and_back(f, 12)
        board = k.configmaps("fleet")[f"{f.prefix}baton-{f.name}"]
        require(int(board["metadata"]["annotations"]["baton.dev/term"]) == f.term(), "the annotation names another term")
        f.of("green")[0].leave()
        wait_until(lambda: len(k.configmaps("member")) == 3, 20, "the ConfigMap of a member that left to go")
        for log in [c.log for c in f.controllers] + [m.log for m in f.members]:
            with open(log, encoding="utf-8", errors="replace") as text:
                require("Bearer" not in text.read() and "eyJ" not in open(log, encoding="utf-8", errors="replace").read(), f"a token in {log}")
        return audit_note(a)
    finally:
        k.end()


def kube_broken(w):
    """No API server for a while: who holds partitions goes on, who stands by stays so. In the middle of a switch it is killed again,
    and the fleet's ConfigMap deleted; the switch ends, whichever way, and the next one is clean."""
    f, k = over_configmaps(w, {"in": 6}, controllers=1)
    try:
        k.kill()
        f.wait_flowing("blue")
        require(all(m.lines() == 0 for m in f.of("green")), "a standby delivered records")
        k.start()
        f.wait_plan()
        with f.phase("releasing"):
            k.kill()
            k.start()
            k.delete(f"{f.prefix}baton-{f.name}")
        f.wait_flowing()
        ended = f.op(1)["state"]
        f.switch_when_allowed().expect(0)
        f.wait_flowing()
        return f"{ended}; {audit_note(f.expect_clean())}"
    finally:
        k.end()


def kube_file(w):
    """An agent that only tells, beside a mounted ConfigMap; its members hear by Kafka."""
    k = kube.Kube(w.path("kube"))
    mount = None
    try:
        f = w.fleet({"in": 4})
        f.serve_options += ["--configmap", k.server, "--configmap-token-file", k.token("baton-controller"), "--configmap-ca", k.ca]
        f.up(1, 1, rate=500)
        folder, told = f.path("mount"), f.path("told")
        mount = kube.Mount(k, f"{f.prefix}baton-{f.name}", folder)
        start_child([w.tools.baton, "agent", f.name, "--bootstrap", w.kafka.bootstrap, *f.prefix_option, "--color", "green", "--configmap-file", folder,
                     "--on-change", f"cat >> {told}; echo >> {told}", "--listen", f"127.0.0.1:{free_ports(1)[0]}"], f.path("agent.log"))

        def told_last():
            try:
                with open(told, encoding="utf-8") as text:
                    return json.loads(text.read().strip().splitlines()[-1])
            except (OSError, IndexError, ValueError):
                return {}

        wait_until(lambda: told_last().get("active") == "blue", 30, lambda: f"the agent to tell that blue works: {told_last()}")
        f.switch(to="green").wait().expect(0)
        wait_until(lambda: told_last().get("active") == "green", 30, lambda: f"the agent to tell that green works: {told_last()}")
        return ""
    finally:
        if mount:
            mount.end()
        k.end()


def kube_suite(w):
    """The conformance suite of channels, on the real server."""
    k = kube.Kube(w.path("kube"))
    try:
        env = {**os.environ, "CHANNEL_KUBE": k.server, "CHANNEL_KUBE_CA": k.ca, "CHANNEL_KUBE_PID": str(k.api.pid),
               "CHANNEL_KUBE_CONTROLLER_TOKEN": k.token("baton-controller"), "CHANNEL_KUBE_MEMBER_TOKEN": k.token("baton-member")}
        program = os.path.join(w.tools.build, "tests", "unit", "test_channel")
        r = subprocess.run([program, "configmap: *"], capture_output=True, text=True, check=False, env=env, timeout=240)
        with open(w.path("suite.log"), "w", encoding="utf-8") as log:
            log.write(r.stdout + r.stderr)
        if r.returncode != 0:
            raise Failure("\n".join(line for line in (r.stdout + r.stderr).splitlines() if "OK ]" not in line and "RUN" not in line)[-3000:])
        return f"{(r.stdout + r.stderr).count('[       OK ]')} tests"
    finally:
        k.end()


TESTS = [
    Test("kube-suite", kube_suite),
    Test("kube-switch", kube_switch),
    Test("kube-broken", kube_broken),
    Test("kube-file", kube_file),
]
if not kube.tools():
    print(f"LEFT OUT: {', '.join(t.name for t in TESTS)}: no kube-apiserver, etcd or kubectl here (make tools-kube builds the first two)", file=sys.stderr)
    TESTS = []
