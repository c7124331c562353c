// The GPU as a device. cuda/ implements this where CMake found a CUDA compiler, no_cuda/ elsewhere.
#pragma once

#include "kernels.h"

namespace chainrule::cuda {

/// Whether GPU code was compiled in.
bool compiled();
/// Whether a GPU can be used now.
bool available();
/// The table of the GPU; where there is none, every operation of it throws a sentence that says so.
const Device& device();

} // namespace chainrule::cuda
