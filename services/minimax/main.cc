#include "services/common/provider/provider_main.h"
#include "services/minimax/provider.h"

int main(int argc, char** argv) {
  using namespace switchyard;  // NOLINT(google-build-using-namespace)
  return ProviderMain(argc, argv, {.platform = minimax::kPlatform, .make = &MakeProvider<minimax::MiniMaxProvider>});
}
