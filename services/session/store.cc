#include "services/session/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "services/common/log/log.h"
#include "services/common/time/random.h"
#include "services/session/seal.h"
#include "services/session/timed_write.h"

namespace switchyard {
namespace {

constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS accounts (
  label TEXT PRIMARY KEY, platform TEXT NOT NULL, fingerprint TEXT NOT NULL, state INTEGER NOT NULL, until_ms INTEGER NOT NULL,
  token BLOB, token_version INTEGER NOT NULL, identity TEXT NOT NULL,
  credential BLOB, previous BLOB, expires_ms INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS conversations (
  account TEXT NOT NULL, ref_hash TEXT NOT NULL, ref BLOB NOT NULL, opened_ms INTEGER NOT NULL, failures INTEGER NOT NULL,
  PRIMARY KEY (account, ref_hash)) STRICT;
-- Written before a refresh call and settled after it. A row that is found at start says: the outcome is unknown.
CREATE TABLE IF NOT EXISTS rotation_intents (label TEXT PRIMARY KEY, started_ms INTEGER NOT NULL) STRICT;
)sql";
// Of version 1, before credentials were exchanged.
constexpr char kToVersion2[] = R"sql(
ALTER TABLE accounts ADD COLUMN credential BLOB;
ALTER TABLE accounts ADD COLUMN previous BLOB;
ALTER TABLE accounts ADD COLUMN expires_ms INTEGER NOT NULL DEFAULT 0;
)sql";
constexpr int kSchemaVersion = 2;
constexpr char kProbe[] = "switchyard";

class Statement {
 public:
  Statement(sqlite3* db, const char* sql) { result_ = sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void Bind(const std::string& text) {
    Check(sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
  }
  void Bind(int64_t number) { Check(sqlite3_bind_int64(statement_, ++bound_, number)); }
  void BindBlob(const std::string& bytes) {
    if (bytes.empty()) {
      Check(sqlite3_bind_null(statement_, ++bound_));
    } else {
      Check(sqlite3_bind_blob(statement_, ++bound_, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT));
    }
  }
  /// SQLITE_ROW, SQLITE_DONE or an error.
  int Step() { return result_ == SQLITE_OK ? sqlite3_step(statement_) : result_; }
  std::string Text(int column) {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return bytes == nullptr ? std::string() : std::string(bytes, sqlite3_column_bytes(statement_, column));
  }
  int64_t Number(int column) { return sqlite3_column_int64(statement_, column); }

 private:
  void Check(int result) {
    if (result != SQLITE_OK && result_ == SQLITE_OK) result_ = result;
  }
  sqlite3_stmt* statement_ = nullptr;
  int result_;
  int bound_ = 0;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(std::string path, Secret key) : path_(std::move(path)), sealer_(std::move(key)) {}
  ~SqliteStore() override {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    if (writer_.joinable()) writer_.join();
    sqlite3_close(db_);
  }

  absl::Status OpenFile() {
    if (auto status = MakeFile(); !status.ok()) return status;
    absl::MutexLock lock(&db_mutex_);
    if (!Connect() || !IsWhole() || !Run(kSchema)) return Failure();
    if (auto status = CheckVersion(); !status.ok()) return status;
    if (auto status = CheckKey(); !status.ok()) return status;
    writer_ = std::thread([this] { WriteLoop(); });
    return absl::OkStatus();
  }

  void Write(Change change, Done done) override {
    absl::MutexLock lock(&mutex_);
    queue_.emplace_back(std::move(change), Timed(std::move(done)));
  }

  absl::StatusOr<std::vector<StoredAccount>> Accounts() override {
    absl::MutexLock lock(&db_mutex_);
    std::vector<StoredAccount> accounts;
    Statement rows(db_,
                   "SELECT label, platform, fingerprint, state, until_ms, token, token_version, identity, credential, "
                   "previous, expires_ms, EXISTS (SELECT 1 FROM rotation_intents WHERE label = accounts.label) "
                   "FROM accounts");
    int step;
    while ((step = rows.Step()) == SQLITE_ROW) {
      StoredAccount account{rows.Text(0),   rows.Text(1), rows.Text(2),   static_cast<int>(rows.Number(3)),
                            rows.Number(4), Secret(),     rows.Number(6), rows.Text(7)};
      account.expires_ms = rows.Number(10);
      account.exchanging = rows.Number(11) != 0;
      const bool whole = Unseal(rows.Text(5), TokenPlace(account.label), account.token) &&
                         Unseal(rows.Text(8), CredentialPlace(account.label), account.credential) &&
                         Unseal(rows.Text(9), PreviousPlace(account.label), account.previous);
      if (!whole) return Damaged();
      accounts.push_back(std::move(account));
    }
    if (step != SQLITE_DONE) return Damaged();
    return accounts;
  }

  absl::StatusOr<std::vector<StoredConversation>> Conversations() override {
    absl::MutexLock lock(&db_mutex_);
    std::vector<StoredConversation> conversations;
    Statement rows(db_, "SELECT account, ref_hash, ref, opened_ms, failures FROM conversations ORDER BY opened_ms");
    int step;
    while ((step = rows.Step()) == SQLITE_ROW) {
      auto ref = sealer_.Open(rows.Text(2), RefPlace(rows.Text(0), rows.Text(1)));
      if (!ref.ok()) return Damaged();
      conversations.push_back({rows.Text(0), *std::move(ref), rows.Number(3), static_cast<int>(rows.Number(4))});
    }
    if (step != SQLITE_DONE) return Damaged();
    return conversations;
  }

 private:
  using Queue = std::deque<std::pair<Change, Done>>;

  static std::string TokenPlace(const std::string& label) { return absl::StrCat("account:", label); }
  static std::string CredentialPlace(const std::string& label) { return absl::StrCat("credential:", label); }
  static std::string PreviousPlace(const std::string& label) { return absl::StrCat("previous:", label); }
  static std::string RefPlace(const std::string& account, const std::string& hash) {
    return absl::StrCat("conversation:", account, ":", hash);
  }

  /// Nothing sealed is nothing. @return false if what is there cannot be opened.
  bool Unseal(const std::string& sealed, const std::string& place, Secret& out) {
    if (sealed.empty()) return true;
    auto opened = sealer_.Open(sealed, place);
    if (opened.ok()) out = Secret(*std::move(opened));
    return opened.ok();
  }
  std::string Sealed(const Secret& secret, const std::string& place) {
    return secret.empty() ? std::string() : sealer_.Seal(secret.Reveal(), place);
  }

  // Made here, so that it never exists with another mode.
  absl::Status MakeFile() {
    const size_t slash = path_.rfind('/');
    if (slash != std::string::npos && slash > 0) MakeDirectory(path_.substr(0, slash));
    const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
      return absl::PermissionDeniedError(
          absl::StrCat(path_, ": the store cannot be opened for writing: ", strerror(errno)));
    fchmod(fd, 0600);
    close(fd);
    return absl::OkStatus();
  }

  // With its parents, nobody else's to enter. One that exists keeps its mode: it may be shared on purpose.
  static void MakeDirectory(const std::string& directory) {
    if (mkdir(directory.c_str(), 0700) == 0 || errno != ENOENT) return;
    const size_t slash = directory.rfind('/');
    if (slash == std::string::npos || slash == 0) return;
    MakeDirectory(directory.substr(0, slash));
    mkdir(directory.c_str(), 0700);
  }

  // One process owns the store: two would each lend out the same accounts.
  bool Connect() {
    return sqlite3_open_v2(path_.c_str(), &db_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) == SQLITE_OK &&
           sqlite3_busy_timeout(db_, 1000) == SQLITE_OK && Run("PRAGMA locking_mode=EXCLUSIVE") &&
           Run("PRAGMA journal_mode=WAL") && Run("PRAGMA synchronous=FULL") && Run("BEGIN IMMEDIATE") && Run("COMMIT");
  }

  bool IsWhole() {
    Statement check(db_, "PRAGMA quick_check");
    return check.Step() == SQLITE_ROW && check.Text(0) == "ok";
  }

  // After an I/O error nothing that SQLite or the kernel still holds of the file is believed: it is read again, and
  // what is good in the log goes into the database, flushed, before anything new is acknowledged.
  bool Reconnect() {
    sqlite3_close(std::exchange(db_, nullptr));
    return Connect() && Run("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  absl::Status Failure() {
    const int code = db_ == nullptr ? SQLITE_NOMEM : sqlite3_errcode(db_) & 0xFF;
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
      return absl::AlreadyExistsError(
          absl::StrCat(path_, ": another process uses this store. Stop it, or give this one a state_dir of its own."));
    }
    if (code == SQLITE_FULL || code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_READONLY) {
      return absl::UnavailableError(absl::StrCat(path_, ": the store cannot be opened: ", sqlite3_errmsg(db_)));
    }
    return Damaged();
  }

  absl::Status Damaged() {
    return absl::DataLossError(absl::StrCat(path_, ": the store is damaged or not a Switchyard store (",
                                            db_ ? sqlite3_errmsg(db_) : "",
                                            "). Move it away to start with an empty one."));
  }
  bool Run(const char* sql) { return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }

  absl::Status CheckVersion() {
    int64_t found = 0;
    {
      Statement version(db_, "PRAGMA user_version");
      if (version.Step() != SQLITE_ROW) return Damaged();
      found = version.Number(0);
    }
    if (found > kSchemaVersion)
      return absl::InvalidArgumentError(absl::StrCat(path_, ": the store was written by a newer Switchyard"));
    if (found == kSchemaVersion) return absl::OkStatus();
    // One transaction: a process that dies in between finds the old version again.
    const bool migrated =
        Run("BEGIN IMMEDIATE") && (found == 0 || Run(kToVersion2)) && Run("PRAGMA user_version=2") && Run("COMMIT");
    return migrated ? absl::OkStatus() : Damaged();
  }

  // A known text, sealed: opening it tells a wrong key from damage before anything is at stake.
  absl::Status CheckKey() {
    Statement probe(db_, "SELECT value FROM meta WHERE name = 'key_probe'");
    if (probe.Step() == SQLITE_ROW) {
      if (sealer_.Open(probe.Text(0), "meta").ok()) return absl::OkStatus();
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": the store was sealed with another key. Give the right one, or move the store away."));
    }
    Statement insert(db_, "INSERT INTO meta VALUES ('key_probe', ?)");
    insert.BindBlob(sealer_.Seal(kProbe, "meta"));
    return insert.Step() == SQLITE_DONE ? absl::OkStatus() : Damaged();
  }

