// L2: lambda / 2 times the sum of squares of the weights, and of the biases if asked. Gradient: lambda w.
//
// The reading of lecture [000], and what PyTorch calls weight_decay in SGD.
#pragma once

#include "nn/numbers.h"
#include "nn/penalties/penalty.h"

namespace chainrule {

template <class T> class L2 final : public Penalty<T> {
public:
  L2(double strength, bool biases)
      : strength_(representable<T>("the strength of a penalty", strength)), biases_(biases) {}

  double value(const Pass<T>& pass, std::span<const Parameter> parameters, const T* w, double* blocks) const override {
    double sum = 0;
    for (const Parameter& parameter : parameters) {
      if (parameter.is_bias && !biases_) continue;
      pass.kernels.sum_squares(pass.team, w + parameter.offset, parameter.size(), blocks);
      pass.team.barrier();
      for (Index i = 0; i < (parameter.size() + sum_block - 1) / sum_block; ++i) sum += blocks[i];
      pass.team.barrier(); // the blocks are written again for the next parameter
    }
    return strength_ / 2 * sum;
  }

  void add_gradient(const Pass<T>& pass, std::span<const Parameter> parameters, const T* w, T* g) const override {
    for (const Parameter& parameter : parameters) {
      if (parameter.is_bias && !biases_) continue;
      pass.kernels.add_scaled(pass.team, strength_, w + parameter.offset, g + parameter.offset, parameter.size());
    }
  }

private:
  double strength_;
  bool biases_;
};

} // namespace chainrule
