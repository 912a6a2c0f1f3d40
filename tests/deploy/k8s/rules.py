"""What no schema tells: rules that hold between fields and between documents. Each yields its faults as text."""

import functools
import ipaddress
import re
import urllib.parse

import graph
from manifests import quantity, seconds, selects

# Deleting conversations when the last answer is out: kCleanUpLimit of services/common/provider/provider_main.cc.
CLEAN_UP_S = 15
SPARE_S = 5
# What a program does that is told nothing: services/common/config/config.h.
DRAIN_DELAY, DRAIN_LIMIT = "0s", "10m"
LEAST_SLEEP_S = 5
# A client looks names up again two seconds after the last time at the soonest (services/common/rpc/channel.cc), and what it
# asks may itself keep an answer for five.
LEAST_READY_S = 10
# What is lent beyond a request is there only while the node's other pods leave it.
MOST_OVER_REQUEST = 4
LEAST_SCALED_CPU = 0.5
# Those that pod security "restricted" lets a pod have.
RESTRICTED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
UNSET_DIGEST = "sha256:" + "0" * 64
CLUSTER_KINDS = {"Namespace", "GatewayClass"}


def _title(document):
    return f"{document['kind']}/{document['metadata']['name']}"


def _probes(workload):
    for container in workload.containers:
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if kind in container:
                yield container, kind, container[kind]


