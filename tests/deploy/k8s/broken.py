"""Broken variants of what the kustomizations render to: each breaks one thing, and names what the validator has to say.

The first thirteen are for the schema alone; the others are for the rules between fields.
"""

import copy

PRODUCTION, INGRESS, GATEWAY = "overlays/production", "overlays/production-ingress", "overlays/production-gateway"
TRACING, NODELOCAL = "../with-tracing", "../with-nodelocal-dns"  # made by the test


class Editor:
    """Finds what a variant changes."""

    def __init__(self, documents):
        self.documents = documents

    def get(self, kind, name="switchyard-edge"):
        found, = [document for document in self.documents
                  if document["kind"] == kind and document["metadata"]["name"] == name]
        return found

    def pod(self, name="switchyard-edge", kind="Deployment"):
        return self.get(kind, name)["spec"]["template"]["spec"]

    def container(self, name="switchyard-edge", kind="Deployment"):
        return self.pod(name, kind)["containers"][0]

    def volume(self, name, workload="switchyard-edge"):
        found, = [volume for volume in self.pod(workload)["volumes"] if volume["name"] == name]
        return found

    def drop(self, kind, name):
        self.documents.remove(self.get(kind, name))

    def set_variable(self, name, value, workload):
        self.container(workload).setdefault("env", []).append({"name": name, "value": value})

    def config(self, old, new):
        config, = [document for document in self.documents if document["kind"] == "ConfigMap"]
        assert old in config["data"]["config.yaml"], old
        config["data"]["config.yaml"] = config["data"]["config.yaml"].replace(old, new)


# (name, overlay, what is broken, what has to be said of it)
VARIANTS = []


def variant(overlay, said):
    def keep(change):
        VARIANTS.append((change.__name__, overlay, change, said))
        return change
    return keep


# ---- the schema


@variant("", r"Deployment/switchyard-edge: 1\.32: spec: Additional properties .*'replica' was unexpected")
def unknown_field(edit):
    edit.get("Deployment")["spec"]["replica"] = 1


@variant("", r"1\.35: spec\.template\.spec\.containers\[0\].*'imagge' was unexpected")
def nested_unknown_field(edit):
    edit.container()["imagge"] = "x"


@variant("", r"spec\.replicas: 'two' is not of type 'integer'")
def wrong_type(edit):
    edit.get("Deployment")["spec"]["replicas"] = "two"


@variant("", r"spec: 'selector' is a required property")
def no_selector(edit):
    del edit.get("Deployment")["spec"]["selector"]


@variant(PRODUCTION, r"HorizontalPodAutoscaler/switchyard-edge: .*'maxReplicas' is a required property")
def autoscaler_without_a_most(edit):
    del edit.get("HorizontalPodAutoscaler")["spec"]["maxReplicas"]


@variant(PRODUCTION, r"PodDisruptionBudget/switchyard-edge: .*'minAvailible' was unexpected")
def misspelt_budget(edit):
    edit.get("PodDisruptionBudget")["spec"]["minAvailible"] = 1


@variant("", r"Service/switchyard-edge: .*spec\.ports\[0\]\.targetPort: .* is not of type")
def object_as_a_port(edit):
    edit.get("Service")["spec"]["ports"][0]["targetPort"] = {"name": "http"}


@variant(INGRESS, r"Ingress/switchyard: .*'service(Name|Port)'.* unexpected")
def backend_of_an_old_ingress(edit):
    path = edit.get("Ingress", "switchyard")["spec"]["rules"][0]["http"]["paths"][0]
    path["backend"] = {"serviceName": "switchyard-edge", "servicePort": 8000}


