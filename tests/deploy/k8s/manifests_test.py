#!/usr/bin/python3 -B
"""What deploy/k8s renders to is valid on both versions of Kubernetes and keeps every rule; what is broken is refused."""

import copy
import os
import re
import shutil
import sys
import tempfile
import unittest

import yaml

sys.path[:0] = [os.path.join(os.getcwd(), "tests/deploy/k8s"), os.path.join(os.getcwd(), "tests/support")]

import broken  # noqa: E402
import graph  # noqa: E402
import junit  # noqa: E402
import manifests  # noqa: E402
import rules  # noqa: E402
import schema  # noqa: E402

# Kustomize reads nothing through a link that leads out of its directory, and Bazel lays links.
_COPY = tempfile.TemporaryDirectory()
ROOT = shutil.copytree("deploy/k8s", os.path.join(_COPY.name, "k8s"))
OVERLAYS = ["", "overlays/production", "overlays/production-ingress", "overlays/production-gateway", broken.TRACING, broken.NODELOCAL]
# Components without an overlay of their own, over what has all programs.
for _place in (broken.TRACING, broken.NODELOCAL):
    os.mkdir(os.path.join(ROOT, _place))
    _component = _place.removeprefix("../with-")
    with open(os.path.join(ROOT, _place, "kustomization.yaml"), "w", encoding="utf-8") as _file:
        _file.write(f"namespace: switchyard\nresources: [../k8s/overlays/production]\ncomponents: [../k8s/components/{_component}]\n")
SCHEMAS = schema.Schemas("tests/data/k8s")
SECRETS = manifests.secret_keys(os.path.join(ROOT, "secrets.example.yaml"))
RENDERER = manifests.renderer()
if RENDERER is None:
    print("There is no kubectl or kustomize that is new enough to render (kustomize 4): only deploy/k8s/base is validated, "
          "unrendered; the overlays and what is broken in them are not.", file=sys.stderr)


class Made:
    """Each kustomization's documents, made once. Without a renderer there is the base alone."""

    _made = {}

    @classmethod
    def of(cls, overlay):
        if overlay not in cls._made:
            if RENDERER:
                cls._made[overlay] = manifests.render(RENDERER, os.path.join(ROOT, overlay))
            else:
                cls._made[overlay] = manifests.unrendered(os.path.join(ROOT, "base"))
        return cls._made[overlay]


def faults(documents):
    return rules.faults(manifests.Manifests(documents), SCHEMAS, SECRETS)


class Good(unittest.TestCase):
    def test_base_unrendered(self):
        self.assertEqual(faults(manifests.unrendered(os.path.join(ROOT, "base")).documents), [])


def _good(overlay):
    def test(self):
        self.assertEqual(faults(Made.of(overlay).documents), [])
    return test


for _overlay in OVERLAYS if RENDERER else []:
    setattr(Good, "test_" + re.sub(r"\W+", "_", _overlay or "k8s"), _good(_overlay))


class Broken(unittest.TestCase):
    """Every variant is refused, and the message names what is wrong."""


def _refused(overlay, change, said):
    def test(self):
        documents = copy.deepcopy(Made.of(overlay).documents)
        change(broken.Editor(documents))
        found = faults(documents)
        self.assertTrue(any(re.search(said, fault) for fault in found), f"wanted {said!r}, found {found}")
    return test


for _name, _overlay, _change, _said in broken.VARIANTS:
    if RENDERER or not _overlay:
        setattr(Broken, "test_" + _name, _refused(_overlay, _change, _said))


class Yaml(unittest.TestCase):
    def test_a_key_that_is_there_twice_is_refused(self):
        with self.assertRaisesRegex(yaml.YAMLError, "the key 'name' is there twice"):
            schema.load_yaml("metadata:\n  name: a\n  name: b\n")

    def test_every_file_parses_strictly(self):
        count = 0
        for directory, _, files in os.walk(ROOT):
            for file in files:
                if file.endswith(".yaml"):
                    with open(os.path.join(directory, file), encoding="utf-8") as text:
                        schema.load_yaml(text.read())
                    count += 1
        self.assertGreater(count, 20)


