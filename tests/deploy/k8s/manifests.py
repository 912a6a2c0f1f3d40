"""What one kustomization renders to, in words that rules can use."""

import base64
import os
import re
import shutil
import subprocess

import schema

_CLUSTER_KINDS = {"Namespace", "GatewayClass"}


def renderer():
    """The command that renders a kustomization, or None where none is new enough (components: kustomize 3.7)."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        program = shutil.which(command[0])
        if program is None:
            continue
        said = subprocess.run([command[0], "version"] + (["--client"] if command[0] == "kubectl" else []),
                              capture_output=True, text=True, check=False).stdout
        if re.search(r"(Kustomize Version: |^)v?(4|5|6)\.", said, re.MULTILINE):
            return command
    return None


def render(command, directory):
    run = subprocess.run(command + [directory], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise AssertionError(f"{' '.join(command)} {directory}: {run.stderr}")
    return Manifests(schema.load_yaml(run.stdout))


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def unrendered(directory):
    """The files of a kustomization without patches, with what its generator and its `images` make of them."""
    kustomization, = schema.load_yaml(_read(os.path.join(directory, "kustomization.yaml")))
    documents = []
    for resource in kustomization["resources"]:
        documents += schema.load_yaml(_read(os.path.join(directory, resource)))
    for generator in kustomization.get("configMapGenerator", []):
        data = {file: _read(os.path.join(directory, file)) for file in generator["files"]}
        documents.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data})
    for document in documents:
        if document["kind"] not in _CLUSTER_KINDS:
            document["metadata"]["namespace"] = kustomization["namespace"]
    images = {image["name"]: f"{image['newName']}:{image['newTag']}@{image['digest']}" for image in kustomization["images"]}
    made = Manifests(documents)
    for workload in made.workloads():
        for container in workload.containers:
            container["image"] = images.get(container["image"], container["image"])
    return made


def secret_keys(path):
    """The keys of each Secret that an example file describes; PROGRAM in a name stands for any program."""
    keys = {}
    for document in schema.load_yaml(_read(path)):
        keys[document["metadata"]["name"]] = set(document.get("stringData", {})) | set(document.get("data", {}))
    return keys


def selects(selector, labels):
    """Whether a label selector takes something with these labels. An empty one takes all; None takes nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for wish in selector.get("matchExpressions", []):
        has, value = wish["key"] in labels, labels.get(wish["key"])
        good = {"In": has and value in wish.get("values", []), "NotIn": not has or value not in wish.get("values", []),
                "Exists": has, "DoesNotExist": not has}[wish["operator"]]
        if not good:
            return False
    return True


class Workload:
    """A Deployment, a StatefulSet or, whose pods do their work and end, a CronJob."""

    def __init__(self, document):
        self.document = document
        self.kind = document["kind"]
        self.name = document["metadata"]["name"]
        self.spec = document["spec"]
        self.serves = self.kind != "CronJob"
        self.template = self.spec["template"] if self.serves else self.spec["jobTemplate"]["spec"]["template"]
        self.pod = self.template["spec"]
        self.containers = self.pod.get("initContainers", []) + self.pod["containers"]
        self.labels = self.template["metadata"].get("labels", {})

    def __str__(self):
        return f"{self.kind}/{self.name}"

    def ports(self):
        """(name, number, protocol) of every port of a container."""
        return [(port.get("name"), port["containerPort"], port.get("protocol", "TCP"))
                for container in self.containers for port in container.get("ports", [])]

    def port(self, wish, protocol="TCP"):
        """The number of the port of that name or number; None if there is none."""
        for name, number, spoken in self.ports():
            if spoken == protocol and wish in (name, number):
                return number
        return None

    def variables(self, container):
        return {entry["name"]: entry for entry in container.get("env", [])}


class Manifests:
    def __init__(self, documents):
        self.documents = documents

    def of(self, *kinds):
        return [document for document in self.documents if document["kind"] in kinds]

    def named(self, kind, name):
        return next((document for document in self.of(kind) if document["metadata"]["name"] == name), None)

    def workloads(self):
        return [Workload(document) for document in self.of("Deployment", "StatefulSet", "CronJob")]

    def workload(self, name):
        return next((workload for workload in self.workloads() if workload.name == name), None)

    def autoscaler_of(self, workload):
        for scaler in self.of("HorizontalPodAutoscaler"):
            target = scaler["spec"]["scaleTargetRef"]
            if (target["kind"], target["name"]) == (workload.kind, workload.name):
                return scaler
        return None

    def smallest(self, workload):
        """How many replicas there are at least."""
        scaler = self.autoscaler_of(workload)
        return scaler["spec"].get("minReplicas", 1) if scaler else workload.spec.get("replicas", 1)

    def settings(self, workload, container):
        """config.yaml as the container sees it, its sections as dots, with its plain variables, and those of whole ConfigMaps, on top."""
        flat = {}

        def walk(section, at):
            for key, value in section.items():
                if isinstance(value, dict):
                    walk(value, f"{at}{key}.")
                else:
                    flat[at + key] = str(value)

        for volume in workload.pod.get("volumes", []):
            source = self.named("ConfigMap", volume.get("configMap", {}).get("name"))
            if source and "config.yaml" in source.get("data", {}):
                walk(schema.load_yaml(source["data"]["config.yaml"])[0], "")
        variables = {}
        for source in container.get("envFrom", []):
            document = self.named("ConfigMap", source.get("configMapRef", {}).get("name"))
            variables.update(document.get("data", {}) if document else {})
        variables.update({name: entry["value"] for name, entry in workload.variables(container).items() if "value" in entry})
        for name, value in variables.items():
            if name.startswith("SWITCHYARD_"):
                flat[name.removeprefix("SWITCHYARD_").replace("__", ".").lower()] = value
        return flat


def seconds(text):
    """Of a duration as settings and Gateway API write it: 5s, 10m, 1h30m; a bare number is seconds."""
    if re.fullmatch(r"\d+", text):
        return int(text)
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or not parts:
        raise ValueError(f"{text!r} is not a duration")
    hours, minutes, rest = (int(part or 0) for part in parts.groups())
    return hours * 3600 + minutes * 60 + rest


def quantity(text):
    """Of a quantity as Kubernetes writes it: 500m, 2Gi, 1; bytes, or cores."""
    number, suffix = re.fullmatch(r"([\d.]+)([A-Za-z]*)", str(text)).groups()
    exponent = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4}.get(suffix)
    return float(number) * (1024**exponent if exponent else {"": 1, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[suffix])


def decoded(secret):
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}