  void WriteLoop() {
    for (;;) {
      Queue batch;
      {
        absl::MutexLock lock(&mutex_);
        const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); };
        mutex_.Await(absl::Condition(&ready));
        if (queue_.empty()) return;
        batch.swap(queue_);
      }
      std::vector<absl::Status> outcomes;
      Commit(batch, outcomes);
      for (size_t i = 0; i < batch.size(); ++i) {
        if (!outcomes[i].ok() && (i == 0 || outcomes[i] != outcomes[i - 1]))
          LogError("store_write_failed", {{"error", outcomes[i].message()}});
        if (batch[i].second) batch[i].second(outcomes[i]);
      }
    }
  }

  // One transaction for all. If it fails, each change is tried alone, so that none fails for another's sake.
  void Commit(const Queue& batch, std::vector<absl::Status>& outcomes) {
    absl::MutexLock lock(&db_mutex_);
    outcomes.assign(batch.size(), Commit(batch, 0, batch.size()));
    if (outcomes.front().ok() || batch.size() == 1 || reconnect_) return;
    for (size_t i = 0; i < batch.size(); ++i) outcomes[i] = Commit(batch, i, i + 1);
  }

  absl::Status Commit(const Queue& batch, size_t begin, size_t end) {
    if (reconnect_ && !Reconnect())
      return absl::UnavailableError("the store cannot be opened again after an I/O error");
    reconnect_ = false;
    bool good = Run("BEGIN IMMEDIATE");
    for (size_t i = begin; good && i < end; ++i)
      good = std::visit([this](const auto& one) { return Apply(one); }, batch[i].first);
    good = good && Run("COMMIT");
    if (good) return absl::OkStatus();
    const std::string why = sqlite3_errmsg(db_);
    reconnect_ = (sqlite3_errcode(db_) & 0xFF) == SQLITE_IOERR;
    Run("ROLLBACK");
    return absl::UnavailableError(absl::StrCat("the store cannot be written: ", why));
  }

  bool Apply(const PutAccount& put) {
    const StoredAccount& account = put.account;
    Statement statement(db_, "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    statement.Bind(account.label);
    statement.Bind(account.platform);
    statement.Bind(account.fingerprint);
    statement.Bind(int64_t{account.state});
    statement.Bind(account.until_ms);
    statement.BindBlob(Sealed(account.token, TokenPlace(account.label)));
    statement.Bind(account.token_version);
    statement.Bind(account.identity);
    statement.BindBlob(Sealed(account.credential, CredentialPlace(account.label)));
    statement.BindBlob(Sealed(account.previous, PreviousPlace(account.label)));
    statement.Bind(account.expires_ms);
    if (statement.Step() != SQLITE_DONE) return false;
    return !put.ends_exchange || Apply(EndExchange{account.label});
  }
  bool Apply(const PutState& put) {
    Statement statement(db_, "UPDATE accounts SET state = ?, until_ms = ? WHERE label = ?");
    statement.Bind(int64_t{put.state});
    statement.Bind(put.until_ms);
    statement.Bind(put.label);
    return statement.Step() == SQLITE_DONE;
  }
  bool Apply(const PutToken& put) {
    Statement statement(db_, "UPDATE accounts SET token = ?, token_version = ?, expires_ms = ? WHERE label = ?");
    statement.BindBlob(Sealed(put.token, TokenPlace(put.label)));
    statement.Bind(put.token_version);
    statement.Bind(put.expires_ms);
    statement.Bind(put.label);
    // A token without its account would be lost.
    return statement.Step() == SQLITE_DONE && sqlite3_changes(db_) == 1;
  }
  bool Apply(const BeginExchange& begin) {
    if (!begin.journal) return true;
    Statement statement(db_, "INSERT OR REPLACE INTO rotation_intents VALUES (?, ?)");
    statement.Bind(begin.label);
    statement.Bind(begin.started_ms);
    return statement.Step() == SQLITE_DONE;
  }
  bool Apply(const EndExchange& end) {
    if (end.in_doubt) return true;
    Statement statement(db_, "DELETE FROM rotation_intents WHERE label = ?");
    statement.Bind(end.label);
    return statement.Step() == SQLITE_DONE;
  }
  bool Apply(const PutConversation& put) {
    Statement statement(db_, "INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?, ?)");
    statement.Bind(put.conversation.account);
    const std::string hash = sealer_.Fingerprint(put.conversation.ref);
    statement.Bind(hash);
    statement.BindBlob(sealer_.Seal(put.conversation.ref, RefPlace(put.conversation.account, hash)));
    statement.Bind(put.conversation.opened_ms);
    statement.Bind(int64_t{put.conversation.failures});
    return statement.Step() == SQLITE_DONE;
  }
  bool Apply(const DropConversation& drop) {
    Statement statement(db_, "DELETE FROM conversations WHERE account = ? AND ref_hash = ?");
    statement.Bind(drop.account);
    statement.Bind(sealer_.Fingerprint(drop.ref));
    return statement.Step() == SQLITE_DONE;
  }

  const std::string path_;
  const Sealer sealer_;
  absl::Mutex db_mutex_;  // the writer, and reads at start
  sqlite3* db_ = nullptr;
  bool reconnect_ ABSL_GUARDED_BY(db_mutex_) = false;
  absl::Mutex mutex_;
  Queue queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread writer_;
};

}  // namespace

