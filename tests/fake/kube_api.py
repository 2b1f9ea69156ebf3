#!/usr/bin/env python3
"""kube_api - the few things of a Kubernetes API server that Baton asks for, and on demand what such a server can do to its clients.

    kube_api.py PORT TOKEN_FILE

ConfigMaps of any namespace, in memory: GET, POST, PUT (compare-and-swap by resourceVersion), PATCH (merge), DELETE, and watches with
fieldSelector=metadata.name or labelSelector of one label. The token that is good is what TOKEN_FILE holds just then. It goes when
its parent does. Faults are ordered by POST /fault with JSON:

    {"status": 429, "times": 3, "retry_after": 1, "method": "PUT"}     the next three requests of that method (any: left out)
    {"half": 2}        the next two answers break off in the middle
    {"slow": 1.5, "times": 4}    the next four requests are answered so late
    {"forget": true}   every watch is ended with an ERROR of 410, and no resourceVersion is known any more
    {"clear": true}    everything is deleted
    {"hang_up": true}  every watch ends in its time, as with timeoutSeconds
    {"put_back": true} what stood there at {"remember": true} stands there again, as with an etcd of yesterday
"""
import copy
import ctypes
import json
import signal
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BYTES_MAX = 1024 * 1024


class Store:
    def __init__(self):
        self.changed = threading.Condition()
        self.version, self.objects, self.events = 1, {}, []
        self.forgotten, self.era, self.ended = 0, 0, 0
        self.faults, self.half = [], 0
        self.remembered = {}

    def write(self, kind, key, obj):
        """Under the lock."""
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        if kind == "DELETED":
            self.objects.pop(key)
        else:
            self.objects[key] = obj
        self.events.append((self.version, kind, key, copy.deepcopy(obj)))
        self.changed.notify_all()


store = Store()


def merge(into, patch):
    for name, value in patch.items():
        if isinstance(value, dict):
            into[name] = merge(dict(into.get(name) or {}), value)
        elif value is None:
            into.pop(name, None)
        else:
            into[name] = value
    return into


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def answer(self, status, body, retry_after=0, whole=False):
        if status >= 300:
            body = {"kind": "Status", "status": "Failure", "code": status, "message": body}
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if retry_after:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        if store.half > 0 and not whole:
            store.half -= 1
            self.wfile.write(raw[:len(raw) // 2])
            self.close_connection = True
        else:
            self.wfile.write(raw)
        self.wfile.flush()

    def fault(self, body):
        with store.changed:
            if "status" in body or "slow" in body:
                store.faults += [body] * body.get("times", 1)
            store.half += body.get("half", 0)
            if "forget" in body:
                store.era += 1
                store.forgotten = store.version
            if "hang_up" in body:
                store.ended += 1
            for key in list(store.objects) if "clear" in body else []:
                store.write("DELETED", key, store.objects[key])
            if "remember" in body:
                store.remembered = copy.deepcopy(store.objects)
            if "put_back" in body:
                for key, obj in store.remembered.items():
                    store.write("MODIFIED", key, copy.deepcopy(obj))
            store.changed.notify_all()
        self.answer(200, {}, whole=True)

    def struck(self):
        """The fault that this request is to suffer, if it has been answered with it."""
        with store.changed:
            due = next((f for f in store.faults if f.get("method", self.command) == self.command), None)
            if due:
                store.faults.remove(due)
        if due and "slow" in due:
            threading.Event().wait(due["slow"])
            return False
        if due:
            self.answer(due["status"], "ordered by the test", due.get("retry_after", 0))
        return bool(due)

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/fault":
            return self.fault(body)
        with open(sys.argv[2], encoding="utf-8") as file:
            if self.headers.get("Authorization") != "Bearer " + file.read().strip():
                return self.answer(401, "Unauthorized")
        if self.struck():
            return None
        words = url.path.strip("/").split("/")  # api v1 namespaces NS configmaps [NAME]
        if len(words) < 5 or words[4] != "configmaps":
            return self.answer(404, "the server could not find the requested resource")
        if "watch" in query:
            return self.watch(words[3], query)
        with store.changed:
            status, answer = self.change((words[3], words[5] if len(words) > 5 else None), body)
        return self.answer(status, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def change(self, key, body):
        """Under the lock: status and answer."""
        if self.command == "POST":
            key = (key[0], body["metadata"]["name"])
            if key in store.objects:
                return 409, f'configmaps "{key[1]}" already exists'
        elif key not in store.objects:
            return 404, f'configmaps "{key[1]}" not found'
        if self.command == "GET":
            return 200, store.objects[key]
        if self.command == "DELETE":
            store.write("DELETED", key, store.objects[key])
            return 200, {"kind": "Status", "status": "Success"}
        if self.command == "PATCH":
            if self.headers.get("Content-Type") != "application/merge-patch+json":
                return 415, "the body of the request was in an unknown format"
            body = merge(copy.deepcopy(store.objects[key]), body)
        known = body["metadata"].get("resourceVersion")
        if self.command == "PUT" and known and known != store.objects[key]["metadata"]["resourceVersion"]:
            return 409, "Operation cannot be fulfilled: the object has been modified"
        if sum(len(name) + len(value.encode()) for name, value in body.get("data", {}).items()) > BYTES_MAX:
            return 422, "ConfigMap is invalid: []: Too long: may not be more than 1048576 bytes"
        store.write("ADDED" if self.command == "POST" else "MODIFIED", key, body)
        return 201 if self.command == "POST" else 200, body

    def event(self, kind, obj):
        raw = json.dumps({"type": kind, "object": obj}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.flush()

    def watch(self, space, query):
        name = query.get("fieldSelector", "").removeprefix("metadata.name=")
        label = query.get("labelSelector", "").split("=")

        def concerns(key, obj):
            return key[0] == space and (key[1] == name if name else obj["metadata"].get("labels", {}).get(label[0]) == label[1])

        with store.changed:
            era, ended = store.era, store.ended
            seen = int(query.get("resourceVersion", 0))
            gone = 0 < seen <= store.forgotten
            waiting = [] if seen else [("ADDED", copy.deepcopy(o)) for k, o in store.objects.items() if concerns(k, o)]
            seen = seen or store.version
        if gone:
            return self.answer(410, "too old resource version")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        while True:
            for kind, obj in waiting:
                self.event(kind, obj)
            with store.changed:
                if store.version == seen and store.era == era and store.ended == ended:
                    store.changed.wait(1)
                waiting = [(kind, obj) for v, kind, key, obj in store.events if v > seen and concerns(key, obj)]
                quiet = not waiting
                seen = store.version
                over = store.ended != ended
                forgotten = store.era != era
            if forgotten:
                self.event("ERROR", {"kind": "Status", "code": 410, "message": "The resourceVersion for the watch is too old"})
            if forgotten or over:
                for kind, obj in waiting if over else []:
                    self.event(kind, obj)
                self.wfile.write(b"0\r\n\r\n")
                self.wfile.flush()
                return None
            if quiet:
                self.event("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": str(seen)}})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_):
        pass  # a client hung up


ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
Server(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
