// NativeLoss: the mean, or the sum, over rows of a loss given as a function of native code (chainrule/native.h).
//
//   L = 1/B * sum over rows of l(p_i, y_i), or the sum        dp_i = dl / dp_i, divided likewise
#pragma once

#include <limits>

#include "nn/losses/loss.h"
#include "nn/native_functions.h"

namespace chainrule {

template <class T> class NativeLoss final : public Loss<T> {
public:
  using Function = NativeFunction<typename NativeTypes<T>::RowLoss>;

  /// A row of a gradient that nobody needs is written to the team's scratch memory, and must fit into it.
  static constexpr Index most_outputs = 131'072;
  static_assert(most_outputs * sizeof(double) <= Team::scratch_bytes);

  NativeLoss(Function function, Reduction reduction) : Loss<T>(reduction), function_(std::move(function)) {
    check(function_.call != nullptr, "the function of a loss is null");
  }

  Runs runs() const override { return Runs::on_host; }

  void evaluate(const Pass<T>& pass, const MatrixView<const T>& p, const Targets<T>& targets, const T* weight,
                T* row_loss, const MatrixView<T>& dp) const override {
    T* const nowhere = reinterpret_cast<T*>(pass.team.scratch());
    const Range rows = pass.team.share(p.rows);
    for (Index i = rows.begin; i < rows.end; ++i) {
      if (p.cols > most_outputs) { // refused before it comes to this; what the function would write has no place
        row_loss[i] = std::numeric_limits<T>::quiet_NaN();
        continue;
      }
      const double factor = this->row_factor(p.rows, weight, i);
      T* const gradient = dp.data == nullptr ? nowhere : dp.row(i);
      const double loss = function_.call(p.cols, p.row(i), targets.values.row(i), gradient, function_.user);
      row_loss[i] = static_cast<T>(factor * loss);
      if (dp.data == nullptr) continue;
      for (Index j = 0; j < p.cols; ++j) gradient[j] *= static_cast<T>(factor);
    }
  }

private:
  Function function_;
};

} // namespace chainrule
