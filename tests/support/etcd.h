// etcd as a test wants it: real members on loopback ports of their own, with data of their own, killed and started at
// will.
//
//   EtcdCluster etcd(3);
//   … etcd.endpoints() …
//   etcd.Kill(etcd.Leader()); etcd.Start(0);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace switchyard {

/// Files of PEM, read at each start of a member: what it shows, and the authority of what it wants to be shown.
struct EtcdFiles {
  std::string authority, certificate, key;
};

class EtcdCluster {
 public:
  /// Starts the members and waits until every one of them answers. @param files for mutual TLS; empty: in the clear
  /// @param quota bytes that the data may take; 0: etcd's default
  explicit EtcdCluster(int members = 1, EtcdFiles files = {}, int64_t quota = 0);
  ~EtcdCluster();

  /// "127.0.0.1:40001", one a member.
  const std::vector<std::string>& endpoints() const { return endpoints_; }
  /// "etcd://127.0.0.1:40001,127.0.0.1:40003/prefix", or etcds://
  std::string Url(const std::string& prefix) const;

  void Kill(int member);   // SIGKILL
  void Start(int member);  // with the data that it has
  void WaitReady(int member);
  Process& member(int member) { return *members_[member]; }
  /// The member that leads; -1 if there is none.
  int Leader() const;
  /// etcdctl with these words at all the members. @return what it printed
  std::string Control(const std::string& words) const;
  /// Writes until etcd takes no more, and says so.
  void FillUp() const;
  /// Takes a backup; Restore() puts it in the place of the data, of a cluster of one.
  void Save() const;
  void Restore();
  /// Forgets what was before `revision`.
  void Compact(int64_t revision) const;

 private:
  std::string ControlOf(const std::string& endpoints) const;

  const EtcdFiles files_;
  const int64_t quota_;
  std::string directory_;
  std::vector<std::string> endpoints_, peers_;
  std::vector<std::unique_ptr<Process>> members_;
};

}  // namespace switchyard