// Counted, but never the same as a former process's: what a holder goes on with is not mistaken for another's.
std::optional<absl::StatusOr<std::string>> Store::Claim(const std::string& label, int places, Use use, Claimed) {
  static const std::string process = SystemRandom::Get().NextHex(12);
  if (use == Use::kCleanUp) return std::string("clean-up");
  absl::MutexLock lock(&slots_mutex_);
  std::set<std::string>& taken = slots_[label];
  if (static_cast<int>(taken.size()) >= places) return absl::AbortedError("the account is in use");
  std::string slot = absl::StrCat(process, "-", next_slot_++);
  taken.insert(slot);
  return slot;
}

std::optional<absl::Status> Store::Adopt(const std::string& label, const std::string& slot, int places, Done) {
  absl::MutexLock lock(&slots_mutex_);
  std::set<std::string>& taken = slots_[label];
  if (taken.count(slot) == 0 && static_cast<int>(taken.size()) >= places)
    return absl::AbortedError("the account is in use");
  taken.insert(slot);
  return absl::OkStatus();
}

void Store::GiveBack(const std::string& label, const std::string& slot) {
  absl::MutexLock lock(&slots_mutex_);
  const auto found = slots_.find(label);
  if (found == slots_.end()) return;
  found->second.erase(slot);
  if (found->second.empty()) slots_.erase(found);
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path, Secret key) {
  auto store = std::make_unique<SqliteStore>(path, std::move(key));
  if (auto status = store->OpenFile(); !status.ok()) return status;
  return store;
}

}  // namespace switchyard