@variant(INGRESS, r"pathType: 'prefix' is not one of")
def wrong_path_type(edit):
    edit.get("Ingress", "switchyard")["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = "prefix"


@variant(GATEWAY, r"HTTPRoute/switchyard: .*timeouts\.request: 'ten minutes' does not match")
def timeout_in_words(edit):
    edit.get("HTTPRoute", "switchyard")["spec"]["rules"][0]["timeouts"]["request"] = "ten minutes"


@variant("", r"imagePullPolicy: 'Sometimes' is not one of")
def wrong_enum(edit):
    edit.container()["imagePullPolicy"] = "Sometimes"


@variant("", r"requests\.memory: '512 megabytes' does not match")
def wrong_quantity(edit):
    edit.container()["resources"]["requests"]["memory"] = "512 megabytes"


@variant("", r"there is no kind Deployment in apps/v1beta1")
def old_api_version(edit):
    edit.get("Deployment")["apiVersion"] = "apps/v1beta1"


@variant("", r"there is no kind Deploiment in apps/v1")
def unknown_kind(edit):
    edit.get("Deployment")["kind"] = "Deploiment"


@variant(GATEWAY, r"Gateway/switchyard: .*'hostnames' was unexpected")
def unknown_field_of_a_gateway(edit):
    edit.get("Gateway", "switchyard")["spec"]["listeners"][0]["hostnames"] = ["x"]


# ---- selectors


@variant("", r"Deployment/switchyard-kimi: its selector is not a part of its template's labels")
def selector_of_other_labels(edit):
    edit.get("Deployment", "switchyard-kimi")["spec"]["selector"]["matchLabels"]["tier"] = "x"


@variant("", r"Service/switchyard-kimi: its selector matches no pod")
def service_of_nobody(edit):
    edit.get("Service", "switchyard-kimi")["spec"]["selector"] = {"app": "kimi"}


@variant(PRODUCTION, r"PodDisruptionBudget/switchyard-kimi: its selector matches no pod")
def budget_of_nobody(edit):
    edit.get("PodDisruptionBudget", "switchyard-kimi")["spec"]["selector"] = {"matchLabels": {"app": "kimi"}}


@variant("", r"NetworkPolicy/switchyard-kimi: its selector matches no pod")
def policy_of_nobody(edit):
    edit.get("NetworkPolicy", "switchyard-kimi")["spec"]["podSelector"] = {"matchLabels": {"app": "kimi"}}


@variant("", r"NetworkPolicy/switchyard-kimi: a selector of its egress matches no pod")
def policy_towards_nobody(edit):
    peer = edit.get("NetworkPolicy", "switchyard-kimi")["spec"]["egress"][0]["to"][0]
    peer["podSelector"] = {"matchLabels": {"app": "session"}}


@variant(PRODUCTION, r"HorizontalPodAutoscaler/switchyard-kimi: there is no Deployment/kimi")
def autoscaler_of_nobody(edit):
    edit.get("HorizontalPodAutoscaler", "switchyard-kimi")["spec"]["scaleTargetRef"]["name"] = "kimi"


@variant(PRODUCTION, r"Deployment/switchyard-kimi: a topology spread constraint does not count its own pods")
def spread_of_others(edit):
    constraint = edit.pod("switchyard-kimi")["topologySpreadConstraints"][0]
    constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] = "switchyard-qwen"


@variant(PRODUCTION, r"StatefulSet/switchyard-etcd: its anti-affinity does not keep its own pods apart")
def etcd_apart_from_others(edit):
    term, = edit.pod("switchyard-etcd", "StatefulSet")["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    term["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] = "switchyard-session"


@variant(PRODUCTION, r"StatefulSet/switchyard-etcd: there is no Service etcd")
def etcd_without_its_service(edit):
    edit.get("StatefulSet", "switchyard-etcd")["spec"]["serviceName"] = "etcd"


# ---- ports and probes


@variant("", r"readinessProbe of edge asks port health, which no container has")
def probe_of_a_port_that_is_not_there(edit):
    edit.container()["readinessProbe"]["httpGet"]["port"] = "health"


@variant("", r"Service/switchyard-edge: Deployment/switchyard-edge has no port web")
def service_of_a_port_that_is_not_there(edit):
    edit.get("Service")["spec"]["ports"][0]["targetPort"] = "web"


@variant(INGRESS, r"Ingress/switchyard: there is no Service switchyard-edge with a port web")
def ingress_to_a_port_that_is_not_there(edit):
    backend = edit.get("Ingress", "switchyard")["spec"]["rules"][0]["http"]["paths"][0]["backend"]
    backend["service"]["port"]["name"] = "web"


@variant(GATEWAY, r"HTTPRoute/switchyard: there is no Service switchyard-edge with a port 80")
def route_to_a_port_that_is_not_there(edit):
    edit.get("HTTPRoute", "switchyard")["spec"]["rules"][0]["backendRefs"][0]["port"] = 80


@variant(GATEWAY, r"HTTPRoute/switchyard: there is no Gateway switchyard with a listener http$")
def route_of_a_listener_that_is_not_there(edit):
    edit.get("HTTPRoute", "switchyard")["spec"]["parentRefs"][0]["sectionName"] = "http"


@variant("", r"readinessProbe is a gRPC probe, which has no client certificate")
def grpc_probe_under_mutual_tls(edit):
    container = edit.container("switchyard-kimi")
    container["readinessProbe"] = {"grpc": {"port": 8022, "service": "switchyard.chat.v1.ChatService"}}


@variant("", r"Deployment/switchyard-kimi: it has no livenessProbe")
def no_liveness(edit):
    del edit.container("switchyard-kimi")["livenessProbe"]


