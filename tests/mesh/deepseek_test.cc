// DeepSeek, through everything: what every platform is expected to do, and which parameters each id means.
#include "tests/mesh/models_deepseek.h"
#include "tests/mesh/platform_suite.h"

namespace switchyard {
namespace {

TEST(DeepSeek, EveryModel) { PlatformSuite("deepseek").ExpectModels(DeepSeekModels()); }

TEST(DeepSeek, EverythingElse) {
  PlatformSuite suite("deepseek");
  suite.ExpectHistory("deepseek-chat");
  suite.ExpectReasoningFormats("deepseek-reasoner");
  suite.ExpectStops("deepseek-chat");
  suite.ExpectAnyChunking("deepseek-reasoner");
  suite.ExpectAbort("deepseek-chat");
  suite.ExpectContinuation("deepseek-chat");
  suite.ExpectForgetting("deepseek-chat");
}

}  // namespace
}  // namespace switchyard
