#include "services/common/tls/certificate_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"

namespace switchyard {
namespace {

constexpr char kNames[] = "DNS:localhost,URI:spiffe://test/switchyard-edge";
constexpr int64_t kHour = 3600;

void Write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(CheckCertificates, SaysWhatIsWrong) {
  const TestAuthority authority;
  const auto good = authority.Issue(kNames), other = authority.Issue(kNames);
  const auto expired = authority.Issue(kNames, -2 * kHour, -kHour), early = authority.Issue(kNames, kHour, 2 * kHour);
  struct Row {
    std::string chain, key, authorities;
    const char* says;  // nullptr: good
  };
  const std::string ca = authority.certificate();
  for (const Row& row : {
           Row{good.certificate, good.key, ca, nullptr},
           Row{good.certificate + ca, good.key, ca + ca, nullptr},
           Row{good.certificate, other.key, ca, "not that of the certificate"},
           Row{expired.certificate, expired.key, ca, "has expired"},
           Row{early.certificate, early.key, ca, "not valid yet"},
           Row{"", good.key, ca, "certificate cannot be read"},
           Row{good.certificate.substr(0, 200), good.key, ca, "certificate cannot be read"},
           Row{good.certificate, good.key.substr(0, 100), ca, "key cannot be read"},
           Row{good.certificate, good.certificate, ca, "key cannot be read"},
           Row{good.certificate, good.key, "", "authority cannot be read"},
           Row{good.certificate, good.key, ca.substr(0, 100), "authority cannot be read"},
           Row{good.certificate, good.key, ca + ca.substr(0, 100), "authority cannot be read"},
       }) {
    const absl::Status status = CheckCertificates({row.chain, Secret(row.key), row.authorities}, absl::Now());
    EXPECT_EQ(status.ok(), row.says == nullptr) << status;
    if (row.says != nullptr) {
      EXPECT_TRUE(absl::StrContains(status.message(), row.says)) << row.says << status;
      EXPECT_FALSE(absl::StrContains(status.message(), "BEGIN")) << status;
    }
  }
  EXPECT_TRUE(CheckCertificates({good.certificate, Secret(good.key), ""}, absl::Now(), false).ok());
}

TEST(ExpiryOf, IsThatOfTheLeaf) {
  const TestAuthority authority;
  const absl::Time before = absl::Now();
  const auto pem = authority.Issue(kNames, -kHour, 7 * kHour);
  const absl::Time expiry = ExpiryOf({pem.certificate + authority.certificate(), Secret(pem.key), ""});
  EXPECT_GE(expiry, before + absl::Hours(7) - absl::Seconds(1));
  EXPECT_LE(expiry, absl::Now() + absl::Hours(7) + absl::Seconds(1));
  EXPECT_EQ(ExpiryOf({"", Secret(""), ""}), absl::InfinitePast());
}

class CertificateFilesTest : public testing::Test {
 protected:
  CertificateFilesTest() : paths_{at("tls.crt"), at("tls.key"), at("ca.crt")} { Put(authority_.Issue(kNames)); }

  std::string at(const std::string& name) const { return absl::StrCat(directory_, "/", name); }
  void Put(const TestAuthority::Pem& pem) {
    Write(paths_.certificate, pem.certificate);
    Write(paths_.key, pem.key);
    Write(paths_.authority, authority_.certificate());
  }

