// The kernels by instruction set. Internal: callers go through SearchKernels().
#pragma once

#include "services/signing/schemes/keccak.h"

namespace switchyard {

int64_t SearchScalar(const SearchJob& job, uint64_t first, uint64_t count);
int64_t SearchBmi2(const SearchJob& job, uint64_t first, uint64_t count);
int64_t SearchAvx2(const SearchJob& job, uint64_t first, uint64_t count);
int64_t SearchAvx512(const SearchJob& job, uint64_t first, uint64_t count);

}  // namespace switchyard
