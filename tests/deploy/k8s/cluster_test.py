#!/usr/bin/python3 -B
"""The pods of deploy/k8s, run as its manifests say, without a cluster.

Each pod has a network namespace with an address of its own and finds the others by the names of their Services. It runs the
image's file tree as the manifest's user, with its command, arguments, variables, ConfigMap and Secrets, and certificates of
make-certificates. What differs from a cluster: names come from /etc/hosts, and the platforms are simulated.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import types
import unittest
import urllib.error
import urllib.request

sys.path[:0] = [os.path.join(os.getcwd(), place) for place in ("tests/deploy/k8s", "tests/support")]

import graph  # noqa: E402
import junit  # noqa: E402
import manifests  # noqa: E402
import programs  # noqa: E402
import schema  # noqa: E402

PATHS = {"switchyard": "deploy/all_in_one/switchyard", "switchyard-edge": "edge/switchyard-edge"} | {
    f"switchyard-{name}": f"services/{name}/switchyard-{name}" for name in [*graph.PROVIDERS, "signing", "session"]}
SIMULATOR = "tests/simulator/switchyard-simulator"
MODELS = ["deepseek-chat", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"]
# What the user would put into the Secrets.
SECRETS = {("switchyard-api-keys", "api-keys"): "a-key-of-this-test", ("switchyard-store", "store-key"): "0123456789abcdef" * 4}
NETWORK, GATEWAY = "10.77.0.", "10.77.0.1"
START_ORDER = ["signing", "session", *graph.PROVIDERS, "edge"]

WORK = os.environ.get("SWITCHYARD_CLUSTER_WORK", "")
RENDERER = manifests.renderer()


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def render(overlay):
    if RENDERER:
        return manifests.render(RENDERER, shutil.copytree("deploy/k8s", tempfile.mkdtemp(dir=WORK) + "/k8s") + overlay)
    return manifests.unrendered("deploy/k8s/base")


def get(url, body=None, headers=None):
    """(status, body)"""
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=programs.PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(condition, what):
    end = time.monotonic() + programs.PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(what() if callable(what) else what)


def lay_bridge():
    """What the pods' networks meet on."""
    if os.path.exists("/sys/class/net/br0") or "br0" in run("ip", "-brief", "link"):
        return
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "br0", "type", "bridge")
    run("ip", "addr", "add", GATEWAY + "/24", "dev", "br0")
    run("ip", "link", "set", "br0", "up")


def make_certificates():
    """The Secrets of make-certificates by their names, and where its files are."""
    place = tempfile.mkdtemp(dir=WORK) + "/certificates"
    run("bash", "deploy/k8s/make-certificates", place)
    with open(place + "/secrets.yaml", encoding="utf-8") as file:
        secrets = schema.load_yaml(file.read())
    return {secret["metadata"]["name"]: manifests.decoded(secret) for secret in secrets}, place


