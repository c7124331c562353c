// Large matrix products on a Hopper: c = g(a b + bias), or c += a b, with a and b rounded, as matmul_tensor.cu has them
// for every GPU.
#pragma once

#include "cuda/matmul_plan.h"

namespace chainrule::cuda {

/// Queues the product and says so, if the GPU in use has the instructions and the shape is worth their while. Else
/// nothing happens. Of one GPU the answer depends on the shape alone.
template <class Rounding>
bool launch_wgmma(const Factor<float>& a, const Factor<float>& b, const MatrixView<float>& c, Write write,
                  const Epilogue<float>& epilogue);

} // namespace chainrule::cuda