@variant("", r"livenessProbe of kimi has to ask /healthz")
def liveness_that_depends_on_others(edit):
    edit.container("switchyard-kimi")["livenessProbe"]["httpGet"]["path"] = "/readyz"


@variant("", r"Deployment/switchyard-edge: two ports have one name")
def two_ports_of_one_name(edit):
    edit.container()["ports"].append({"name": "http", "containerPort": 8001, "protocol": "TCP"})


# ---- draining


@variant("", r"Deployment/switchyard-kimi: terminationGracePeriodSeconds is 620, less than the 5 s of preStop, the 620 s")
def too_little_grace(edit):
    edit.pod("switchyard-kimi")["terminationGracePeriodSeconds"] = 620


@variant("", r"Deployment/switchyard-edge: terminationGracePeriodSeconds is 630, less than")
def drain_longer_than_the_grace(edit):
    edit.config("drain_limit: 10m", "drain_limit: 20m")


@variant(PRODUCTION, r"Deployment/switchyard-session: terminationGracePeriodSeconds is 45, less than .* the 605 s of the drain")
def grace_of_the_single_session(edit):
    edit.pod("switchyard-session")["terminationGracePeriodSeconds"] = 45


@variant("", r"Deployment/switchyard-session: terminationGracePeriodSeconds is 45, less than .* the 600 s of the drain")
def drain_that_the_program_decides(edit):
    container = edit.container("switchyard-session")
    container["env"] = [entry for entry in container["env"] if entry["name"] != "SWITCHYARD_SERVER__DRAIN_LIMIT"]
    edit.config("  drain_limit: 10m\n", "")


@variant("", r"Deployment/switchyard-edge: preStop sleeps 2 s")
def too_short_a_sleep(edit):
    edit.container()["lifecycle"]["preStop"]["sleep"]["seconds"] = 2


@variant("", r"Deployment/switchyard-edge: preStop sleeps 0 s")
def no_sleep(edit):
    del edit.container()["lifecycle"]


# ---- what is referred to


@variant("", r"Deployment/switchyard-edge: there is no ConfigMap settings")
def config_that_is_not_there(edit):
    edit.volume("config")["configMap"]["name"] = "settings"


@variant("", r"Deployment/switchyard-edge: ConfigMap switchyard-config\S* has no settings\.yaml")
def file_that_is_not_there(edit):
    edit.container()["volumeMounts"][0]["subPath"] = "settings.yaml"


@variant("", r"Deployment/switchyard-session: there is no Secret tokens")
def secret_that_is_not_there(edit):
    edit.volume("accounts", "switchyard-session")["secret"]["secretName"] = "tokens"


@variant("", r"Deployment/switchyard-edge: Secret switchyard-api-keys has no keys$")
def key_that_is_not_there(edit):
    edit.container()["env"][0]["valueFrom"]["secretKeyRef"]["key"] = "keys"


@variant("", r"Deployment/switchyard-edge: there is no ServiceAccount edge")
def account_that_is_not_there(edit):
    edit.pod()["serviceAccountName"] = "edge"


@variant("", r"Deployment/switchyard-kimi: there is no ServiceAccount switchyard-kimi")
def account_that_nobody_makes(edit):
    edit.drop("ServiceAccount", "switchyard-kimi")


@variant("", r"Deployment/switchyard-session: there is no PersistentVolumeClaim data")
def claim_that_is_not_there(edit):
    edit.volume("state", "switchyard-session")["persistentVolumeClaim"]["claimName"] = "data"


@variant("", r"Deployment/switchyard-edge: there is no volume cache")
def volume_that_is_not_there(edit):
    edit.container()["volumeMounts"].append({"name": "cache", "mountPath": "/cache"})


@variant(INGRESS, r"Ingress/switchyard: there is no Secret public")
def certificate_that_is_not_there(edit):
    edit.get("Ingress", "switchyard")["spec"]["tls"][0]["secretName"] = "public"


@variant(GATEWAY, r"Gateway/switchyard: there is no Secret public")
def certificate_of_a_gateway_that_is_not_there(edit):
    listener = edit.get("Gateway", "switchyard")["spec"]["listeners"][0]
    listener["tls"]["certificateRefs"][0]["name"] = "public"


@variant("", r"the image switchyard:1\.0\.0 is not pinned")
def image_without_a_digest(edit):
    edit.container()["image"] = "switchyard:1.0.0"


@variant("", r"the image .*:latest@sha256.* is not pinned")
def image_that_is_the_latest(edit):
    edit.container()["image"] = "registry.example.com/switchyard:latest@sha256:" + "1" * 64


@variant("", r"the image .* is not pinned")
def image_without_a_tag(edit):
    edit.container()["image"] = "registry.example.com/switchyard@sha256:" + "1" * 64