class Pod:
    """One that runs, in a namespace of its own."""

    def __init__(self, cluster, workload, number, hostname=""):
        self.workload = workload
        self.hostname = hostname or workload.name
        self.container = workload.containers[0]
        self.address = NETWORK + str(number)
        self.name = f"sw-{os.getpid()}-{number}"
        self.home = os.path.join(WORK, self.hostname)
        os.mkdir(self.home)
        self._cluster = cluster
        self._process = None
        outer = f"sw{number}"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "link", "set", outer, "master", "br0", "up")
        for command in (["addr", "add", self.address + "/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            run("ip", "-n", self.name, *command)

    def _group(self):
        return self.workload.pod["securityContext"]["fsGroup"]

    def _secret(self, volume):
        """The Secret as the kubelet lays it out: root's, readable by the pod's group."""
        name = volume["secret"]["secretName"]
        place = os.path.join(self.home, name)
        os.mkdir(place)
        if name == "switchyard-accounts":
            contents = {".env": self._cluster.accounts}
        else:
            contents = {key: value.decode() for key, value in self._cluster.certificates[name].items()}
        for key, text in contents.items():
            with open(os.path.join(place, key), "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(file.name, volume["secret"]["defaultMode"])
            os.chown(file.name, 0, self._group())
        os.chmod(place, 0o755)
        return place

    def _files(self):
        """(what, where) of the volumes that hold something, and the directory of the state."""
        volumes = {volume["name"]: volume for volume in self.workload.pod["volumes"]}
        files, state = [(self._cluster.hosts, "/etc/hosts")], None
        for mount in self.container["volumeMounts"]:
            volume = volumes.get(mount["name"], {})
            if "configMap" in volume:
                place = os.path.join(self.home, mount["subPath"])
                with open(place, "w", encoding="utf-8") as file:
                    file.write(self._cluster.made.named("ConfigMap", volume["configMap"]["name"])["data"][mount["subPath"]])
                files.append((place, mount["mountPath"]))
            elif "secret" in volume:
                files.append((self._secret(volume), mount["mountPath"]))
            elif mount["name"] in ("state", "data"):
                place = os.path.join(self.home, "state")
                os.mkdir(place)
                os.chmod(place, 0o2770)
                os.chown(place, 0, self._group())
                state = f"{place}={mount['mountPath']}"
        return files, state

    def start(self):
        files, state = self._files()
        jail = [sys.executable, "-B", "tests/support/jail.py", "--root", self._cluster.tree,
                "--user", str(self.workload.pod["securityContext"]["runAsUser"])]
        jail += ["--state", state] if state else []
        for source, target in files:
            jail += ["--file", f"{source}={target}"]
        variables = environment(self.container, self.hostname) | self._cluster.platforms
        command = [word.replace("$(POD_NAME)", self.hostname) for word in self.container["command"] + self.container["args"]]
        self._process = programs.Program(["ip", "netns", "exec", self.name, *jail, "--", *command],
                                         variables | {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin"})
        return self

    def url(self, path, port="admin"):
        return f"http://{self.address}:{self.workload.port(port)}{path}"

    def probe(self, kind):
        """The status of what a probe of the manifest asks; 0 while there is no answer."""
        ask = self.container[kind]["httpGet"]
        try:
            return get(self.url(ask["path"], ask["port"]))[0]
        except OSError:
            return 0

    def wait_ready(self):
        until(lambda: self.probe("readinessProbe") == 200 or not self._process.runs(),
              lambda: f"{self.hostname} is not ready: {self._process.output}")
        if self.probe("readinessProbe") != 200:
            self._process.wait()
            raise AssertionError(f"{self.workload}: {self._process.output}")

    def terminate(self):
        self._process.signal()

    def ended(self):
        return self._process.wait(), self._process.output

    def clear(self):
        if self._process:
            self._process.__exit__()
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def environment(container, hostname=""):
    """The container's variables, with what this test puts into the Secrets."""
    variables = {}
    for entry in container.get("env", []):
        source = entry.get("valueFrom", {})
        if "secretKeyRef" in source:
            variables[entry["name"]] = SECRETS[(source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])]
        elif source.get("fieldRef", {}).get("fieldPath") == "metadata.name":
            variables[entry["name"]] = hostname
        else:
            variables[entry["name"]] = entry["value"]
    return variables


class Cluster:
    def __init__(self):
        self.tree = os.path.join(WORK, "tree")
        self.made = render("")
        lay_bridge()
        self.certificates, _ = make_certificates()
        self.pods = {}
        self.simulator = programs.Program([SIMULATOR, "--listen", GATEWAY + ":0"], {})
        simulator = self.simulator.wait_for(r"http://[\d.]+:\d+")[0]
        self.accounts = run(SIMULATOR, "--credentials")
        self.platforms = {"SWITCHYARD_PROVIDERS__QWEN__OPTIONS__UPLOAD_URL": simulator + "/qwen/oss"}
        for platform in graph.PROVIDERS:
            at = f"SWITCHYARD_PROVIDERS__{platform.upper()}__"
            self.platforms |= {at + "BASE_URL": f"{simulator}/{platform}", at + "SPACING": "0s"}
        for number, name in enumerate(START_ORDER, start=10):
            self.pods[name] = Pod(self, self.made.workload(graph.name(name)), number)
        self.accounts_pod = Pod(self, self.made.workload(graph.name("accounts")), 9)
        # Headless Services: a name has the addresses of its pods.
        self.hosts = os.path.join(WORK, "hosts")
        with open(self.hosts, "w", encoding="utf-8") as file:
            file.write("127.0.0.1 localhost\n")
            file.writelines(f"{pod.address} {pod.workload.name}\n" for pod in self.pods.values())

    def start(self):
        for pod in self.pods.values():
            pod.start()
        for pod in self.pods.values():
            pod.wait_ready()

    def clear(self):
        for pod in [*self.pods.values(), self.accounts_pod]:
            pod.clear()
        self.simulator.__exit__()


class Configuration(unittest.TestCase):
    """Each program accepts what its pod is given, in the base and in production."""


def _accepted(overlay, name):
    def test(self):
        made = render(overlay)
        workload = made.workload(graph.name(name))
        container = workload.containers[0]
        config, = made.of("ConfigMap")
        with tempfile.TemporaryDirectory(dir=WORK) as place:
            with open(place + "/config.yaml", "w", encoding="utf-8") as file:
                file.write(config["data"]["config.yaml"])
            done = subprocess.run([PATHS[workload.name], "--check-config", "--config", place + "/config.yaml",
                                   "--env-file", "/dev/null"], env=environment(container), capture_output=True, text=True,
                                  check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f'  certificate: "/etc/switchyard/tls/tls.crt"\n', done.stdout)
        for secret in SECRETS.values():
            self.assertNotIn(secret, done.stdout)
    return test


for _name in START_ORDER:
    setattr(Configuration, "test_" + _name, _accepted("", _name))
    if RENDERER:
        setattr(Configuration, f"test_{_name}_in_production", _accepted("/overlays/production", _name))


class Certificates(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.mkdtemp(dir=WORK) + "/certificates"

    def _make(self, *flags):
        return subprocess.run(["bash", "deploy/k8s/make-certificates", *flags], capture_output=True, text=True, check=False)

    def _read(self, path):
        with open(f"{self.place}/{path}", encoding="utf-8") as file:
            return file.read()

    def test_each_program_has_its_own_of_one_authority(self):
        self.assertEqual(self._make(self.place).returncode, 0)
        schemas = schema.Schemas("tests/data/k8s")
        with open(self.place + "/secrets.yaml", encoding="utf-8") as file:
            secrets = {secret["metadata"]["name"]: secret for secret in schema.load_yaml(file.read())}
        programs_with_one = [*START_ORDER, "accounts", "etcd"]
        self.assertEqual(set(secrets), {f"switchyard-{name}-tls" for name in programs_with_one})
        for name in programs_with_one:
            self.assertEqual(schemas.faults(secrets[f"switchyard-{name}-tls"]), [])
            self.assertEqual(secrets[f"switchyard-{name}-tls"]["metadata"]["namespace"], "switchyard")
            certificate = f"{self.place}/{name}/tls.crt"
            run("openssl", "verify", "-x509_strict", "-CAfile", self.place + "/authority/ca.crt", certificate)
            said = run("openssl", "x509", "-in", certificate, "-noout", "-ext", "subjectAltName")
            self.assertEqual(re.findall(r"URI:(\S+?),?\s", said + " "), [f"spiffe://switchyard/switchyard-{name}"])
            self.assertIn(f"DNS:switchyard-{name},", said)
            self.assertEqual(manifests.decoded(secrets[f"switchyard-{name}-tls"])["tls.crt"].decode(), self._read(f"{name}/tls.crt"))
        etcd = run("openssl", "x509", "-in", self.place + "/etcd/tls.crt", "-noout", "-ext", "subjectAltName")
        for member in range(3):
            self.assertIn(f"DNS:switchyard-etcd-{member}.switchyard-etcd,", etcd)

    def test_nobody_else_reads_them(self):
        self._make(self.place)
        for directory, _, files in os.walk(self.place):
            self.assertEqual(os.stat(directory).st_mode & 0o077, 0, directory)
            for file in files:
                self.assertEqual(os.stat(os.path.join(directory, file)).st_mode & 0o077, 0, file)

    def test_again_it_renews_all_but_the_authority(self):
        self._make(self.place)
        authority, old = self._read("authority/ca.crt"), self._read("edge/tls.crt")
        self.assertEqual(self._make(self.place, "--namespace", "relay", "--days", "2").returncode, 0)
        self.assertEqual(self._read("authority/ca.crt"), authority)
        self.assertNotEqual(self._read("edge/tls.crt"), old)
        self.assertIn("namespace: relay\n", self._read("secrets.yaml"))
        said = run("openssl", "x509", "-in", self.place + "/edge/tls.crt", "-noout", "-ext", "subjectAltName", "-checkend", "86400")
        self.assertIn("DNS:switchyard-edge.relay.svc.cluster.local", said)

    def test_it_refuses_what_it_does_not_know(self):
        for flags, said in (([], "Usage"), (["--day", "1", "x"], "no flag '--day'"), (["x", "--days", "none"], "--days"),
                            (["x", "--namespace", "No_Name"], "--namespace"), (["x", "--days"], "needs a value")):
            done = self._make(*flags)
            self.assertEqual(done.returncode, 2, flags)
            self.assertIn(said, done.stderr)


class Pods(unittest.TestCase):
    """In the order of their names: the last one stops them."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.clear)
        cls.cluster.start()

    def _chat(self, model, key="a-key-of-this-test"):
        edge = self.cluster.pods["edge"]
        body = {"model": model, "messages": [{"role": "user", "content": "[[sim: text=Red,+green]]"}], "reasoning_format": "hidden"}
        headers = {"Content-Type": "application/json"} | ({"Authorization": "Bearer " + key} if key else {})
        status, said = get(edge.url("/v1/chat/completions", "http"), body, headers)
        return status, json.loads(said)["choices"][0]["message"]["content"] if status == 200 else said

    def test_1_probes_answer(self):
        for name, pod in self.cluster.pods.items():
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertEqual(pod.probe(kind), 200, f"{name}: {kind}")

    def test_2_every_platform_answers_across_the_pods(self):
        for model in MODELS:
            self.assertEqual(self._chat(model), (200, "Red, green"), model)

    def test_3_callers_need_a_key(self):
        self.assertEqual(self._chat("deepseek-chat", key=None)[0], 401)

    def test_4_the_accounts_can_be_asked_for(self):
        status, said = self.cluster.accounts_pod.start().ended()
        self.assertEqual(status, 0, said)
        self.assertIn("Asked the relay that is running", said)
        for platform in graph.PROVIDERS:
            self.assertRegex(said, rf"(?m)^{platform}\s.*\bok\b")

    def test_5_a_pod_that_is_to_go_says_so_first_and_ends_well(self):
        edge = self.cluster.pods["edge"]
        for pod in self.cluster.pods.values():
            pod.terminate()
        # While it drains it is alive and not ready.
        until(lambda: edge.probe("readinessProbe") == 503, "the edge never said that it is not ready")
        self.assertEqual(edge.probe("livenessProbe"), 200)
        for name, pod in self.cluster.pods.items():
            status, output = pod.ended()
            self.assertEqual(status, 0, f"{name}: {output}")


@unittest.skipUnless(RENDERER, "nothing renders overlays/production")
class Etcd(unittest.TestCase):
    """Its members as the manifest says, run by Debian's etcd instead of the image's."""

    @classmethod
    def setUpClass(cls):
        lay_bridge()
        made = render("/overlays/production")
        workload = made.workload(graph.name("etcd"))
        certificates, cls.files = make_certificates()
        cluster = types.SimpleNamespace(tree=cls._tree(), made=made, certificates=certificates, platforms={},
                                        hosts=os.path.join(WORK, "etcd-hosts"))
        cls.members = [Pod(cluster, workload, 30 + i, f"{workload.name}-{i}") for i in range(workload.spec["replicas"])]
        with open(cluster.hosts, "w", encoding="utf-8") as file:
            file.writelines(f"{pod.address} {pod.hostname}.switchyard-etcd switchyard-etcd\n" for pod in cls.members)
        for pod in cls.members:
            cls.addClassCleanup(pod.clear)
            pod.start()
        for pod in cls.members:
            pod.wait_ready()

    @staticmethod
    def _tree():
        """The least that etcd runs in."""
        tree = os.path.join(WORK, "etcd-tree")
        for place in ("dev", "proc", "tmp", "etc/switchyard", "var/lib/etcd"):
            os.makedirs(f"{tree}/{place}")
        with open(tree + "/etc/hosts", "w", encoding="ascii"):
            pass
        libraries = re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", "/usr/bin/etcd"], capture_output=True, text=True, check=False).stdout)
        for file in ["/usr/bin/etcd", *libraries]:
            os.makedirs(os.path.dirname(tree + file), exist_ok=True)
            shutil.copy(file, tree + file)
        return tree

    def _asks(self, pod, program):
        """What a member answers to one with this program's certificate; "" if it does not let it in."""
        own = f"{self.files}/{program}/"
        context = ssl.create_default_context(cafile=own + "ca.crt")
        context.load_cert_chain(own + "tls.crt", own + "tls.key")
        name = f"{pod.hostname}.switchyard-etcd"
        try:
            with socket.create_connection((pod.address, graph.ETCD_CLIENT), programs.PATIENCE_S) as plain, \
                    context.wrap_socket(plain, server_hostname=name) as connection:
                connection.sendall(f"GET /health HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                return b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        except (ssl.SSLError, ConnectionError):
            return ""

    def test_a_quorum_is_there_and_session_alone_is_let_in(self):
        for pod in self.members:
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertEqual(pod.probe(kind), 200, kind)
            self.assertIn('"health":"true"', self._asks(pod, "session"))
            for program in ("edge", "kimi", "signing", "accounts", "etcd"):
                self.assertEqual(self._asks(pod, program), "", program)

    def test_members_have_the_metrics_that_the_alerts_look_at(self):
        with open("deploy/observability/alerts.yaml", encoding="utf-8") as file:
            wanted = set(re.findall(r"\betcd_\w+(?=\{)", file.read()))
        self.assertGreaterEqual(len(wanted), 3)
        status, said = get(self.members[0].url("/metrics", "metrics"))
        self.assertEqual(status, 200)
        self.assertLessEqual(wanted, set(re.findall(r"^(etcd_\w+)", said, re.MULTILINE)))

    def test_maintenance_as_the_readme_says(self):
        with open("deploy/k8s/README.md", encoding="utf-8") as file:
            section = file.read().partition("\n## etcd\n")[2].partition("\n## ")[0]
        lines = re.findall(r"(?m)^    (.+)$", section)
        # From within the pod, which is where a forwarded port ends.
        commands = [line for line in lines if re.match(r"etcdctl |export ", line)]
        self.assertEqual([re.findall(r"^etcdctl (\w+)", line) for line in commands],
                         [[], ["endpoint"], ["snapshot"], ["compact"], ["defrag"], ["alarm"]])
        place = tempfile.mkdtemp(dir=WORK)
        for name in re.findall(r"for file in (.*); do", section)[0].split():
            shutil.copy(f"{self.files}/session/{name}", place)
        said = run("ip", "netns", "exec", self.members[0].name, "bash", "-euc", "\n".join(commands), cwd=place)
        self.assertIn("https://localhost:2379", said)
        self.assertIn("Finished defragmenting etcd member", said)
        self.assertGreater(os.path.getsize(place + "/backup.db"), 1000)

    def test_one_member_may_be_lost(self):
        lost, *others = self.members
        lost.terminate()
        lost.ended()
        for pod in others:
            until(lambda pod=pod: '"health":"true"' in self._asks(pod, "session"), "the others have no quorum")


def enter():
    """Makes what needs the network, and then leaves it: all pods are in a namespace of this test's own."""
    if os.geteuid() != 0:
        sys.exit("cluster_test: pods are run by root alone: run this test as root.")
    work = tempfile.mkdtemp(prefix="switchyard-cluster-", dir="/tmp")
    os.chmod(work, 0o755)
    try:
        run("deploy/container/make-tree", work + "/tree", *PATHS.values())
        done = subprocess.run(["unshare", "--net", "--", sys.executable, "-B", *sys.argv],
                              env=os.environ | {"SWITCHYARD_CLUSTER_WORK": work}, check=False)
        return done.returncode
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not WORK:
        sys.exit(enter())
    junit.main("cluster_test")
