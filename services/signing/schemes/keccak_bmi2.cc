// The same text as the scalar kernel: with BMI and BMI2, chi's AND-NOT is one instruction and rotations copy for
// nothing.
#include "services/signing/schemes/keccak_scalar_ops.h"

#include "services/signing/schemes/keccak_kernel.h"
#include "services/signing/schemes/kernels.h"

namespace switchyard {

int64_t SearchBmi2(const SearchJob& job, uint64_t first, uint64_t count) {
  return Search<ScalarOps>(job, first, count);
}

}  // namespace switchyard