@variant(PRODUCTION, r"StatefulSet/switchyard-etcd: the digest of registry.k8s.io/etcd is a placeholder")
def placeholder_of_another_image(edit):
    edit.container("switchyard-etcd", "StatefulSet")["image"] = "registry.k8s.io/etcd:3.5.21-0@sha256:" + "0" * 64


# ---- disruption, scaling, updates


@variant(PRODUCTION, r"PodDisruptionBudget/switchyard-etcd: at 3 replicas it allows no disruption")
def budget_that_holds_nodes_up(edit):
    edit.get("PodDisruptionBudget", "switchyard-etcd")["spec"]["minAvailable"] = 3


@variant(PRODUCTION, r"PodDisruptionBudget/switchyard-edge: at 1 replicas it allows all of them to go at once")
def autoscaler_below_the_budget(edit):
    edit.get("HorizontalPodAutoscaler")["spec"]["minReplicas"] = 1


@variant(PRODUCTION, r"PodDisruptionBudget/switchyard-edge: at 2 replicas it allows no disruption")
def budget_that_wants_more_than_there_are(edit):
    spec = edit.get("PodDisruptionBudget")["spec"]
    del spec["maxUnavailable"]
    spec["minAvailable"] = "100%"


@variant(PRODUCTION, r"Deployment/switchyard-qwen: it has 2 replicas and no PodDisruptionBudget")
def replicas_without_a_budget(edit):
    edit.drop("PodDisruptionBudget", "switchyard-qwen")


@variant(PRODUCTION, r"Deployment/switchyard-edge: more than one PodDisruptionBudget")
def two_budgets_for_one(edit):
    more = copy.deepcopy(edit.get("PodDisruptionBudget"))
    more["metadata"]["name"] = "another"
    edit.documents.append(more)


@variant(PRODUCTION, r"HorizontalPodAutoscaler/switchyard-edge: there is nothing between")
def autoscaler_without_room(edit):
    edit.get("HorizontalPodAutoscaler")["spec"]["maxReplicas"] = 2


@variant(PRODUCTION, r"Deployment/switchyard-kimi: it requests 0\.1 cores")
def autoscaler_that_measures_by_little(edit):
    edit.container("switchyard-kimi")["resources"]["requests"]["cpu"] = "100m"


@variant(PRODUCTION, r"HorizontalPodAutoscaler/switchyard-edge: nobody measures streams")
def autoscaler_by_what_nobody_measures(edit):
    edit.get("HorizontalPodAutoscaler")["spec"]["metrics"][0]["resource"]["name"] = "streams"


@variant(PRODUCTION, r"HorizontalPodAutoscaler/switchyard-edge: nobody measures Pods")
def autoscaler_by_a_metric_that_needs_an_adapter(edit):
    edit.get("HorizontalPodAutoscaler")["spec"]["metrics"] = [
        {"type": "Pods", "pods": {"metric": {"name": "switchyard_requests_in_flight"},
                                  "target": {"type": "AverageValue", "averageValue": "500"}}}]


@variant(PRODUCTION, r"Deployment/switchyard-edge: an autoscaler decides how many")
def replicas_beside_an_autoscaler(edit):
    edit.get("Deployment")["spec"]["replicas"] = 3


