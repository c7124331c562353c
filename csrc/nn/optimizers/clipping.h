// Clipping: gradients are kept small before the update.
//
//   by value    g <- min(max(g, -c), c), each element
//   by norm     g <- g min(1, c / (|g| + 1e-6)),  |g| the Euclidean norm of all gradients together
//               (formulas/clipping.h)
#pragma once

#include <algorithm>

#include "nn/numbers.h"
#include "nn/pass.h"
#include "nn/term_sum.h"

namespace chainrule {

struct Clipping {
  double norm = 0, value = 0; // limits; 0 for none

  template <class T> void check_limits() const {
    representable<double>("clip_norm", norm);
    // Limits that are 0 in T would clip all to 0. That of the norm may be above T's greatest number.
    if (norm != 0) positive<T>("clip_norm", std::min(norm, 1.0));
    if (value != 0) positive<T>("clip_value", value);
  }

  /// Clips n gradients. `room` is that of their sum of squares (nn/term_sum.h). Called by all threads; ends with a
  /// barrier if it did anything.
  template <class T> void apply(const Pass<T>& pass, T* g, Index n, double* room) const {
    if (value > 0) {
      pass.kernels.clip(pass.team, value, g, g, n);
      pass.team.barrier();
    }
    if (norm <= 0) return;
    TermSum<T> squares(pass, {PenaltyTermKind::square, 0}, room);
    squares.add(g, n);
    pass.kernels.clip_norm(pass.team, norm, squares.sum(), g, n);
    pass.team.barrier();
  }
};

} // namespace chainrule