  const TestAuthority authority_;
  const std::string directory_ = FreshDirectory();
  const CertificatePaths paths_;
};

TEST_F(CertificateFilesTest, ANewerSetTakesTheOldOnesPlace) {
  auto files = CertificateFiles::Open(paths_, SystemClock::Get());
  ASSERT_TRUE(files.ok()) << files.status();
  const auto next = authority_.Issue(kNames);
  EXPECT_NE(Read((*files)->PathOf("cert.pem")), next.certificate);
  std::atomic<int> told{0};
  (*files)->OnChange([&](const CertificateSet&) { ++told; });
  EXPECT_EQ(told, 1);
  Put(next);
  EXPECT_TRUE((*files)->Refresh().ok());
  EXPECT_EQ(Read((*files)->PathOf("cert.pem")), next.certificate);
  EXPECT_EQ(Read((*files)->PathOf("key.pem")), next.key);
  EXPECT_EQ(told, 2);
  EXPECT_TRUE((*files)->Refresh().ok());
  EXPECT_EQ(told, 2);
}

TEST_F(CertificateFilesTest, TheMetricSaysWhenTheSetInUseEnds) {
  const auto ends = [](Metrics::CertificateUse use) {
    return absl::FromUnixSeconds(static_cast<int64_t>(Metrics::Get().CertificateExpiry(use).Value())) - absl::Now();
  };
  // What is left when the call is made, to within what a slow machine may take.
  const auto about = [](absl::Duration left, int64_t hours) {
    return left < absl::Hours(hours) + absl::Seconds(2) && left > absl::Hours(hours) - absl::Minutes(5);
  };
  Put(authority_.Issue(kNames, -kHour, 3 * kHour));
  const auto etcd = CertificateFiles::Open(paths_, SystemClock::Get());
  ASSERT_TRUE(etcd.ok()) << etcd.status();
  EXPECT_TRUE(about(ends(Metrics::CertificateUse::kEtcd), 3));
  Put(authority_.Issue(kNames, -kHour, 9 * kHour));
  EXPECT_TRUE((*etcd)->Refresh().ok());
  EXPECT_TRUE(about(ends(Metrics::CertificateUse::kEtcd), 9));
  Write(paths_.key, "damaged");
  EXPECT_FALSE((*etcd)->Refresh().ok());
  EXPECT_TRUE(about(ends(Metrics::CertificateUse::kEtcd), 9));

  Put(authority_.Issue(kNames, -kHour, 5 * kHour));
  const auto https = CertificateFiles::Open({paths_.certificate, paths_.key, ""}, SystemClock::Get());
  EXPECT_TRUE(about(ends(Metrics::CertificateUse::kHttps), 5));
  Put(authority_.Issue(kNames, -kHour, 7 * kHour));
  const auto mesh = CertificateFiles::Open(
      {paths_.certificate, paths_.key, paths_.authority, Metrics::CertificateUse::kMesh}, SystemClock::Get());
  EXPECT_TRUE(about(ends(Metrics::CertificateUse::kMesh), 7));
  EXPECT_NE(Metrics::Get().Text().find("switchyard_certificate_expiry_seconds{set=\"https\"} 1"), std::string::npos);
}

TEST_F(CertificateFilesTest, ADamagedSetReplacesNothing) {
  auto files = CertificateFiles::Open(paths_, SystemClock::Get());
  ASSERT_TRUE(files.ok()) << files.status();
  const std::string before = Read((*files)->PathOf("cert.pem"));
  Write(paths_.certificate, authority_.Issue(kNames).certificate);  // the key is still the old one's
  EXPECT_FALSE((*files)->Refresh().ok());
  EXPECT_EQ(Read((*files)->PathOf("cert.pem")), before);
  Write(paths_.authority, "");
  EXPECT_FALSE((*files)->Refresh().ok());
  std::filesystem::remove(paths_.key);
  EXPECT_FALSE((*files)->Refresh().ok());
  EXPECT_EQ(Read((*files)->PathOf("cert.pem")), before);
  Put(authority_.Issue(kNames));
  EXPECT_TRUE((*files)->Refresh().ok());
  EXPECT_NE(Read((*files)->PathOf("cert.pem")), before);
}

TEST_F(CertificateFilesTest, TheCopyIsPrivateAndGoesWithIt) {
  std::string directory;
  {
    auto files = CertificateFiles::Open(paths_, SystemClock::Get());
    ASSERT_TRUE(files.ok()) << files.status();
    directory = (*files)->directory();
    struct stat info;
    ASSERT_EQ(stat(directory.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u);
    ASSERT_EQ(stat((*files)->PathOf("key.pem").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    // Links to this process's memory and nothing else: what kill -9 would leave behind holds no byte of the key.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
      EXPECT_FALSE(entry.is_regular_file() && !entry.is_symlink()) << entry.path();
    // Sets that are no longer in use leave nothing open.
    const auto open_files = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
    Put(authority_.Issue(kNames));
    ASSERT_TRUE((*files)->Refresh().ok());
    const auto with_two = open_files();
    Put(authority_.Issue(kNames));
    ASSERT_TRUE((*files)->Refresh().ok());
    EXPECT_EQ(open_files(), with_two);
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST_F(CertificateFilesTest, AProgramDoesNotStartWithoutAGoodSet) {
  std::filesystem::remove(paths_.key);
  const absl::Status missing = CertificateFiles::Open(paths_, SystemClock::Get()).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(missing.message(), paths_.key)) << missing;
  Write(paths_.key, "x");
  EXPECT_FALSE(CertificateFiles::Open(paths_, SystemClock::Get()).ok());
}

}  // namespace
}  // namespace switchyard
