# Which Debian packages the build and the tests need, and how they are installed. Sourced by run and test.

readonly BUILD_PACKAGES=(
  bazel-bootstrap bazel-platforms bazel-rules-cc bazel-rules-java bazel-rules-proto bazel-skylib
  ca-certificates curl g++
  libabsl-dev libboost-json1.81-dev libboost-url1.81-dev libboost1.81-dev
  libgmock-dev libgrpc++-dev libgtest-dev libprotobuf-dev libspdlog-dev libsqlite3-dev libssl-dev libvalijson-dev
  libyaml-cpp-dev prometheus-cpp-dev protobuf-compiler protobuf-compiler-grpc zlib1g-dev
)

# What the tests alone need. Not for run: etcd-server starts a daemon of its own where it is installed.
readonly TEST_PACKAGES=(etcd-client etcd-server)

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