@variant("", r"Deployment/switchyard-edge: it streams, so an update needs maxUnavailable 0")
def update_that_takes_pods_away(edit):
    edit.get("Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = 1


@variant("", r"Deployment/switchyard-edge: it streams, so an update needs maxUnavailable 0")
def update_without_room(edit):
    edit.get("Deployment")["spec"]["strategy"]["rollingUpdate"]["maxSurge"] = 0


@variant("", r"Deployment/switchyard-edge: it streams")
def update_that_stops_all_first(edit):
    edit.get("Deployment")["spec"]["strategy"] = {"type": "Recreate"}


@variant("", r"Deployment/switchyard-kimi: minReadySeconds is 0, less than the 10 s")
def update_faster_than_clients_look(edit):
    del edit.get("Deployment", "switchyard-kimi")["spec"]["minReadySeconds"]


@variant(PRODUCTION, r"Deployment/switchyard-session: minReadySeconds is 2, less than the 10 s")
def update_of_session_faster_than_clients_look(edit):
    edit.get("Deployment", "switchyard-session")["spec"]["minReadySeconds"] = 2


@variant("", r"Deployment/switchyard-session: its volume has one writer")
def two_writers_of_one_volume(edit):
    edit.get("Deployment", "switchyard-session")["spec"]["replicas"] = 2


@variant(PRODUCTION, r"Deployment/switchyard-session: its replicas are not spread over kubernetes.io/hostname")
def replicas_on_one_host(edit):
    del edit.pod("switchyard-session")["topologySpreadConstraints"][1]


# ---- the network


@variant("", r"no NetworkPolicy that denies by default")
def no_default_deny(edit):
    edit.drop("NetworkPolicy", "switchyard-default-deny")


@variant("", r"no NetworkPolicy that denies by default")
def default_deny_one_way(edit):
    edit.get("NetworkPolicy", "switchyard-default-deny")["spec"]["policyTypes"] = ["Ingress"]


@variant("", r"no policy allows the egress switchyard-edge -> dns 53/TCP")
def names_over_udp_alone(edit):
    edit.get("NetworkPolicy", "switchyard-dns")["spec"]["egress"][0]["ports"].pop()


@variant("", r"no policy allows the egress switchyard-qwen -> switchyard-signing 8011/TCP")
def edge_of_the_graph_without_egress(edit):
    edit.get("NetworkPolicy", "switchyard-qwen")["spec"]["egress"].pop()


@variant("", r"no policy allows the ingress switchyard-edge -> switchyard-qwen 8025/TCP")
def edge_of_the_graph_without_ingress(edit):
    edit.get("NetworkPolicy", "switchyard-qwen")["spec"]["ingress"] = []


@variant("", r"a policy allows the egress switchyard-edge -> switchyard-session 8012/TCP, which is not in the graph")
def edge_that_is_not_in_the_graph(edit):
    rule = {"to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "switchyard-session"}}}],
            "ports": [{"port": 8012, "protocol": "TCP"}]}
    edit.get("NetworkPolicy")["spec"]["egress"].append(rule)


@variant("", r"a policy allows the ingress switchyard-signing -> switchyard-kimi 8022/TCP")
def policy_for_all_programs(edit):
    rule = edit.get("NetworkPolicy", "switchyard-kimi")["spec"]["ingress"][0]
    rule["from"][0]["podSelector"]["matchLabels"] = {"app.kubernetes.io/part-of": "switchyard"}


@variant("", r"NetworkPolicy/switchyard-kimi: a rule of its ingress names no peer or no port")
def policy_for_everybody(edit):
    del edit.get("NetworkPolicy", "switchyard-kimi")["spec"]["ingress"][0]["from"]


@variant("", r"a policy allows the egress switchyard-signing -> internet 443/TCP")
def signing_that_reaches_the_internet(edit):
    selector = edit.get("NetworkPolicy", "switchyard-platforms")["spec"]["podSelector"]
    selector["matchExpressions"][0]["values"].append("signing")


@variant("", r"NetworkPolicy/switchyard-platforms: it opens 169\.254\.0\.0/16")
def internet_that_holds_the_metadata_service(edit):
    block = edit.get("NetworkPolicy", "switchyard-platforms")["spec"]["egress"][0]["to"][0]["ipBlock"]
    block["except"].remove("169.254.0.0/16")


@variant("", r"NetworkPolicy/switchyard-platforms: it opens all ports from 443 to 65535")
def range_of_ports(edit):
    edit.get("NetworkPolicy", "switchyard-platforms")["spec"]["egress"][0]["ports"][0]["endPort"] = 65535


@variant(NODELOCAL, r"no policy allows the egress switchyard-edge -> nodelocal-dns 53/TCP")
def names_of_the_node_over_udp_alone(edit):
    edit.get("NetworkPolicy", "switchyard-nodelocal-dns")["spec"]["egress"][0]["ports"].pop()


@variant(NODELOCAL, r"NetworkPolicy/switchyard-nodelocal-dns: it opens 169\.254\.0\.0/16")
def names_of_all_link_local_addresses(edit):
    peer, = edit.get("NetworkPolicy", "switchyard-nodelocal-dns")["spec"]["egress"][0]["to"]
    peer["ipBlock"]["cidr"] = "169.254.0.0/16"


@variant("", r"a policy allows the egress switchyard-edge -> nodelocal-dns 53/UDP, which is not in the graph")
def way_to_a_resolver_that_is_not_there(edit):
    rule = edit.get("NetworkPolicy", "switchyard-dns")["spec"]["egress"][0]
    rule["to"].append({"ipBlock": {"cidr": "169.254.20.10/32"}})


@variant(PRODUCTION, r"a policy allows the ingress switchyard-kimi -> switchyard-etcd 2379/TCP")
def etcd_open_to_a_provider(edit):
    peer = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "switchyard-kimi"}}}
    edit.get("NetworkPolicy", "switchyard-etcd")["spec"]["ingress"][0]["from"].append(peer)


