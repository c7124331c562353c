// The sum of a penalty's terms over arrays: the split sum of kernels.h, put together. With squares it is that of a
// norm.
#pragma once

#include "nn/pass.h"

namespace chainrule {

/// Numbers that a TermSum over an array of n elements needs room for; over several arrays: the sum of that.
constexpr Index term_sum_room(Index n) { return sum_blocks(n) + 1; }

/// Used by all threads together. The next one may have the same room, without a barrier between the two.
template <class T> class TermSum {
public:
  /// `room` lies in the device's memory.
  TermSum(const Pass<T>& pass, PenaltyTerm term, double* room)
      : pass_(pass), term_(term), sum_(room), blocks_(room + 1) {}

  /// Adds w (n).
  void add(const T* w, Index n) {
    pass_.kernels.penalty_sum(pass_.team, term_, w, n, blocks_ + count_);
    count_ += sum_blocks(n);
  }
  /// The sum of all that was added, one number in the device's memory. Ends with a barrier.
  const double* sum() {
    pass_.team.barrier();
    pass_.kernels.sum_up(pass_.team, blocks_, count_, sum_);
    pass_.team.barrier();
    return sum_;
  }
  /// The same number here; waits for the device.
  double value() {
    double value = 0;
    copy_out(pass_.memory, &value, sum(), 1);
    return value;
  }

private:
  const Pass<T>& pass_;
  PenaltyTerm term_;
  double *sum_, *blocks_;
  Index count_ = 0;
};

} // namespace chainrule
