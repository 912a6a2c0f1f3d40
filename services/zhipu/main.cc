#include "services/common/provider/provider_main.h"
#include "services/zhipu/provider.h"

int main(int argc, char** argv) {
  using namespace switchyard;  // NOLINT(google-build-using-namespace)
  return ProviderMain(argc, argv, {.platform = zhipu::kPlatform, .make = &MakeProvider<zhipu::ZhipuProvider>});
}
