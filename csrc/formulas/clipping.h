// Clipping by the norm: by which factor gradients g are multiplied so that their norm is at most c.
//
//   g <- g min(1, c / (|g| + 1e-6)),  |g| the Euclidean norm of all gradients together
//
// Source: R. Pascanu et al., ICML 2013; the 1e-6 is PyTorch's.
#pragma once

#include <cmath>

namespace chainrule {

/// c / (|g| + 1e-6) from |g|^2; NaN, and so not below 1, where the norm is not a number.
template <class Real> constexpr Real clip_factor(Real limit, Real squares) {
  return limit / (std::sqrt(squares) + Real(1e-6));
}

} // namespace chainrule
