// Penalties on the GPU: sums of a term over the parameters, and its derivative added to their gradients: the loops
// around formulas/penalties.h. The sum of squares is also that of a norm.
#include <type_traits>

#include "cuda/number.h"
#include "cuda/operations.h"
#include "cuda/reduce.h"

namespace chainrule::cuda {
namespace {

/// Adds up, in double precision, the terms of sum_block elements: of every block_threads-th by a thread, then of the
/// threads.
template <class T, class Formula> __global__ void sum_terms(Formula formula, const T* w, Index n, double* blocks) {
  const Index begin = blockIdx.x * sum_block, end = n - begin < sum_block ? n : begin + sum_block;
  double terms = 0;
  for (Index i = begin + threadIdx.x; i < end; i += block_threads) terms += formula.value(Number<double>(w[i])).v;
  const double sum = block_sum(terms);
  if (threadIdx.x == 0) blocks[blockIdx.x] = sum;
}

template <class T> void penalty_sum(const Team&, PenaltyTerm term, const T* w, Index n, double* blocks) {
  with_formula(term, [&](auto formula) {
    launch("penalty_sum", sum_terms<T, decltype(formula)>, sum_blocks(n), block_threads, formula, w, n, blocks);
  });
}

template <class T, class Formula> struct Gradient {
  using Wide = Number<std::conditional_t<Formula::in_double, double, T>>;
  Formula formula;
  PenaltyTerm term;
  double factor;
  const double* sum; // or null
  const T* w;
  T* g;
  __device__ void operator()(Index i) const {
    const double outer = sum == nullptr ? factor : factor * root_slope(term, *sum);
    const Wide all = Wide(g[i]) + Wide(outer) * formula.slope(Wide(w[i]));
    g[i] = static_cast<T>(all.v);
  }
};

template <class T>
void penalty_gradient(const Team&, PenaltyTerm term, double factor, const double* sum, const T* w, T* g, Index n) {
  with_formula(term, [&](auto formula) {
    for_elements("penalty_gradient", n, Gradient<T, decltype(formula)>{formula, term, factor, sum, w, g});
  });
}

} // namespace

void list_penalty(Device& device) {
  device.float32.penalty_sum = penalty_sum<float>;
  device.float64.penalty_sum = penalty_sum<double>;
  device.float32.penalty_gradient = penalty_gradient<float>;
  device.float64.penalty_gradient = penalty_gradient<double>;
}

} // namespace chainrule::cuda
