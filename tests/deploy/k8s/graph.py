"""Who calls whom in the cluster: the one table that the network policies are held against.

The edge's certificate would let it list accounts, too (docs/mesh.md); it never does, so no policy opens that way.
"""

PROVIDERS = {
    "deepseek": 8021,
    "kimi": 8022,
    "metaso": 8023,
    "doubao": 8024,
    "qwen": 8025,
    "zhipu": 8026,
    "minimax": 8027,
}
EDGE, SIGNING, SESSION, ADMIN = 8000, 8011, 8012, 9090
ETCD_CLIENT, ETCD_PEER, ETCD_METRICS = 2379, 2380, 2381

# What is outside of the namespace, by how a policy names it.
OUTSIDE = {
    "clients": {"namespaceSelector": {"matchLabels": {"switchyard-client": "true"}}},
    "ingress-nginx": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}},
    "gateway": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "envoy-gateway-system"}}},
    "monitoring": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
    "collector": {"namespaceSelector": {"matchLabels": {"switchyard-collector": "true"}}},
    "dns": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
    "nodelocal-dns": {"ipBlock": {"cidr": "169.254.20.10/32"}},
}
# Networks that are not the public internet: what a policy that opens the internet has to leave out.
PRIVATE_NETWORKS = ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]


def name(program):
    return "switchyard-" + program


def edges(workloads, entrances, collectors=(), resolvers=()):
    """(caller, callee, port, protocol) of everything that may be called.

    @param workloads the names there are
    @param entrances of OUTSIDE, what may call the edge
    @param collectors (workload, port) of those that send spans, and where to
    @param resolvers of OUTSIDE, what names are asked of beside the cluster's own
    """
    found = {(entrance, name("edge"), EDGE, "TCP") for entrance in entrances}
    for provider, port in PROVIDERS.items():
        found |= {
            (name("edge"), name(provider), port, "TCP"),
            (name(provider), name("session"), SESSION, "TCP"),
            (name(provider), name("signing"), SIGNING, "TCP"),
            (name(provider), "internet", 443, "TCP"),
        }
    found |= {
        (name("accounts"), name("session"), SESSION, "TCP"),
        (name("session"), name("signing"), SIGNING, "TCP"),
        (name("session"), "internet", 443, "TCP"),
    }
    if name("etcd") in workloads:
        found |= {
            (name("session"), name("etcd"), ETCD_CLIENT, "TCP"),
            (name("etcd"), name("etcd"), ETCD_PEER, "TCP"),
        }
    found |= {(workload, "collector", port, "TCP") for workload, port in collectors}
    for workload in workloads:
        found |= {(workload, resolver, 53, protocol) for resolver in ("dns", *resolvers) for protocol in ("UDP", "TCP")}
        if workload != name("accounts"):  # it runs for a moment
            found.add(("monitoring", workload, ETCD_METRICS if workload == name("etcd") else ADMIN, "TCP"))
    return found
