// Hashes a second a core of the proof of work, by kernel, beside the platform's own module on this kind of core.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <string>

#include "services/signing/schemes/keccak.h"

int main() {
  constexpr double kReference = 2.4e6;  // the platform's WebAssembly in Node 20, one thread
  // Short runs, so that some of them meet no other work on the core.
  constexpr uint64_t kHashes = 50'000;
  constexpr int kRounds = 80;
  switchyard::SearchJob job{};
  job.digit_offset = 35;
  job.digits = 6;
  job.target = 0x0123456789abcdef;
  std::map<std::string, double> best;
  // Interleaved, so that a slow moment of the machine hits all of them alike.
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& kernel : switchyard::SearchKernels()) {
      const auto start = std::chrono::steady_clock::now();
      kernel.search(job, 100000, kHashes);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      double& rate = best[std::string(kernel.name)];
      rate = std::max(rate, kHashes / took.count());
    }
  }
  std::printf("proof of work, one core            M hashes/s   times the platform's own (2.4 M/s)\n");
  for (const auto& kernel : switchyard::SearchKernels()) {
    const double rate = best[std::string(kernel.name)];
    std::printf("  %-32s %10.2f   %10.2f\n", std::string(kernel.name).c_str(), rate / 1e6, rate / kReference);
  }
}
