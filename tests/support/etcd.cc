#include "tests/support/etcd.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace switchyard {
namespace {

/// Ports that nobody listens at, all different.
std::vector<int> FreePorts(int count) {
  std::vector<int> sockets, ports;
  for (int i = 0; i < count; ++i) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    socklen_t size = sizeof(address);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ports.push_back(ntohs(address.sin_port));
    sockets.push_back(fd);
  }
  for (const int fd : sockets) close(fd);
  return ports;
}

}  // namespace

EtcdCluster::EtcdCluster(int members, EtcdFiles files, int64_t quota)
    : files_(std::move(files)), quota_(quota), directory_(FreshDirectory()), members_(members) {
  const std::vector<int> ports = FreePorts(2 * members);
  for (int i = 0; i < members; ++i) {
    endpoints_.push_back(absl::StrCat("127.0.0.1:", ports[2 * i]));
    peers_.push_back(absl::StrCat("127.0.0.1:", ports[2 * i + 1]));
  }
  for (int i = 0; i < members; ++i) Start(i);
  for (int i = 0; i < members; ++i) WaitReady(i);
}

EtcdCluster::~EtcdCluster() {
  members_.clear();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string EtcdCluster::Url(const std::string& prefix) const {
  return absl::StrCat(files_.key.empty() ? "etcd://" : "etcds://", absl::StrJoin(endpoints_, ","), "/", prefix);
}

void EtcdCluster::Kill(int member) {
  members_[member]->Signal(SIGKILL);
  members_[member]->WaitExit(absl::Seconds(10));
}

void EtcdCluster::Start(int member) {
  std::vector<std::string> cluster;
  for (size_t i = 0; i < peers_.size(); ++i) cluster.push_back(absl::StrCat("m", i, "=http://", peers_[i]));
  const std::string client = absl::StrCat(files_.key.empty() ? "http://" : "https://", endpoints_[member]);
  const std::string peer = absl::StrCat("http://", peers_[member]);
  std::vector<std::string> command = {"/usr/bin/etcd",
                                      "--name",
                                      absl::StrCat("m", member),
                                      "--data-dir",
                                      absl::StrCat(directory_, "/m", member),
                                      "--listen-client-urls",
                                      client,
                                      "--advertise-client-urls",
                                      client,
                                      "--listen-peer-urls",
                                      peer,
                                      "--initial-advertise-peer-urls",
                                      peer,
                                      "--initial-cluster",
                                      absl::StrJoin(cluster, ","),
                                      "--heartbeat-interval",
                                      "50",
                                      "--election-timeout",
                                      "500",
                                      "--logger",
                                      "zap",
                                      "--log-level",
                                      "error"};
  if (!files_.key.empty()) {
    command.insert(command.end(), {"--client-cert-auth", "--trusted-ca-file", files_.authority, "--cert-file",
                                   files_.certificate, "--key-file", files_.key});
  }
  if (quota_ != 0) command.insert(command.end(), {"--quota-backend-bytes", absl::StrCat(quota_)});
  members_[member] = std::make_unique<Process>(command, std::map<std::string, std::string>{{"GOMAXPROCS", "2"}});
}

void EtcdCluster::WaitReady(int member) {
  EXPECT_TRUE(Eventually([&] {
    Process health(
        {"/bin/sh", "-c", absl::StrCat(ControlOf(endpoints_[member]), " --command-timeout=1s endpoint health")}, {});
    return health.WaitExit(absl::Seconds(5)) == 0;
  })) << members_[member]->output();
}

int EtcdCluster::Leader() const {
  for (const absl::string_view line : absl::StrSplit(Control("endpoint status"), '\n')) {
    // endpoint, id, version, size, whether it leads, …
    const std::vector<std::string> fields = absl::StrSplit(line, ", ");
    if (fields.size() < 5 || fields[4] != "true") continue;
    for (size_t i = 0; i < endpoints_.size(); ++i) {
      if (absl::StrContains(fields[0], endpoints_[i])) return static_cast<int>(i);
    }
  }
  return -1;
}

std::string EtcdCluster::Control(const std::string& words) const {
  Process control(
      {"/bin/sh", "-c", absl::StrCat(ControlOf(absl::StrJoin(endpoints_, ",")), " --command-timeout=2s ", words)}, {});
  control.WaitExit(absl::Seconds(10));
  return control.output();
}

void EtcdCluster::FillUp() const {
  const std::string filling = directory_ + "/filling";
  std::ofstream(filling) << std::string(1'000'000, 'x');
  EXPECT_TRUE(Eventually([&] { return absl::StrContains(Control("put filling < " + filling), "space exceeded"); }));
}

void EtcdCluster::Save() const { Control(absl::StrCat("snapshot save ", directory_, "/backup")); }

void EtcdCluster::Restore() {
  ASSERT_EQ(members_.size(), 1u);
  Kill(0);
  const std::string data = absl::StrCat(directory_, "/m0");
  std::filesystem::remove_all(data);
  const std::string peer = absl::StrCat("http://", peers_[0]);
  Control(absl::StrCat("snapshot restore ", directory_, "/backup --name m0 --data-dir ", data,
                       " --initial-cluster m0=", peer, " --initial-advertise-peer-urls ", peer));
  Start(0);
  WaitReady(0);
}

void EtcdCluster::Compact(int64_t revision) const { Control(absl::StrCat("compact --physical ", revision)); }

std::string EtcdCluster::ControlOf(const std::string& endpoints) const {
  std::string command = absl::StrCat("ETCDCTL_API=3 etcdctl --endpoints=", endpoints, " --dial-timeout=1s");
  if (!files_.key.empty()) {
    absl::StrAppend(&command, " --cacert=", files_.authority, " --cert=", files_.certificate, " --key=", files_.key);
  }
  return command;
}

}  // namespace switchyard