def selectors_match(manifests):
    workloads = manifests.workloads()

    def check(selector, what):
        if not any(selects(selector, workload.labels) for workload in workloads):
            yield f"{what} matches no pod"

    for workload in workloads:
        if workload.serves and not selects(workload.spec["selector"], workload.labels):
            yield f"{workload}: its selector is not a part of its template's labels"
        for constraint in workload.pod.get("topologySpreadConstraints", []):
            if not selects(constraint.get("labelSelector"), workload.labels):
                yield f"{workload}: a topology spread constraint does not count its own pods"
        for term in workload.pod.get("affinity", {}).get("podAntiAffinity", {}).get(
                "requiredDuringSchedulingIgnoredDuringExecution", []):
            if not selects(term.get("labelSelector"), workload.labels):
                yield f"{workload}: its anti-affinity does not keep its own pods apart"
        if workload.kind == "StatefulSet" and not manifests.named("Service", workload.spec.get("serviceName")):
            yield f"{workload}: there is no Service {workload.spec.get('serviceName')}"
    for service in manifests.of("Service"):
        yield from check({"matchLabels": service["spec"]["selector"]}, f"{_title(service)}: its selector")
    for budget in manifests.of("PodDisruptionBudget"):
        yield from check(budget["spec"].get("selector"), f"{_title(budget)}: its selector")
    for policy in manifests.of("NetworkPolicy"):
        yield from check(policy["spec"]["podSelector"], f"{_title(policy)}: its selector")
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                for peer in rule.get(peers, []):
                    if "podSelector" in peer and "namespaceSelector" not in peer:
                        yield from check(peer["podSelector"], f"{_title(policy)}: a selector of its {direction}")
    for scaler in manifests.of("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if not any((target["kind"], target["name"]) == (workload.kind, workload.name) for workload in workloads):
            yield f"{_title(scaler)}: there is no {target['kind']}/{target['name']}"


def _service_port(manifests, name, wish):
    service = manifests.named("Service", name)
    return service and next((port for port in service["spec"]["ports"] if wish in (port.get("name"), port["port"])), None)


def ports_exist(manifests):
    for workload in manifests.workloads():
        for container, kind, probe in _probes(workload):
            wish = probe.get("httpGet", probe.get("tcpSocket", {})).get("port")
            if wish is not None and workload.port(wish) is None:
                yield f"{workload}: {kind} of {container['name']} asks port {wish}, which no container has"
        names = [name for name, _, _ in workload.ports()]
        if len(set(names)) != len(names):
            yield f"{workload}: two ports have one name"
    for service in manifests.of("Service"):
        for workload in manifests.workloads():
            if not selects({"matchLabels": service["spec"]["selector"]}, workload.labels):
                continue
            for port in service["spec"]["ports"]:
                if workload.port(port.get("targetPort", port["port"])) is None:
                    yield f"{_title(service)}: {workload} has no port {port.get('targetPort', port['port'])}"
    for ingress in manifests.of("Ingress"):
        for rule in ingress["spec"].get("rules", []):
            for path in rule.get("http", {}).get("paths", []):
                wish = path["backend"]["service"]
                port = wish["port"].get("name", wish["port"].get("number"))
                if not _service_port(manifests, wish["name"], port):
                    yield f"{_title(ingress)}: there is no Service {wish['name']} with a port {port}"
    for route in manifests.of("HTTPRoute", "GRPCRoute"):
        for rule in route["spec"].get("rules", []):
            for backend in rule.get("backendRefs", []):
                if not _service_port(manifests, backend["name"], backend.get("port")):
                    yield f"{_title(route)}: there is no Service {backend['name']} with a port {backend.get('port')}"
        for parent in route["spec"].get("parentRefs", []):
            gateway = manifests.named("Gateway", parent["name"])
            listeners = [listener["name"] for listener in gateway["spec"]["listeners"]] if gateway else []
            if not gateway or parent.get("sectionName", listeners[0]) not in listeners:
                yield f"{_title(route)}: there is no Gateway {parent['name']} with a listener {parent.get('sectionName')}"


def probes_ask_the_admin_port(manifests):
    for workload in manifests.workloads():
        if not workload.serves:
            continue
        kinds = {kind for _, kind, _ in _probes(workload)}
        for missing in {"startupProbe", "livenessProbe", "readinessProbe"} - kinds:
            yield f"{workload}: it has no {missing}"
        for container, kind, probe in _probes(workload):
            if "grpc" in probe:
                yield f"{workload}: {kind} is a gRPC probe, which has no client certificate to show"
            elif workload.name != graph.name("etcd"):
                path = "/readyz" if kind == "readinessProbe" else "/healthz"
                if probe.get("httpGet", {}).get("path") != path:
                    yield f"{workload}: {kind} of {container['name']} has to ask {path}"


def pods_drain(manifests):
    for workload in manifests.workloads():
        if not workload.serves:
            continue
        for container in workload.containers:
            sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            if sleep < LEAST_SLEEP_S:
                yield f"{workload}: preStop sleeps {sleep} s, less than the {LEAST_SLEEP_S} s that Services need to forget a pod"
            settings = manifests.settings(workload, container)
            drain = 0  # etcd is none of ours
            if workload.name != graph.name("etcd"):
                drain = seconds(settings.get("server.drain_delay", DRAIN_DELAY)) + seconds(settings.get("server.drain_limit", DRAIN_LIMIT))
            if workload.labels.get("app.kubernetes.io/component") == "provider":
                drain += CLEAN_UP_S
            grace = workload.pod.get("terminationGracePeriodSeconds", 30)
            if grace < sleep + drain + SPARE_S:
                yield (f"{workload}: terminationGracePeriodSeconds is {grace}, less than the {sleep} s of preStop, the {drain} s "
                       f"of the drain and {SPARE_S} s to spare")


def _example_of(secrets, name):
    return secrets.get(name, secrets.get(re.sub(r"^switchyard-[a-z]+-tls$", "switchyard-PROGRAM-tls", name)))


def references_exist(manifests, secrets):
    def check(where, kind, name, keys=(), optional=False):
        if optional:
            return
        if kind == "Secret":
            has = _example_of(secrets, name)
        else:
            document = manifests.named(kind, name)
            has = None if document is None else set(document.get("data", {}))
        if has is None:
            yield f"{where}: there is no {kind} {name}"
        else:
            for key in sorted(set(keys) - has):
                yield f"{where}: {kind} {name} has no {key}"

    for workload in manifests.workloads():
        account = workload.pod.get("serviceAccountName", "default")
        if account == "default":
            yield f"{workload}: it has no ServiceAccount of its own"
        else:
            yield from check(workload, "ServiceAccount", account)
        claims = {claim["metadata"]["name"] for claim in workload.spec.get("volumeClaimTemplates", [])}
        volumes = {volume["name"]: volume for volume in workload.pod.get("volumes", [])}
        for volume in volumes.values():
            if "configMap" in volume:
                yield from check(workload, "ConfigMap", volume["configMap"]["name"], optional=volume["configMap"].get("optional"))
            if "secret" in volume:
                items = [item["key"] for item in volume["secret"].get("items", [])]
                yield from check(workload, "Secret", volume["secret"]["secretName"], items, volume["secret"].get("optional"))
            if "persistentVolumeClaim" in volume:
                yield from check(workload, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        for container in workload.containers:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes and mount["name"] not in claims:
                    yield f"{workload}: there is no volume {mount['name']}"
                elif "subPath" in mount and "configMap" in volumes.get(mount["name"], {}):
                    yield from check(workload, "ConfigMap", volumes[mount["name"]]["configMap"]["name"], [mount["subPath"]])
            for entry in container.get("env", []):
                source = entry.get("valueFrom", {})
                for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                    if field in source:
                        yield from check(workload, kind, source[field]["name"], [source[field]["key"]], source[field].get("optional"))
            for source in container.get("envFrom", []):
                for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                    if field in source:
                        yield from check(workload, kind, source[field]["name"])
    for ingress in manifests.of("Ingress"):
        for tls in ingress["spec"].get("tls", []):
            yield from check(_title(ingress), "Secret", tls["secretName"], ["tls.crt", "tls.key"])
    for gateway in manifests.of("Gateway"):
        for listener in gateway["spec"]["listeners"]:
            for reference in listener.get("tls", {}).get("certificateRefs", []):
                yield from check(_title(gateway), "Secret", reference["name"], ["tls.crt", "tls.key"])


def images_are_pinned(manifests):
    for workload in manifests.workloads():
        for container in workload.containers:
            parts = re.fullmatch(r"(?P<name>[^@]+?):(?P<tag>[^:/@]+)@(?P<digest>sha256:[0-9a-f]{64})", container["image"])
            if not parts or parts["tag"] == "latest":
                yield f"{workload}: the image {container['image']} is not pinned by a tag and a digest"
            elif parts["digest"] == UNSET_DIGEST and not parts["name"].endswith("/switchyard"):
                # Ours alone is built after these files are written; what is not set cannot be pulled.
                yield f"{workload}: the digest of {parts['name']} is a placeholder"


def disruptions_are_possible(manifests):
    for workload in manifests.workloads():
        smallest = manifests.smallest(workload)
        budgets = [budget for budget in manifests.of("PodDisruptionBudget")
                   if selects(budget["spec"].get("selector"), workload.labels)]
        if smallest > 1 and not budgets:
            yield f"{workload}: it has {smallest} replicas and no PodDisruptionBudget"
        if len(budgets) > 1:
            yield f"{workload}: more than one PodDisruptionBudget holds for it, and then none can be evicted"
        for budget in budgets:
            spec = budget["spec"]
            if "minAvailable" in spec:
                allowed = smallest - _count(spec["minAvailable"], smallest)
            else:
                allowed = _count(spec.get("maxUnavailable", 0), smallest)
            if allowed < 1:
                yield f"{_title(budget)}: at {smallest} replicas it allows no disruption: no node could be drained"
            if smallest - allowed < 1:
                yield f"{_title(budget)}: at {smallest} replicas it allows all of them to go at once"
        scaler = manifests.autoscaler_of(workload)
        if scaler:
            if scaler["spec"].get("minReplicas", 1) >= scaler["spec"]["maxReplicas"]:
                yield f"{_title(scaler)}: there is nothing between minReplicas and maxReplicas"
            if "replicas" in workload.spec:
                yield f"{workload}: an autoscaler decides how many there are, so each apply would undo its work"
            for metric in scaler["spec"].get("metrics", []):
                # Others than CPU and memory need an adapter, which nothing here brings.
                if metric["type"] != "Resource" or metric["resource"]["name"] not in ("cpu", "memory"):
                    yield f"{_title(scaler)}: nobody measures {metric.get('resource', {}).get('name', metric['type'])}"
            requests = [quantity(container.get("resources", {}).get("requests", {}).get("cpu", 0)) for container in workload.containers]
            if min(requests) < LEAST_SCALED_CPU:
                yield (f"{workload}: it requests {min(requests)} cores, less than the {LEAST_SCALED_CPU} below which its autoscaler "
                       "adds replicas for nothing")


def _count(value, replicas):
    if isinstance(value, str):
        return -(-replicas * int(value.removesuffix("%")) // 100)
    return value


def updates_drop_nothing(manifests):
    for workload in manifests.workloads():
        if workload.kind != "Deployment":
            continue
        ready = workload.spec.get("minReadySeconds", 0)
        if ready < LEAST_READY_S:
            yield (f"{workload}: minReadySeconds is {ready}, less than the {LEAST_READY_S} s until its clients know a new pod, and "
                   "the old ones go meanwhile")
        strategy = workload.spec.get("strategy", {})
        claims = [volume for volume in workload.pod.get("volumes", []) if "persistentVolumeClaim" in volume]
        if claims:
            if strategy.get("type") != "Recreate" or manifests.smallest(workload) != 1:
                yield f"{workload}: its volume has one writer, so it has to be one replica of the strategy Recreate"
            continue
        rolling = strategy.get("rollingUpdate", {})
        if strategy.get("type") != "RollingUpdate" or rolling.get("maxUnavailable") != 0 or \
                _count(rolling.get("maxSurge", 0), 1) < 1:
            yield f"{workload}: it streams, so an update needs maxUnavailable 0 and a maxSurge of at least 1"


def _outside(peer):
    for name, known in graph.OUTSIDE.items():
        if peer == known:
            return name
    return None


def _blocks_are_public(policy, blocks):
    for block in blocks:
        cidr = ipaddress.ip_network(block["cidr"])
        if cidr.version == 6:
            if not cidr.subnet_of(ipaddress.ip_network("2000::/3")):
                yield f"{_title(policy)}: {cidr} is not the public internet alone"
            continue
        left_out = [ipaddress.ip_network(part) for part in block.get("except", [])]
        for private in map(ipaddress.ip_network, graph.PRIVATE_NETWORKS):
            if private.overlaps(cidr) and not any(private.subnet_of(part) for part in left_out):
                yield f"{_title(policy)}: it opens {private}, which is not the internet"


def _allowed(manifests, direction):
    """(this pod, the other side, port, protocol) that the policies of one direction allow, and their faults."""
    workloads = manifests.workloads()
    found, faults = set(), []
    peers_field = {"Ingress": "from", "Egress": "to"}[direction]
    for policy in manifests.of("NetworkPolicy"):
        if direction not in policy["spec"].get("policyTypes", []):
            if direction.lower() in policy["spec"]:
                faults.append(f"{_title(policy)}: it has rules for {direction} and does not name that type")
            continue
        for rule in policy["spec"].get(direction.lower(), []):
            if not rule.get(peers_field) or not rule.get("ports"):
                faults.append(f"{_title(policy)}: a rule of its {direction.lower()} names no peer or no port")
                continue
            for port in rule["ports"]:
                if "endPort" in port:
                    faults.append(f"{_title(policy)}: it opens all ports from {port['port']} to {port['endPort']}")
            blocks = [peer["ipBlock"] for peer in rule[peers_field] if "ipBlock" in peer and not _outside(peer)]
            faults += _blocks_are_public(policy, blocks)
            sides = ["internet"] if blocks else []
            others = []
            for peer in rule[peers_field]:
                if peer.get("ipBlock") in blocks:
                    continue
                if set(peer) == {"podSelector"}:
                    others += [workload for workload in workloads if selects(peer["podSelector"], workload.labels)]
                elif _outside(peer):
                    sides.append(_outside(peer))
                else:
                    faults.append(f"{_title(policy)}: {peer} is nobody that the table knows")
            for workload in workloads:
                if not selects(policy["spec"]["podSelector"], workload.labels):
                    continue
                for port in rule["ports"]:
                    protocol = port.get("protocol", "TCP")
                    for other in others + sides:
                        target = workload if direction == "Ingress" else other
                        number = port["port"] if isinstance(target, str) else target.port(port["port"], protocol)
                        if number is None and isinstance(port["port"], str):
                            continue  # a named port opens nothing where there is none of that name
                        found.add((workload.name, getattr(other, "name", other), number or port["port"], protocol))
    return found, faults


def policies_are_the_graph(manifests):
    denies = any(policy["spec"]["podSelector"] == {} and {"Ingress", "Egress"} <= set(policy["spec"].get("policyTypes", []))
                 and not policy["spec"].get("ingress") and not policy["spec"].get("egress")
                 for policy in manifests.of("NetworkPolicy"))
    if not denies:
        yield "there is no NetworkPolicy that denies by default, both ways"
    names = {workload.name for workload in manifests.workloads()}
    entrances = ["clients"]
    entrances += ["ingress-nginx"] if manifests.of("Ingress") else []
    entrances += ["gateway"] if manifests.of("Gateway") else []
    collectors = set()
    for workload in manifests.workloads():
        url = urllib.parse.urlsplit(manifests.settings(workload, workload.containers[0]).get("tracing.otlp_url", ""))
        if url.scheme and workload.serves:
            collectors.add((workload.name, url.port or {"http": 80, "https": 443}[url.scheme]))
    resolvers = ["nodelocal-dns"] if manifests.named("NetworkPolicy", "switchyard-nodelocal-dns") else []
    wanted = graph.edges(names, entrances, collectors, resolvers)
    incoming, faults = _allowed(manifests, "Ingress")
    yield from faults
    outgoing, faults = _allowed(manifests, "Egress")
    yield from faults
    incoming = {(caller, callee, port, protocol) for callee, caller, port, protocol in incoming}
    for what, found, whole in (("ingress", incoming, {edge for edge in wanted if edge[1] in names}),
                               ("egress", outgoing, {edge for edge in wanted if edge[0] in names})):
        for caller, callee, port, protocol in sorted(whole - found):
            yield f"no policy allows the {what} {caller} -> {callee} {port}/{protocol}"
        for caller, callee, port, protocol in sorted(found - whole):
            yield f"a policy allows the {what} {caller} -> {callee} {port}/{protocol}, which is not in the graph"


def images_fit_the_nodes(manifests):
    """services/signing/schemes is compiled for x86-64."""
    for workload in manifests.workloads():
        if workload.name != graph.name("etcd") and workload.pod.get("nodeSelector", {}).get("kubernetes.io/arch") != "amd64":
            yield f"{workload}: it may be put on a node that its image is not for"


def pods_are_restricted(manifests):
    for namespace in manifests.of("Namespace"):
        if namespace["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{_title(namespace)}: it does not enforce the restricted pod security"
    for workload in manifests.workloads():
        pod = workload.pod.get("securityContext", {})
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            if workload.pod.get(field):
                yield f"{workload}: {field}"
        for volume in workload.pod.get("volumes", []):
            for kind in sorted(set(volume) - RESTRICTED_VOLUMES - {"name"}):
                yield f"{workload}: the volume {volume['name']} is of the kind {kind}"
        for container in workload.containers:
            own = container.get("securityContext", {})

            def effective(field, own=own):
                return own.get(field, pod.get(field))

            if effective("runAsNonRoot") is not True or effective("runAsUser") == 0:
                yield f"{workload}: {container['name']} may run as root"
            if effective("seccompProfile") != {"type": "RuntimeDefault"}:
                yield f"{workload}: {container['name']} has no seccompProfile RuntimeDefault"
            if own.get("allowPrivilegeEscalation") is not False:
                yield f"{workload}: {container['name']} may gain privileges"
            if own.get("privileged"):
                yield f"{workload}: {container['name']} is privileged"
            if own.get("readOnlyRootFilesystem") is not True:
                yield f"{workload}: the root of {container['name']} is not read-only"
            capabilities = own.get("capabilities", {})
            if "ALL" not in capabilities.get("drop", []) or capabilities.get("add"):
                yield f"{workload}: {container['name']} does not drop ALL capabilities"
            for port in container.get("ports", []):
                if "hostPort" in port:
                    yield f"{workload}: {container['name']} takes a port of the host"


def pods_know_nothing_they_need_not(manifests):
    for workload in manifests.workloads():
        account = manifests.named("ServiceAccount", workload.pod.get("serviceAccountName"))
        if workload.pod.get("automountServiceAccountToken") is not False or \
                account and account.get("automountServiceAccountToken") is not False:
            yield f"{workload}: it is given a token of the cluster, and needs none"
        if workload.pod.get("enableServiceLinks") is not False:
            yield f"{workload}: enableServiceLinks makes variables like SWITCHYARD_EDGE_PORT, which are no settings"
        secrets = {volume["secret"]["secretName"] for volume in workload.pod.get("volumes", []) if "secret" in volume}
        if f"{workload.name}-tls" not in secrets:
            yield f"{workload}: it does not have its own certificate, Secret {workload.name}-tls"
        others = {secret for secret in secrets if secret.endswith("-tls")} - {f"{workload.name}-tls"}
        if others:
            yield f"{workload}: it has the certificate of another, {', '.join(sorted(others))}"
        if "switchyard-accounts" in secrets and workload.name != graph.name("session"):
            yield f"{workload}: it is given the accounts, which are session's alone"


def resources_are_bounded(manifests):
    for workload in manifests.workloads():
        for container in workload.containers:
            resources = container.get("resources", {})
            requests, limits = resources.get("requests", {}), resources.get("limits", {})
            if "cpu" not in requests or "memory" not in requests:
                yield f"{workload}: {container['name']} requests no CPU or no memory"
            if "memory" not in limits:
                yield f"{workload}: the memory of {container['name']} is not bounded"
            elif quantity(limits["memory"]) > MOST_OVER_REQUEST * quantity(requests.get("memory", 0)):
                yield f"{workload}: {container['name']} requests less than a quarter of the memory that it may take"
        for volume in workload.pod.get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
                yield f"{workload}: the volume {volume['name']} has no sizeLimit"


def everything_is_in_the_namespace(manifests):
    names = {namespace["metadata"]["name"] for namespace in manifests.of("Namespace")}
    seen = set()
    for document in manifests.documents:
        place = (document["kind"], document["metadata"].get("namespace"), document["metadata"]["name"])
        if place in seen:
            yield f"{_title(document)}: it is there twice"
        seen.add(place)
        if document["kind"] not in CLUSTER_KINDS and document["metadata"].get("namespace") not in names:
            yield f"{_title(document)}: its namespace {document['metadata'].get('namespace')} is not made here"
        if document["kind"] == "Secret":
            yield f"{_title(document)}: applying it would overwrite what it holds in the cluster"


@functools.lru_cache(maxsize=None)
def known_settings():
    """The names of all settings, from where they are read."""
    with open("services/common/config/settings.cc", encoding="utf-8") as file:
        source = file.read()
    with open("services/common/config/platforms.cc", encoding="utf-8") as file:
        options = re.findall(r'^ +\{"(\w+)",', file.read(), re.MULTILINE)
    names = set(re.findall(r'settings\["([\w.]+)"\]', source))
    of_a_provider = set(re.findall(r'settings\[at \+ "(\w+)"\]', source)) | {"options." + option for option in options}
    return names | {f"providers.{provider}.{name}" for provider in graph.PROVIDERS for name in of_a_provider}


def settings_are_known(manifests):
    for workload in manifests.workloads():
        for container in workload.containers:
            names = {name for name in workload.variables(container) if name.startswith("SWITCHYARD_")}
            settings = {name.removeprefix("SWITCHYARD_").replace("__", ".").lower() for name in names}
            for name in sorted((settings | set(manifests.settings(workload, container))) - known_settings()):
                yield f"{workload}: there is no setting {name}"


def settings_fit_the_pods(manifests):
    """Ports that config.yaml says are those of the pods, and where it looks for another program there is a Service."""
    for workload in manifests.workloads():
        if workload.name == graph.name("etcd"):
            continue
        container = workload.containers[0]
        if not workload.serves:
            if container["command"] != workload.name.split("-"):
                yield f"{workload}: it runs {container['command']}"
            continue
        if container["command"] != [workload.name]:
            yield f"{workload}: it runs {container['command']}"
        settings = manifests.settings(workload, container)
        program = workload.name.removeprefix("switchyard-")
        listens = {"edge": ("server.host", "server.port"), "signing": ("signing.listen",), "session": ("session.listen",)}.get(
            program, (f"providers.{program}.listen",))
        listen = ":".join(settings.get(setting, "") for setting in listens)
        for address, name in ((listen, "http" if program == "edge" else "grpc"), (settings.get("admin.listen", ""), "admin")):
            if address != f"0.0.0.0:{workload.port(name)}":
                yield f"{workload}: its port {name} is {workload.port(name)}, and it listens on {address}"
        targets = {setting: value for setting, value in settings.items()
                   if setting in ("signing.target", "session.target") or re.fullmatch(r"providers\.\w+\.backend", setting)}
        for setting, target in targets.items():
            parts = re.fullmatch(r"dns:///([a-z-]+):(\d+)", target)
            service = parts and manifests.named("Service", parts[1])
            if not service or not _service_port(manifests, parts[1], int(parts[2])):
                yield f"{setting}: there is no Service behind {target}"
            elif service["spec"].get("clusterIP") != "None":
                yield f"{_title(service)}: it is not headless, so that calls would all go to one pod"
        store = settings.get("session.store", "")
        etcd = manifests.workload(graph.name("etcd"))
        if program == "session" and (etcd or "://" in store):
            members = [f"switchyard-etcd-{i}.switchyard-etcd:2379" for i in range(etcd.spec["replicas"])] if etcd else []
            if store != "etcds://" + ",".join(members):
                yield f"{workload}: session.store is not, by TLS, the members of etcd, {', '.join(members)}"


def etcd_has_a_quorum(manifests):
    etcd = manifests.workload(graph.name("etcd"))
    if etcd is None:
        return
    replicas = etcd.spec["replicas"]
    arguments = dict(argument.removeprefix("--").partition("=")[::2] for argument in etcd.containers[0]["args"])
    members = ",".join(f"switchyard-etcd-{i}=https://switchyard-etcd-{i}.switchyard-etcd:2380" for i in range(replicas))
    if arguments.get("initial-cluster") != members:
        yield f"{etcd}: --initial-cluster does not name its {replicas} members"
    if replicas < 3 or replicas % 2 == 0:
        yield f"{etcd}: {replicas} members keep no majority when one is lost"
    for flag in ("auto-compaction-retention", "quota-backend-bytes"):
        if flag not in arguments:
            yield f"{etcd}: without --{flag} its file grows until it is full"
    # While the file is defragmented there are two, and the log of what is not in it yet is beside them.
    room = max((quantity(claim["spec"]["resources"]["requests"]["storage"])
                for claim in etcd.spec.get("volumeClaimTemplates", [])), default=0)
    if room < 2 * int(arguments.get("quota-backend-bytes", 0)) + (1 << 30):
        yield f"{etcd}: its volume does not hold --quota-backend-bytes twice and 1 GiB of log"
    for container, kind, probe in _probes(etcd):
        url = urllib.parse.urlsplit(probe.get("httpGet", {}).get("path", ""))
        asks = urllib.parse.parse_qs(url.query)
        if url.path != "/health":
            yield f"{etcd}: {kind} of {container['name']} has to ask /health"
        elif kind != "readinessProbe" and (asks.get("exclude"), asks.get("serializable")) != (["NOSPACE"], ["true"]):
            yield f"{etcd}: {kind} fails without a leader or with a full quota, and a restart mends neither"
    for flag in ("client-cert-auth", "peer-client-cert-auth"):
        if flag not in arguments:
            yield f"{etcd}: without --{flag} anybody may come in"
    # Every program has a certificate of the authority.
    for flag, name in (("client-cert-allowed-hostname", "session"), ("peer-cert-allowed-hostname", "etcd")):
        if arguments.get(flag) != graph.name(name):
            yield f"{etcd}: without --{flag}={graph.name(name)} every program may come in"
    service = manifests.named("Service", "switchyard-etcd")
    if not service["spec"].get("publishNotReadyAddresses"):
        yield f"{_title(service)}: members that are not ready cannot find one another"


def gateways_let_streams_last(manifests):
    limits = {seconds(manifests.settings(workload, workload.containers[0]).get("server.request_limit", "10m"))
              for workload in manifests.workloads() if workload.name == graph.name("edge")}
    limit = max(limits, default=600)
    for ingress in manifests.of("Ingress"):
        notes = ingress["metadata"].get("annotations", {})
        at = "nginx.ingress.kubernetes.io/"
        if notes.get(at + "proxy-buffering") != "off":
            yield f"{_title(ingress)}: it buffers what should stream"
        for field in ("proxy-read-timeout", "proxy-send-timeout"):
            if int(notes.get(at + field, "60")) < limit:
                yield f"{_title(ingress)}: {field} is shorter than the {limit} s that a request may last"
        if ingress["spec"].get("ingressClassName") is None or not ingress["spec"].get("tls"):
            yield f"{_title(ingress)}: it has no class or no TLS"
    for route in manifests.of("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for field in ("request", "backendRequest"):
                timeout = rule.get("timeouts", {}).get(field)
                if timeout is None or 0 < seconds(timeout) < limit:
                    yield f"{_title(route)}: the timeout {field} is {timeout}, shorter than the {limit} s that a request may last"


def replicas_are_spread(manifests):
    for workload in manifests.workloads():
        if manifests.smallest(workload) < 2:
            continue
        keys = {constraint["topologyKey"] for constraint in workload.pod.get("topologySpreadConstraints", [])}
        keys |= {term["topologyKey"] for term in workload.pod.get("affinity", {}).get("podAntiAffinity", {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution", [])}
        for key in {"topology.kubernetes.io/zone", "kubernetes.io/hostname"} - keys:
            yield f"{workload}: its replicas are not spread over {key}"


ALL = [
    selectors_match, ports_exist, probes_ask_the_admin_port, pods_drain, images_are_pinned, images_fit_the_nodes, disruptions_are_possible,
    updates_drop_nothing, policies_are_the_graph, pods_are_restricted, pods_know_nothing_they_need_not, resources_are_bounded,
    everything_is_in_the_namespace, settings_are_known, settings_fit_the_pods, etcd_has_a_quorum, gateways_let_streams_last, replicas_are_spread,
]


def faults(manifests, schemas, secrets):
    """Everything that is wrong with what a kustomization renders to."""
    found = []
    for document in manifests.documents:
        found += [f"{_title(document)}: {fault}" for fault in schemas.faults(document)]
    if found:
        return found  # rules may trust that the fields are what they should be
    for rule in ALL:
        found += rule(manifests)
    return found + list(references_exist(manifests, secrets))
