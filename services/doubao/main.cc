#include "services/common/provider/provider_main.h"
#include "services/doubao/provider.h"

int main(int argc, char** argv) {
  using namespace switchyard;  // NOLINT(google-build-using-namespace)
  return ProviderMain(argc, argv, {.platform = doubao::kPlatform, .make = &MakeProvider<doubao::DoubaoProvider>});
}