@variant("", r"is nobody that the table knows")
def stranger_at_the_edge(edit):
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}
    edit.get("NetworkPolicy")["spec"]["ingress"][0]["from"].append(peer)


@variant("", r"NetworkPolicy/switchyard-kimi: it has rules for Egress and does not name that type")
def rules_without_their_type(edit):
    edit.get("NetworkPolicy", "switchyard-kimi")["spec"]["policyTypes"] = ["Ingress"]


@variant(TRACING, r"no policy allows the egress switchyard-signing -> collector 4318/TCP")
def spans_that_cannot_leave(edit):
    edit.drop("NetworkPolicy", "switchyard-tracing")


@variant(TRACING, r"no policy allows the egress switchyard-kimi -> collector 4317/TCP")
def spans_for_another_port(edit):
    edit.set_variable("SWITCHYARD_TRACING__OTLP_URL", "http://otel-collector.observability:4317/v1/traces", "switchyard-kimi")


@variant(TRACING, r"a policy allows the egress switchyard-edge -> collector 4318/TCP, which is not in the graph")
def way_to_a_collector_that_nobody_uses(edit):
    del edit.container()["envFrom"]


@variant(TRACING, r"Deployment/switchyard-edge: there is no ConfigMap tracing")
def settings_of_tracing_that_are_not_there(edit):
    edit.container()["envFrom"][0]["configMapRef"]["name"] = "tracing"


# ---- pod security


@variant("", r"Namespace/switchyard: it does not enforce the restricted pod security")
def namespace_without_pod_security(edit):
    del edit.get("Namespace", "switchyard")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]


@variant("", r"edge may run as root")
def may_run_as_root(edit):
    del edit.pod()["securityContext"]["runAsNonRoot"]


@variant("", r"edge may run as root")
def runs_as_root(edit):
    edit.container()["securityContext"]["runAsUser"] = 0


@variant("", r"edge has no seccompProfile")
def no_seccomp(edit):
    del edit.pod()["securityContext"]["seccompProfile"]


@variant("", r"edge may gain privileges")
def may_gain_privileges(edit):
    del edit.container()["securityContext"]["allowPrivilegeEscalation"]


@variant("", r"edge does not drop ALL capabilities")
def keeps_capabilities(edit):
    edit.container()["securityContext"]["capabilities"]["drop"] = ["NET_RAW"]


@variant("", r"edge does not drop ALL capabilities")
def adds_a_capability(edit):
    edit.container()["securityContext"]["capabilities"]["add"] = ["NET_BIND_SERVICE"]


@variant("", r"the root of edge is not read-only")
def writable_root(edit):
    edit.container()["securityContext"]["readOnlyRootFilesystem"] = False


@variant("", r"Deployment/switchyard-edge: hostNetwork")
def host_network(edit):
    edit.pod()["hostNetwork"] = True


@variant("", r"Deployment/switchyard-edge: hostPID")
def host_processes(edit):
    edit.pod()["hostPID"] = True


@variant("", r"Deployment/switchyard-edge: hostIPC")
def host_ipc(edit):
    edit.pod()["hostIPC"] = True


@variant("", r"Deployment/switchyard-edge: edge is privileged")
def privileged(edit):
    edit.container()["securityContext"]["privileged"] = True


@variant("", r"Deployment/switchyard-edge: edge takes a port of the host")
def host_port(edit):
    edit.container()["ports"][0]["hostPort"] = 8000


@variant("", r"the volume tmp is of the kind nfs")
def volume_that_restricted_forbids(edit):
    volume = edit.volume("tmp")
    volume.clear()
    volume.update({"name": "tmp", "nfs": {"server": "files.example.com", "path": "/tmp"}})


@variant("", r"Deployment/switchyard-kimi: it may be put on a node that its image is not for")
def any_architecture(edit):
    del edit.pod("switchyard-kimi")["nodeSelector"]


@variant("", r"the volume tmp is of the kind hostPath")
def host_path(edit):
    volume = edit.volume("tmp")
    volume.clear()
    volume.update({"name": "tmp", "hostPath": {"path": "/tmp"}})


# ---- what a pod is given


@variant("", r"it is given a token of the cluster")
def token_of_the_cluster(edit):
    edit.pod()["automountServiceAccountToken"] = True


@variant("", r"enableServiceLinks makes variables")
def service_links(edit):
    del edit.pod()["enableServiceLinks"]


@variant("", r"it has the certificate of another, switchyard-session-tls")
def certificate_of_another(edit):
    edit.pod()["volumes"].append({"name": "more", "secret": {"secretName": "switchyard-session-tls"}})


