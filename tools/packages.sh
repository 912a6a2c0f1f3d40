# Which Debian packages the build and the tests need, and how they are installed. Sourced by run and test.

readonly BUILD_PACKAGES=(
  bazel-bootstrap bazel-platforms bazel-rules-cc bazel-rules-java bazel-rules-proto bazel-skylib
  ca-certificates curl g++
  libabsl-dev libboost-json1.81-dev libboost-url1.81-dev libboost1.81-dev
  libgmock-dev libgrpc++-dev libgtest-dev libprotobuf-dev libspdlog-dev libsqlite3-dev libssl-dev libvalijson-dev
  libyaml-cpp-dev prometheus-cpp-dev protobuf-compiler protobuf-compiler-grpc zlib1g-dev
)

# What the tests need besides: the validator of deploy/k8s, certificates, the container's file tree, hosts in network namespaces; and
# promtool, which checks metrics and alert rules and comes with Prometheus. Not for run: where systemd runs, etcd and Prometheus start
# servers of their own. (A relay that finds its admin port taken says so and goes on without.)
readonly TEST_PACKAGES=(etcd-client etcd-server iproute2 openssl prometheus python3 python3-jsonschema python3-yaml util-linux)

# What the programs need to run: all of the container's image. Complete, for nothing is added to it by dependency.
readonly RUNTIME_PACKAGES=(
  base-files ca-certificates gcc-12-base libabsl20220623 libboost-json1.81.0 libboost-url1.81.0 libc-ares2 libc6 libfmt9
  libgcc-s1 libgrpc++1.51 libgrpc29 libprometheus-cpp-core1.0 libprotobuf32 libre2-9 libspdlog1.10 libsqlite3-0 libssl3 libstdc++6
  libyaml-cpp0.7 zlib1g
)

# say TEXT: a line for the person who waits.
say() { printf '\n== %s\n' "$*"; }

is_installed() { [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]; }

# install_packages NAME…: those of them that are missing; asks for sudo only if it has to.
install_packages() {
  local missing=() as_root=() package
  for package in "$@"; do is_installed "$package" || missing+=("$package"); done
  ((${#missing[@]} == 0)) && return 0
  if ! command -v apt-get > /dev/null; then
    echo "This needs Debian 12 with apt-get. Missing packages: ${missing[*]}" >&2
    return 1
  fi
  say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  if ((EUID != 0)); then
    if ! command -v sudo > /dev/null; then
      echo "Run this as root once, or install sudo: apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# build_with_bazel COMMAND ARGUMENT…: with a cache that outlives the clone.
build_with_bazel() {
  local command=$1
  shift
  bazel --host_jvm_args=-Xmx1500m "$command" --disk_cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/switchyard/bazel" "$@"
}
