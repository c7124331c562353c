// The sum of a penalty's terms over an array: the split sum of kernels.h, put together. With squares it is that of a
// norm.
#pragma once

#include "nn/pass.h"

namespace chainrule {

/// The sum over w (n). `blocks` has room for sum_blocks(n). Called by all threads, each of which gets the result; a
/// barrier must stand before `blocks` are written again.
template <class T> double term_sum(const Pass<T>& pass, PenaltyTerm term, const T* w, Index n, double* blocks) {
  pass.kernels.penalty_sum(pass.team, term, w, n, blocks);
  pass.team.barrier();
  double sum = 0;
  for (Index i = 0; i < sum_blocks(n); ++i) sum += blocks[i];
  return sum;
}

} // namespace chainrule