@variant("", r"it does not have its own certificate, Secret switchyard-edge-tls")
def no_certificate(edit):
    edit.volume("tls")["secret"]["secretName"] = "switchyard-kimi-tls"


@variant("", r"Deployment/switchyard-kimi: it is given the accounts")
def accounts_for_a_provider(edit):
    edit.pod("switchyard-kimi")["volumes"].append({"name": "more", "secret": {"secretName": "switchyard-accounts"}})


@variant("", r"the memory of edge is not bounded")
def memory_without_bound(edit):
    del edit.container()["resources"]["limits"]


@variant("", r"edge requests less than a quarter of the memory that it may take")
def memory_that_is_not_there(edit):
    edit.container()["resources"]["requests"]["memory"] = "64Mi"


@variant("", r"edge requests no CPU")
def no_request_of_cpu(edit):
    del edit.container()["resources"]["requests"]["cpu"]


@variant("", r"the volume tmp has no sizeLimit")
def volume_without_bound(edit):
    edit.volume("tmp")["emptyDir"] = {}


@variant("", r"Service/switchyard-edge: its namespace default is not made here")
def another_namespace(edit):
    edit.get("Service")["metadata"]["namespace"] = "default"


@variant("", r"Service/switchyard-edge: it is there twice")
def the_same_twice(edit):
    edit.documents.append(copy.deepcopy(edit.get("Service")))


@variant("", r"Secret/switchyard-accounts: applying it would overwrite")
def secret_among_what_is_applied(edit):
    edit.documents.append({"apiVersion": "v1", "kind": "Secret",
                           "metadata": {"name": "switchyard-accounts", "namespace": "switchyard"}})


# ---- settings


@variant("", r"Deployment/switchyard-kimi: its port grpc is 8022, and it listens on 0\.0\.0\.0:8029")
def listens_elsewhere(edit):
    edit.config('listen: "0.0.0.0:8022"', 'listen: "0.0.0.0:8029"')


@variant("", r"Deployment/switchyard-kimi: its port admin is 9090, and it listens on 127\.0\.0\.1:9090")
def probes_cannot_reach_it(edit):
    edit.set_variable("SWITCHYARD_ADMIN__LISTEN", "127.0.0.1:9090", "switchyard-kimi")


@variant("", r"session\.target: there is no Service behind dns:///session:8012")
def target_that_is_not_there(edit):
    edit.config("dns:///switchyard-session:8012", "dns:///session:8012")


@variant("", r"Service/switchyard-qwen: it is not headless")
def one_address_for_all_pods(edit):
    del edit.get("Service", "switchyard-qwen")["spec"]["clusterIP"]


@variant("", r"Deployment/switchyard-kimi: it runs \['switchyard-qwen'\]")
def another_program(edit):
    edit.container("switchyard-kimi")["command"] = ["switchyard-qwen"]


@variant(PRODUCTION, r"Deployment/switchyard-session: session\.store is not, by TLS, the members of etcd")
def store_in_the_clear(edit):
    entry, = [entry for entry in edit.container("switchyard-session")["env"] if entry["name"] == "SWITCHYARD_SESSION__STORE"]
    entry["value"] = entry["value"].replace("etcds://", "etcd://")


@variant(PRODUCTION, r"Deployment/switchyard-session: session\.store is not, by TLS, the members of etcd")
def store_that_misses_a_member(edit):
    edit.get("StatefulSet", "switchyard-etcd")["spec"]["replicas"] = 5


@variant(PRODUCTION, r"StatefulSet/switchyard-etcd: 2 members keep no majority")
def etcd_without_a_majority(edit):
    edit.get("StatefulSet", "switchyard-etcd")["spec"]["replicas"] = 2


@variant(PRODUCTION, r"without --client-cert-auth anybody may come in")
def etcd_for_everybody(edit):
    edit.container("switchyard-etcd", "StatefulSet")["args"].remove("--client-cert-auth")


@variant(PRODUCTION, r"without --peer-client-cert-auth anybody may come in")
def etcd_with_any_member(edit):
    edit.container("switchyard-etcd", "StatefulSet")["args"].remove("--peer-client-cert-auth")


@variant(PRODUCTION, r"without --client-cert-allowed-hostname=switchyard-session every program may come in")
def etcd_for_every_program(edit):
    edit.container("switchyard-etcd", "StatefulSet")["args"].remove("--client-cert-allowed-hostname=switchyard-session")


@variant(PRODUCTION, r"without --peer-cert-allowed-hostname=switchyard-etcd every program may come in")
def etcd_with_every_program_as_a_member(edit):
    arguments = edit.container("switchyard-etcd", "StatefulSet")["args"]
    arguments[arguments.index("--peer-cert-allowed-hostname=switchyard-etcd")] = "--peer-cert-allowed-hostname=switchyard-kimi"