class Examples(unittest.TestCase):
    def test_secrets_have_no_values_and_are_in_no_kustomization(self):
        with open(os.path.join(ROOT, "secrets.example.yaml"), encoding="utf-8") as file:
            documents = schema.load_yaml(file.read())
        for document in documents:
            self.assertEqual(SCHEMAS.faults(document), [])
            self.assertEqual({value for value in document["stringData"].values()}, {""}, document["metadata"]["name"])
            self.assertNotIn("data", document)

    def test_every_secret_of_the_example_is_used(self):
        used = set()
        for overlay in OVERLAYS if RENDERER else [""]:
            used |= set(re.findall(r"switchyard-[a-z-]+", str(Made.of(overlay).documents)))
        programs = {"switchyard-" + program for program in [*graph.PROVIDERS, "edge", "session", "signing", "accounts"]}
        self.assertLessEqual({program + "-tls" for program in programs}, used)
        if RENDERER:
            self.assertLessEqual({name for name in SECRETS if "PROGRAM" not in name}, used)


class Source(unittest.TestCase):
    """What the table says is what the programs do."""

    @staticmethod
    def _read(path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def test_ports_are_those_of_the_platforms(self):
        found = dict(re.findall(r'\{"(\w+)",\s*"https://[^"]*",\s*"\w+_TOKEN",\s*(\d+)',
                                self._read("services/common/config/platforms.cc")))
        self.assertEqual({name: int(port) for name, port in found.items()}, graph.PROVIDERS)

    def test_a_program_that_is_told_nothing_drains_for_as_long_as_the_rules_say(self):
        found = dict(re.findall(r"absl::Duration (drain_\w+) = absl::(\w+\(\d*\));", self._read("services/common/config/config.h")))
        self.assertEqual(found, {"drain_delay": "ZeroDuration()", "drain_limit": "Seconds(600)"})
        self.assertEqual((manifests.seconds(rules.DRAIN_DELAY), manifests.seconds(rules.DRAIN_LIMIT)), (0, 600))

    def test_settings_are_read_from_their_source(self):
        known = rules.known_settings()
        self.assertLessEqual({"threads", "server.drain_limit", "providers.kimi.spacing", "providers.qwen.options.upload_url"}, known)
        self.assertGreater(len(known), 100)

    def test_whoever_may_be_called_may_be_reached(self):
        """MeshRules, by certificate, and the policies, by address, are about the same calls."""
        table = self._read("services/common/tls/mesh_identity.cc").partition("MeshRules")[2].partition("};")[0]
        rows = {path: (names, "providers" in rest) for path, names, rest in (
            (path, set(re.findall(r'"(switchyard-\w+)"', rest)), rest)
            for path, rest in re.findall(r'\{"/switchyard\.(\S+?)",\s*(.*?)\},\n', table, re.DOTALL))}
        providers = {graph.name(provider) for provider in graph.PROVIDERS}
        callers = {path: names | (providers if all_of_them else set()) for path, (names, all_of_them) in rows.items()}
        edges = graph.edges({graph.name(name) for name in [*graph.PROVIDERS, "edge", "session", "signing", "accounts"]}, [])
        reach = {port: {caller for caller, _, number, _ in edges if number == port} for port in (graph.SIGNING, graph.SESSION)}
        self.assertEqual(callers["signing.v1.SigningService/"], reach[graph.SIGNING])
        self.assertEqual(callers["session.v1.SessionService/Lease"] | {"switchyard-accounts"}, reach[graph.SESSION])
        self.assertEqual(callers["session.v1.SessionService/CheckAccount"] - {"switchyard-edge"}, {"switchyard-accounts"})
        self.assertEqual(callers["chat.v1.ChatService/"], {"switchyard-edge"})


class Readme(unittest.TestCase):
    def _text(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            return file.read()

    @unittest.skipUnless(RENDERER, "nothing renders")
    def test_an_overlay_of_ones_own_sets_the_image(self):
        overlay = re.search(r"```yaml\n(.*?)```", self._text().replace("   ```", "```"), re.DOTALL)[1]
        overlay = overlay.replace("../deploy/k8s ", "../k8s ").replace("sha256:…", "sha256:" + "1" * 64).replace("REGISTRY", "here.example")
        place = os.path.join(_COPY.name, "relay")
        os.mkdir(place)
        self.addCleanup(shutil.rmtree, place)
        with open(os.path.join(place, "kustomization.yaml"), "w", encoding="utf-8") as file:
            file.write(overlay)
        made = manifests.render(RENDERER, place)
        self.assertEqual(faults(made.documents), [])
        images = {container["image"] for workload in made.workloads() for container in workload.containers}
        self.assertEqual(images, {"here.example/switchyard:1.0.0@sha256:" + "1" * 64})

    @unittest.skipUnless(RENDERER, "nothing renders")
    def test_components_fit_the_base(self):
        for component, kind in (("ingress", "Ingress"), ("gateway", "Gateway")):
            place = os.path.join(_COPY.name, "with-" + component)
            os.mkdir(place)
            self.addCleanup(shutil.rmtree, place)
            with open(os.path.join(place, "kustomization.yaml"), "w", encoding="utf-8") as file:
                file.write(f"namespace: switchyard\nresources: [../k8s]\ncomponents: [../k8s/components/{component}]\n")
            made = manifests.render(RENDERER, place)
            self.assertEqual(faults(made.documents), [])
            self.assertEqual(len(made.of(kind)), 1)

    @unittest.skipUnless(RENDERER, "nothing renders")
    def test_the_collector_is_one_setting_of_an_overlay(self):
        place = os.path.join(_COPY.name, "with-own-collector")
        os.mkdir(place)
        self.addCleanup(shutil.rmtree, place)
        url = "http://collector.elsewhere:4318/v1/traces"
        with open(os.path.join(place, "kustomization.yaml"), "w", encoding="utf-8") as file:
            file.write("namespace: switchyard\nresources: [../k8s]\ncomponents: [../k8s/components/tracing]\n"
                       "patches:\n  - patch: |-\n      apiVersion: v1\n      kind: ConfigMap\n"
                       "      metadata: {name: switchyard-tracing}\n"
                       f"      data: {{SWITCHYARD_TRACING__OTLP_URL: {url}}}\n")
        made = manifests.render(RENDERER, place)
        self.assertEqual(faults(made.documents), [])
        told = {workload.name for workload in made.workloads()
                if made.settings(workload, workload.containers[0]).get("tracing.otlp_url") == url}
        self.assertEqual(told, {workload.name for workload in made.workloads() if workload.serves})

    def test_files_and_secrets_it_names_are_there(self):
        text = self._text()
        for path in re.findall(r"deploy/k8s/(?:base|overlays|components)/[\w/.-]*\w", text):
            self.assertTrue(os.path.exists(os.path.join(ROOT, path.removeprefix("deploy/k8s/"))), path)
        made = set(re.findall(r"create secret generic (\S+) --from-\w+=([\w.-]+)", text))
        self.assertEqual(made, {(name, key) for name, keys in SECRETS.items() for key in keys if "tls" not in name})


class Alike(unittest.TestCase):
    def test_the_providers_differ_in_name_and_port_alone(self):
        texts = set()
        for provider, port in graph.PROVIDERS.items():
            with open(os.path.join(ROOT, "base", provider + ".yaml"), encoding="utf-8") as file:
                text = file.read().partition("\n")[2]  # the first line is a title
            texts.add(text.replace("switchyard-" + provider, "NAME").replace(f"name: {provider}\n", "name: NAME\n")
                      .replace(str(port), "PORT"))
        self.assertEqual(len(texts), 1)


if __name__ == "__main__":
    junit.main("manifests_test")
