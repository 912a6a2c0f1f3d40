#include "services/common/admin/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/http_probe.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;

class AdminServerTest : public ::testing::Test {
 protected:
  AdminServerTest() {
    auto admin = AdminServer::Start(runtime_, "127.0.0.1:0", metrics_);
    EXPECT_TRUE(admin.ok()) << admin.status();
    admin_ = *std::move(admin);
    port_ = std::stoi(admin_->url().substr(admin_->url().rfind(':') + 1));
  }
  ~AdminServerTest() override {
    admin_.reset();
    runtime_.Stop();
  }

  Metrics metrics_;
  Runtime runtime_{Runtime::Options{1}};
  std::unique_ptr<AdminServer> admin_;
  int port_;
};

TEST_F(AdminServerTest, MetricsInPrometheusText) {
  const HttpReply reply = Fetch(port_, "GET", "/metrics");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(reply.body, HasSubstr("# TYPE switchyard_ready gauge\nswitchyard_ready 0\n"));
  EXPECT_THAT(reply.body, HasSubstr("process_resident_memory_bytes "));
  EXPECT_EQ(Fetch(port_, "HEAD", "/metrics").status, 200);
}

TEST_F(AdminServerTest, ReadyOnlyWhileTheProgramSaysSo) {
  EXPECT_EQ(Fetch(port_, "GET", "/healthz").status, 200);
  EXPECT_EQ(Fetch(port_, "GET", "/readyz").status, 503);
  admin_->SetReady(true);
  EXPECT_EQ(Fetch(port_, "GET", "/readyz").status, 200);
  EXPECT_THAT(Fetch(port_, "GET", "/metrics").body, HasSubstr("switchyard_ready 1\n"));
  admin_->SetReady(false);
  EXPECT_EQ(Fetch(port_, "GET", "/readyz").status, 503);
  EXPECT_EQ(Fetch(port_, "GET", "/healthz").status, 200);
}

TEST_F(AdminServerTest, NothingElse) {
  EXPECT_EQ(Fetch(port_, "GET", "/").status, 404);
  EXPECT_EQ(Fetch(port_, "GET", "/v1/models").status, 404);
  EXPECT_EQ(Fetch(port_, "POST", "/metrics").status, 405);
  EXPECT_EQ(Fetch(port_, "POST", "/metrics", std::string(100000, 'x')).status, 413);
}

TEST_F(AdminServerTest, APortThatIsTakenIsNamed) {
  const auto second = AdminServer::Start(runtime_, absl::StrCat("127.0.0.1:", port_), metrics_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(absl::StrCat("admin.listen: port ", port_)));
  EXPECT_EQ(AdminServer::Start(runtime_, "localhost", metrics_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(AdminServerTest, AlsoOnIpVersionSix) {
  auto six = AdminServer::Start(runtime_, "[::1]:0", metrics_);
  if (!six.ok()) GTEST_SKIP() << "no IPv6 here";
  EXPECT_THAT((*six)->url(), HasSubstr("http://[::1]:"));
}

}  // namespace
}  // namespace switchyard