@variant(PRODUCTION, r"--initial-cluster does not name its 3 members")
def etcd_that_misses_a_member(edit):
    arguments = edit.container("switchyard-etcd", "StatefulSet")["args"]
    place, = [i for i, argument in enumerate(arguments) if argument.startswith("--initial-cluster=")]
    arguments[place] = arguments[place].rpartition(",")[0]


@variant(PRODUCTION, r"StatefulSet/switchyard-etcd: livenessProbe fails without a leader or with a full quota")
def etcd_killed_for_a_full_quota(edit):
    edit.container("switchyard-etcd", "StatefulSet")["livenessProbe"]["httpGet"]["path"] = "/health?serializable=true"


@variant(PRODUCTION, r"StatefulSet/switchyard-etcd: startupProbe fails without a leader or with a full quota")
def etcd_that_cannot_start_with_a_full_quota(edit):
    edit.container("switchyard-etcd", "StatefulSet")["startupProbe"]["httpGet"]["path"] = "/health?exclude=NOSPACE"


@variant(PRODUCTION, r"StatefulSet/switchyard-etcd: readinessProbe of etcd has to ask /health$")
def etcd_ready_without_health(edit):
    edit.container("switchyard-etcd", "StatefulSet")["readinessProbe"]["httpGet"]["path"] = "/version"


@variant(PRODUCTION, r"without --auto-compaction-retention its file grows")
def etcd_that_keeps_everything(edit):
    edit.container("switchyard-etcd", "StatefulSet")["args"].remove("--auto-compaction-retention=5m")


@variant(PRODUCTION, r"its volume does not hold --quota-backend-bytes twice")
def etcd_without_room_to_defragment(edit):
    claim, = edit.get("StatefulSet", "switchyard-etcd")["spec"]["volumeClaimTemplates"]
    claim["spec"]["resources"]["requests"]["storage"] = "8Gi"


@variant(PRODUCTION, r"Service/switchyard-etcd: members that are not ready cannot find one another")
def etcd_that_cannot_begin(edit):
    del edit.get("Service", "switchyard-etcd")["spec"]["publishNotReadyAddresses"]


@variant("", r"no policy allows the egress switchyard-accounts -> switchyard-session 8012/TCP")
def accounts_that_reach_nobody(edit):
    edit.drop("NetworkPolicy", "switchyard-accounts")


@variant("", r"CronJob/switchyard-accounts: accounts may run as root")
def accounts_as_root(edit):
    edit.get("CronJob", "switchyard-accounts")["spec"]["jobTemplate"]["spec"]["template"]["spec"].pop("securityContext")


@variant("", r"Deployment/switchyard-kimi: there is no setting server\.drain_limits")
def misspelt_variable(edit):
    edit.set_variable("SWITCHYARD_SERVER__DRAIN_LIMITS", "10m", "switchyard-kimi")


@variant("", r"Deployment/switchyard-edge: there is no setting server\.api_key$")
def misspelt_variable_of_a_secret(edit):
    edit.container()["env"][0]["name"] = "SWITCHYARD_SERVER__API_KEY"


@variant(TRACING, r"Deployment/switchyard-edge: there is no setting tracing\.url")
def misspelt_variable_of_a_config_map(edit):
    edit.get("ConfigMap", edit.container()["envFrom"][0]["configMapRef"]["name"])["data"] = {"SWITCHYARD_TRACING__URL": "x"}


@variant("", r"Deployment/switchyard-edge: there is no setting signing\.thread$")
def misspelt_setting(edit):
    edit.config("  threads: 2", "  thread: 2")


# ---- what stands before the edge


@variant(INGRESS, r"Ingress/switchyard: it buffers")
def ingress_that_buffers(edit):
    del edit.get("Ingress", "switchyard")["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-buffering"]


@variant(INGRESS, r"proxy-read-timeout is shorter than the 600 s")
def ingress_that_cuts(edit):
    edit.get("Ingress", "switchyard")["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"] = "60"


@variant(INGRESS, r"it has no class or no TLS")
def ingress_in_the_clear(edit):
    del edit.get("Ingress", "switchyard")["spec"]["tls"]


@variant(GATEWAY, r"the timeout request is 30s, shorter than the 600 s")
def gateway_that_cuts(edit):
    edit.get("HTTPRoute", "switchyard")["spec"]["rules"][0]["timeouts"]["request"] = "30s"


@variant(GATEWAY, r"the timeout backendRequest is None")
def gateway_with_a_default_timeout(edit):
    del edit.get("HTTPRoute", "switchyard")["spec"]["rules"][0]["timeouts"]["backendRequest"]
