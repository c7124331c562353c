// Clipping: gradients are kept small before the update.
//
//   by value    g <- min(max(g, -c), c), each element
//   by norm     g <- g min(1, c / (|g| + 1e-6)),  |g| the Euclidean norm of all gradients together
//
// Source of the second: R. Pascanu et al., ICML 2013; the 1e-6 is PyTorch's.
#pragma once

#include <cmath>

#include "nn/numbers.h"
#include "nn/pass.h"
#include "nn/term_sum.h"

namespace chainrule {

struct Clipping {
  double norm = 0, value = 0; // limits; 0 for none

  template <class T> void check_limits() const {
    representable<double>("clip_norm", norm);
    if (value != 0) positive<T>("clip_value", value); // rounded to 0, it would clip all to 0
  }

  /// Clips n gradients. `blocks` has room for their block sums (sum_blocks in kernels.h). Called by all threads; ends
  /// with a barrier if it did anything.
  template <class T> void apply(const Pass<T>& pass, T* g, Index n, double* blocks) const {
    if (value > 0) {
      pass.kernels.clip(pass.team, value, g, g, n);
      pass.team.barrier();
    }
    if (norm <= 0) return;
    const double squares = term_sum<T>(pass, {PenaltyTermKind::square, 0}, g, n, blocks);
    const double factor = norm / (std::sqrt(squares) + 1e-6);
    if (factor < 1) pass.kernels.scale(pass.team, factor, g, g, n); // never where the norm is not a number
    pass.team.barrier();
  }
};

} // namespace chainrule
