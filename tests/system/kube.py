"""A real kube-apiserver and etcd on loopback, in a folder of their own, for the tests of the ConfigMap channel.

From the cache of scripts/tools-kube.sh; nothing is built here. RBAC is on, and what may be done is what the manifests in packaging/kubernetes
say. There is no kubelet: who wants a mounted ConfigMap takes Mount, which does what it does.
"""

import json
import os
import shutil
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

from kafka import ROOT, Failure, end_child, free_ports, start_child, wait_until

MANIFESTS = os.path.join(ROOT, "packaging", "kubernetes", "configmap-channel.yaml")
NAMESPACE = "baton"


def tools():
    """The folder with both programs; None: they are not in the cache."""
    found = subprocess.run([os.path.join(ROOT, "scripts", "tools-kube.sh"), "--find"], stdout=subprocess.PIPE, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 and shutil.which("kubectl") else None


class Kube:
    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.port = folder, free_ports(1)[0]
        self.url, self.server = f"https://127.0.0.1:{self.port}", f"https://127.0.0.1:{self.port}/{NAMESPACE}"
        self.ca = self.path("ca.crt")
        self.keys()
        self.etcd, self.api = None, None
        self.start_etcd()
        self.start()
        self.kubectl("apply", "-f", MANIFESTS)

    def path(self, name):
        return os.path.join(self.folder, name)

    # -- parts -----------------------------------------------------------------------------------------------------

    def openssl(self, *args):
        r = subprocess.run(["openssl", *args], cwd=self.folder, capture_output=True, text=True, check=False)
        if r.returncode != 0:
            raise Failure(f"openssl {args[0]}: {r.stderr[-500:]}")

    def keys(self):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        self.openssl("req", "-x509", *key, "-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.crt")
        for name, subject, more in (("server", "/CN=kube-apiserver", ["-addext", "subjectAltName=IP:127.0.0.1"]),
                                    ("admin", "/O=system:masters/CN=admin", [])):
            self.openssl("req", "-x509", *key, "-CA", "ca.crt", "-CAkey", "ca.key", "-subj", subject, *more,
                         "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        self.openssl("genrsa", "-out", "accounts.key", "2048")
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.path("admin.crt"), self.path("admin.key"))
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    def start_etcd(self):
        self.etcd_port, peer = free_ports(2)
        url, peers = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{peer}"
        self.etcd = start_child([os.path.join(tools(), "etcd"), "--data-dir", self.path("etcd"), "--unsafe-no-fsync", "--listen-client-urls", url,
                                 "--advertise-client-urls", url, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
                                 "--initial-cluster", f"default={peers}", "--log-level", "error"], self.path("etcd.log"))

    def start(self):
        self.api = start_child([os.path.join(tools(), "kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{self.etcd_port}", "--bind-address=127.0.0.1",
                                "--advertise-address=127.0.0.1", f"--secure-port={self.port}", f"--tls-cert-file={self.path('server.crt')}",
                                f"--tls-private-key-file={self.path('server.key')}", f"--client-ca-file={self.ca}",
                                f"--service-account-issuer={self.url}/", f"--service-account-key-file={self.path('accounts.key')}",
                                f"--service-account-signing-key-file={self.path('accounts.key')}", "--service-cluster-ip-range=10.0.0.0/24",
                                "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"],
                               self.path("apiserver.log"))
        wait_until(self.ready, 90, lambda: f"kube-apiserver to be ready, see {self.path('apiserver.log')}", every=0.2)

    def ready(self):
        if self.api.poll() is not None:
            raise Failure(f"kube-apiserver ended with {self.api.returncode}, see {self.path('apiserver.log')}")
        try:
            return self.ask("GET", "/readyz", raw=True) == b"ok"
        except OSError:
            return False

    def kill(self):
        end_child(self.api, 9)

    def end(self):
        end_child(self.api, 9)
        end_child(self.etcd, 9)

    # -- as its administrator --------------------------------------------------------------------------------------

    def ask(self, method, path, body=None, raw=False):
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None,
                                         headers={"Content-Type": "application/json"})
        with self.opener.open(request, timeout=10) as answer:
            text = answer.read()
        return text if raw else json.loads(text)

    def kubectl(self, *args):
        argv = ["kubectl", "--server", self.url, "--certificate-authority", self.ca, "--client-certificate", self.path("admin.crt"),
                "--client-key", self.path("admin.key"), *args]

        def done():
            r = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "KUBECONFIG": "/dev/null", "HOME": self.folder})
            done.why = r.stderr
            return r if r.returncode == 0 else None

        return wait_until(done, 30, lambda: f"kubectl {args[0]}: {done.why[-500:]}", every=0.5).stdout

    def token(self, account):
        """A file with a new token of that service account."""
        path = self.path(f"{account}.token")
        answer = self.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token",
                          {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}})
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(answer["status"]["token"])
        os.rename(path + ".new", path)  # as the kubelet exchanges it
        return path

    def configmaps(self, kind):
        answer = self.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps?labelSelector=baton.dev%2Fkind%3D{kind}")
        return {o["metadata"]["name"]: o for o in answer["items"]}

    def delete(self, name):
        try:
            self.ask("DELETE", f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}")
        except urllib.error.HTTPError as e:
            if e.code != 404:
                raise


class Mount:
    """What the kubelet makes of a ConfigMap volume, `every` so many seconds in place of its minute."""

    def __init__(self, kube, name, folder, every=0.2):
        os.makedirs(folder, exist_ok=True)
        self.kube, self.name, self.folder, self.every = kube, name, folder, every
        self.version, self.number = "", 0
        self.over = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.over.wait(self.every):
            try:
                o = self.kube.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/{self.name}")
            except OSError:
                continue
            if o["metadata"]["resourceVersion"] != self.version:
                self.version = o["metadata"]["resourceVersion"]
                self.swap(o["data"])

    def swap(self, data):
        self.number += 1
        fresh = f"..{time.strftime('%Y_%m_%d')}_{self.number}"
        os.mkdir(os.path.join(self.folder, fresh))
        for key, text in data.items():
            with open(os.path.join(self.folder, fresh, key), "w", encoding="utf-8") as f:
                f.write(text)
            if not os.path.lexists(os.path.join(self.folder, key)):
                os.symlink(os.path.join("..data", key), os.path.join(self.folder, key))
        link = os.path.join(self.folder, "..data")
        old = os.readlink(link) if os.path.lexists(link) else None
        os.symlink(fresh, link + "_tmp")
        os.rename(link + "_tmp", link)
        if old:
            shutil.rmtree(os.path.join(self.folder, old))

    def end(self):
        self.over.set()
