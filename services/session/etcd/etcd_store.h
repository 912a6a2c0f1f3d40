// A store that any number of replicas of the session service share, in etcd 3.4 or newer.
//
//   auto store = OpenEtcdStore({.etcd = {.endpoints = {"10.0.0.1:2379"}}}, key);
//
// Below the prefix:
//   meta/key_probe                a known text, sealed: tells a wrong key
//   accounts/<label>              the login in force: tokens, credentials, identity; changed by comparing its revision
//   states/<label>                ready, cooling down until, banned …
//   slots/<label>/<place>         one use of the account, "c" for a clean-up; its value is the slot's name, and it goes
//                                 with its replica's lease
//   locks/refresh/<label>         who exchanges the credential; its create_revision is the fencing number
//   exchanges/<label>             the journal: an exchange has begun, and its outcome is not stored
//   conversations/<label>/<hash>  the ledger
//   replicas/<lease>              one key a replica, with its lease
// Values are sealed as a whole and bound to their key; those of slots and locks are random names.
//
// All state lives on one thread of its own. One lease a replica, renewed four times in its life. A replica that could
// not renew for half of it says so (OnContact) and claims nothing: what it holds may be another's soon.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/common/text/secret.h"
#include "services/common/time/clock.h"
#include "services/common/time/random.h"
#include "services/session/etcd/etcd_client.h"
#include "services/session/store.h"

namespace switchyard {

struct EtcdStoreOptions {
  EtcdOptions etcd;
  std::string prefix = "/switchyard";
  absl::Duration life = absl::Seconds(10);         // of the replica's lease, 2 s and up, in whole seconds
  absl::Duration start_limit = absl::Seconds(20);  // until etcd has answered for the first time
  absl::Duration write_limit = absl::Seconds(5);   // until a write has failed
  // How long after an account's credential was replaced a replica that still has the older one follows the newer one.
  absl::Duration older_login = absl::Minutes(10);
  // Whether a wait of Open or Register() is to end: CANCELLED. Asked from the waiting thread, a few times a second.
  std::function<bool()> stop = nullptr;
  const Clock* clock = &SystemClock::Get();  // outlive the store
  Random* random = &SystemRandom::Get();
};

/// Blocking. UNAVAILABLE if etcd does not answer; INVALID_ARGUMENT if the store was sealed with another key.
absl::StatusOr<std::unique_ptr<Store>> OpenEtcdStore(EtcdStoreOptions options, Secret key);

}  // namespace switchyard
