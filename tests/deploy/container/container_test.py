#!/usr/bin/python3 -B
"""The file tree of the container's image runs every program: as nobody, without a capability, with a read-only root."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

sys.path[:0] = [os.path.join(os.getcwd(), place) for place in ("tests/support", "tests/deploy/k8s")]

import junit  # noqa: E402
import programs  # noqa: E402
import schema  # noqa: E402

PLATFORMS = ["deepseek", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"]
PATHS = {
    "switchyard": "deploy/all_in_one/switchyard",
    "switchyard-edge": "edge/switchyard-edge",
    "switchyard-signing": "services/signing/switchyard-signing",
    "switchyard-session": "services/session/switchyard-session",
} | {f"switchyard-{platform}": f"services/{platform}/switchyard-{platform}" for platform in PLATFORMS}
SIMULATOR = "tests/simulator/switchyard-simulator"
MODELS = ["deepseek-chat", "kimi", "metaso", "doubao", "qwen", "zhipu", "minimax"]

_work = tempfile.TemporaryDirectory(prefix="switchyard-tree-", dir="/tmp")
TREE = os.path.join(_work.name, "tree")


def setUpModule():
    os.chmod(_work.name, 0o755)
    if os.geteuid() != 0:
        raise RuntimeError("the file tree can be made and entered by root alone: run this test as root")
    made = subprocess.run(["deploy/container/make-tree", TREE, *PATHS.values()], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise RuntimeError(f"make-tree ended with {made.returncode}: {made.stdout}{made.stderr}")


def tearDownModule():
    _work.cleanup()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Image:
    """What the Containerfile says of its last stage."""

    def __init__(self, text):
        last = re.split(r"^FROM ", text, flags=re.MULTILINE)[-1].replace("\\\n", " ")
        self.base = last.split()[0]
        lines = [line.split(None, 1) for line in last.splitlines()[1:] if line and not line.startswith("#")]
        self.words = [word for word, _ in lines]
        self.variables = dict(rest.split("=", 1) for word, rest in lines if word == "ENV")
        said = dict(lines)
        self.user = said["USER"]
        self.workdir = said["WORKDIR"]
        self.command = json.loads(said["CMD"])
        self.volume = said["VOLUME"]
        self.health = json.loads(said["HEALTHCHECK"].partition("CMD ")[2])


IMAGE = Image(read("deploy/container/Containerfile"))
USER = int(IMAGE.user.partition(":")[0])


class Jails(unittest.TestCase):
    """Starts programs in the tree, as the Containerfile says."""

    def setUp(self):
        # As an engine fills a new volume: with what the image has at its place, owners and modes as well.
        self.state = os.path.join(tempfile.mkdtemp(dir=_work.name), "state")
        subprocess.run(["cp", "-a", TREE + IMAGE.volume, self.state], check=True)
        self.addCleanup(shutil.rmtree, os.path.dirname(self.state))

    def jail(self, command, variables=None, files=()):
        jailed = [sys.executable, "-B", "tests/support/jail.py", "--root", TREE, "--user", str(USER), "--workdir", IMAGE.workdir,
                  "--state", self.state]
        for source, target in files:
            jailed += ["--file", f"{source}={target}"]
        return programs.Program([*jailed, "--", *command], IMAGE.variables | (variables or {}))

    def run_in(self, command, variables=None, files=()):
        with self.jail(command, variables, files) as program:
            return program.wait(), program.output

    def simulator(self):
        simulator = programs.Program([SIMULATOR, "--listen", "127.0.0.1:0"], {})
        self.addCleanup(simulator.__exit__)
        return simulator.wait_for(r"http://127\.0\.0\.1:\d+")[0]

    def platforms(self, simulator):
        """Accounts as a file of the form of .env, and the variables that lead to the simulator."""
        credentials = subprocess.run([SIMULATOR, "--credentials"], capture_output=True, text=True, check=True).stdout
        variables = {"SWITCHYARD_PROVIDERS__QWEN__OPTIONS__UPLOAD_URL": simulator + "/qwen/oss",
                     "SWITCHYARD_CHAT__LISTEN": "127.0.0.1:0"}
        for platform in PLATFORMS:
            at = f"SWITCHYARD_PROVIDERS__{platform.upper()}__"
            variables |= {at + "BASE_URL": f"{simulator}/{platform}", at + "SPACING": "0s"}
        file = os.path.join(os.path.dirname(self.state), "env")
        with open(file, "w", encoding="utf-8") as accounts:
            accounts.write(credentials)
        return file, variables


def ask(url, model, key=None):
    """(status, text of the answer) of one chat."""
    body = {"model": model, "messages": [{"role": "user", "content": "[[sim: text=Red,+green]]"}], "reasoning_format": "hidden"}
    headers = {"Content-Type": "application/json"} | ({"Authorization": "Bearer " + key} if key else {})
    request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=programs.PATIENCE_S) as answer:
            return answer.status, json.load(answer)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Tree(unittest.TestCase):
    """What is in it, and what is not."""

    def _files(self):
        for directory, _, names in os.walk(TREE):
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    yield path

    def test_programs_are_all_that_can_be_run(self):
        self.assertEqual(sorted(os.listdir(TREE + "/usr/bin")), sorted(PATHS))
        self.assertEqual(os.path.realpath(TREE + "/bin"), TREE + "/usr/bin")
        for path in self._files():
            mode = os.stat(path).st_mode
            self.assertFalse(mode & (stat.S_ISUID | stat.S_ISGID), path)
            self.assertFalse(mode & stat.S_IWOTH, path)

    def test_the_state_alone_is_the_users(self):
        for path in self._files():
            owner = USER if path.startswith(TREE + IMAGE.volume) else 0
            self.assertEqual(os.stat(path).st_uid, owner, path)
        self.assertEqual(stat.S_IMODE(os.stat(TREE + IMAGE.volume).st_mode), 0o700)

    def test_packages_are_those_that_programs_need(self):
        listed = re.search(r"RUNTIME_PACKAGES=\((.*?)\)", read("tools/packages.sh"), re.DOTALL)[1].split()
        self.assertEqual(sorted(os.listdir(TREE + "/var/lib/dpkg/status.d")), sorted(listed))
        loaded = set()
        for name in PATHS:
            shown = subprocess.run(["/usr/sbin/chroot", TREE, "/lib64/ld-linux-x86-64.so.2", "--list", "/usr/bin/" + name],
                                   capture_output=True, text=True, check=True).stdout
            self.assertNotIn("not found", shown, name)
            loaded |= set(re.findall(r"=> (\S+)", shown)) | {"/lib64/ld-linux-x86-64.so.2"}
        owners = set()
        for library in loaded:
            real = os.path.realpath(TREE + library).removeprefix(TREE)
            for path in (real, real.removeprefix("/usr")):
                found = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False).stdout
                owners |= set(re.findall(r"^([^:\s]+):", found, re.MULTILINE))
        # These are no libraries: the roots of the public internet, what this system is, and the licence of GCC's libraries.
        self.assertEqual(owners, set(listed) - {"ca-certificates", "base-files", "gcc-12-base"})

    def test_the_roots_of_the_internet_are_there(self):
        bundle = TREE + "/etc/ssl/certs/ca-certificates.crt"
        self.assertGreater(read(bundle).count("BEGIN CERTIFICATE"), 100)
        self.assertEqual(os.readlink(TREE + "/usr/lib/ssl/cert.pem"), "/etc/ssl/certs/ca-certificates.crt")
        default = subprocess.run(["openssl", "version", "-d"], capture_output=True, text=True, check=True).stdout
        self.assertIn('"/usr/lib/ssl"', default)

    def test_licences_come_along(self):
        for package in os.listdir(TREE + "/var/lib/dpkg/status.d"):
            self.assertTrue(os.path.isfile(f"{TREE}/usr/share/doc/{package}/copyright"), package)

    def test_the_image_is_this_tree(self):
        text = read("deploy/container/Containerfile")
        self.assertIn("deploy/container/make-tree /tree", text)
        self.assertEqual(IMAGE.base, "scratch")
        self.assertEqual(IMAGE.words.count("COPY"), 1)
        self.assertIn("COPY --from=build /tree /\n", text)
        self.assertGreater(USER, 0)
        self.assertIn(f":{USER}:", read(TREE + "/etc/passwd"))
        built = set(re.findall(r'"//.*:(switchyard[a-z-]*)"', read("deploy/container/BUILD.bazel")))
        self.assertEqual(built, set(PATHS))

    def test_nothing_secret_is_built_in(self):
        ignored = read(".dockerignore").split("\n")
        for name in (".env", "config.yaml", ".git", ".switchyard", "certificates", "**/*.key"):
            self.assertIn(name, ignored)


class Jailed(Jails):
    def _is_confined(self, program):
        status = read(f"/proc/{program.pid}/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        self.assertEqual(set(fields["Uid"].split()), {str(USER)})
        self.assertEqual(set(fields["Gid"].split()), {str(USER)})
        self.assertEqual(fields["Groups"].split(), [])
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[kind], 16), 0, kind)
        self.assertEqual(fields["NoNewPrivs"], "1")
        root = os.readlink(f"/proc/{program.pid}/root")
        mounts = {fields[4]: fields[5].split(",") for fields in map(str.split, read(f"/proc/{program.pid}/mountinfo").splitlines())}
        self.assertIn(root, ("/", TREE))
        self.assertIn("ro", mounts[TREE] if TREE in mounts else mounts["/"])

    def _lives(self, name, serves, variables=None, files=()):
        with self.jail([name], variables, files) as program:
            program.wait_for(serves)
            self._is_confined(program)
            self.assertEqual(program.stop(), 0, program.output)

    def test_signing(self):
        self._lives("switchyard-signing", r"serving gRPC on 127\.0\.0\.1:\d+", {"SWITCHYARD_SIGNING__LISTEN": "127.0.0.1:0"})

    def test_session(self):
        self._lives("switchyard-session", r"serving gRPC on unix:/var/lib/switchyard/session\.sock")
        self.assertEqual(stat.S_IMODE(os.stat(self.state + "/session.db").st_mode), 0o600)

    def test_edge(self):
        self._lives("switchyard-edge", r"serving HTTP on http://0\.0\.0\.0:\d+", {"SWITCHYARD_SERVER__PORT": "0"})

    def test_the_image_without_a_key_serves_nobody_and_takes_one_up(self):
        """As docker-compose.yml is told to be used: up, then a key, and no restart."""
        accounts, variables = self.platforms(self.simulator())
        variables["SWITCHYARD_SERVER__PORT"] = "0"
        with self.jail(IMAGE.command, variables, [(accounts, IMAGE.workdir + "/.env")]) as relay:
            port = relay.wait_for(r"serving HTTP on http://0\.0\.0\.0:(\d+)")[1]
            relay.wait_for(r"ChatService\) on ")
            self._is_confined(relay)
            self.assertIn("no_api_keys", relay.wait_for(r".*no_api_keys.*")[0])
            url = "http://127.0.0.1:" + port
            self.assertEqual(ask(url, "deepseek-chat")[0], 401)
            status, said = self.run_in(["switchyard", "keys", "add", "laptop"])
            self.assertEqual(status, 0, said)
            key = re.search(r"^sk-sy-\S+$", said, re.MULTILINE)[0]
            until = programs.time.monotonic() + programs.PATIENCE_S
            while ask(url, "deepseek-chat", key)[0] == 401 and programs.time.monotonic() < until:
                pass
            for model in MODELS:
                self.assertEqual(ask(url, model, key), (200, "Red, green"), model)
            self.assertEqual(ask(url, "deepseek-chat")[0], 401)
            self.assertEqual(self.run_in(IMAGE.health, {"SWITCHYARD_SERVER__PORT": port}), (0, "ready\n"))
            self.assertEqual(relay.stop(), 0, relay.output)
        self.assertEqual(self.run_in(IMAGE.health, {"SWITCHYARD_SERVER__PORT": port})[0], 1)

    def test_every_program_beside_the_others(self):
        """A chat with every platform: edge, provider, session and signing, each in a jail of its own."""
        accounts, variables = self.platforms(self.simulator())
        running = []

        def start(name, serves, more=None, files=()):
            program = self.jail([name], variables | (more or {}), files)
            self.addCleanup(program.__exit__)
            running.append((name, program))
            port = program.wait_for(serves)[1]
            self._is_confined(program)
            return port

        listening = r"serving gRPC on 127\.0\.0\.1:(\d+)"
        signing = start("switchyard-signing", listening, {"SWITCHYARD_SIGNING__LISTEN": "127.0.0.1:0"})
        variables["SWITCHYARD_SIGNING__TARGET"] = "127.0.0.1:" + signing
        start("switchyard-session", r"serving gRPC on unix:(\S+)", None, [(accounts, IMAGE.workdir + "/.env")])
        for platform in PLATFORMS:
            at = f"SWITCHYARD_PROVIDERS__{platform.upper()}__"
            variables[at + "BACKEND"] = "127.0.0.1:" + start(f"switchyard-{platform}", listening, {at + "LISTEN": "127.0.0.1:0"})
        key = "a-key-of-this-test"
        port = start("switchyard-edge", r"serving HTTP on http://0\.0\.0\.0:(\d+)",
                     {"SWITCHYARD_SERVER__PORT": "0", "SWITCHYARD_SERVER__API_KEYS": key})
        for model in MODELS:
            self.assertEqual(ask("http://127.0.0.1:" + port, model, key), (200, "Red, green"), model)
        for name, program in reversed(running):
            self.assertEqual(program.stop(), 0, f"{name}: {program.output}")

    def test_nothing_can_be_written_but_the_state(self):
        for place in ("/usr/lib", "/etc/ssl", "/var/lib", "/"):
            status, said = self.run_in(["switchyard", "keys", "add", "laptop"], {"SWITCHYARD_STATE_DIR": place})
            self.assertNotEqual(status, 0, place)
            self.assertIn("Read-only file system", said)

    def test_the_jail_says_what_it_lacks(self):
        jailed = [sys.executable, "-B", "tests/support/jail.py", "--root", TREE, "--user", str(USER), "--", "switchyard", "--help"]
        without = subprocess.run(["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--", *jailed],
                                 capture_output=True, text=True, check=False)
        self.assertNotEqual(without.returncode, 0)
        self.assertIn("needs root with CAP_SYS_ADMIN", without.stderr)


class Compose(unittest.TestCase):
    """docker-compose.yml is as closed as the image."""

    def setUp(self):
        self.file, = schema.load_yaml(read("deploy/container/docker-compose.yml"))
        self.service = self.file["services"]["switchyard"]

    def test_the_root_includes_it(self):
        self.assertEqual(schema.load_yaml(read("docker-compose.yml")), [{"name": self.file["name"], "include": ["deploy/container/docker-compose.yml"]}])

    def test_every_key_is_one_that_compose_knows(self):
        self.assertLessEqual(set(self.file), {"name", "services", "volumes"})
        self.assertLessEqual(set(self.service), {
            "image", "platform", "build", "restart", "ports", "volumes", "environment", "stop_grace_period", "read_only", "tmpfs", "cap_drop",
            "security_opt", "mem_limit", "healthcheck"})
        for mount in self.service["volumes"]:
            self.assertLessEqual(set(mount), {"type", "source", "target", "read_only", "bind"})
            if mount["type"] == "volume":
                self.assertIn(mount["source"], self.file["volumes"])

    def test_it_is_for_what_it_is_compiled_for(self):
        self.assertEqual(self.service["platform"], "linux/amd64")

    def test_this_machine_alone_reaches_it(self):
        for port in self.service["ports"]:
            self.assertRegex(port, r"^127\.0\.0\.1:\d+:8000$")

    def test_the_accounts_are_mounted_where_they_are_looked_for(self):
        mounts = {mount["target"]: mount for mount in self.service["volumes"]}
        accounts = mounts[IMAGE.workdir + "/.env"]
        self.assertEqual(os.path.normpath("deploy/container/" + accounts["source"]), ".env")
        self.assertTrue(accounts["read_only"])
        self.assertFalse(accounts["bind"]["create_host_path"], "a directory would be made where the file is missing")
        self.assertEqual(mounts[IMAGE.volume]["type"], "volume")

    def test_it_is_confined(self):
        self.assertTrue(self.service["read_only"])
        self.assertEqual(self.service["cap_drop"], ["ALL"])
        self.assertEqual(self.service["security_opt"], ["no-new-privileges:true"])
        self.assertEqual(self.service["healthcheck"]["test"], ["CMD", *IMAGE.health])
        build = self.service["build"]
        self.assertEqual(os.path.normpath("deploy/container/" + build["context"]), ".")
        self.assertTrue(os.path.exists(build["dockerfile"]))

    def test_it_is_given_the_time_to_finish(self):
        drain = int(self.service["environment"]["SWITCHYARD_SERVER__DRAIN_LIMIT"].removesuffix("s"))
        self.assertGreaterEqual(int(self.service["stop_grace_period"].removesuffix("s")), drain + 15 + 5)

    def test_the_commands_of_its_heading_are_real(self):
        heading = read("deploy/container/docker-compose.yml").partition("name:")[0]
        command = re.search(r"docker compose exec switchyard (.*?)\s+#", heading)[1]
        self.assertEqual(shlex.split(command), ["switchyard", "keys", "add", "laptop"])


if __name__ == "__main__":
    junit.main("container_test")
