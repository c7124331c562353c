// ProximalL1: the L1 penalty by its proximal step instead of its gradient, which makes weights exactly 0.
//
//   R = lambda c sum |w|
//   w <- sign(w) max(|w| - eta lambda c, 0)      after the update
//
// Lecture [002] says of L1 that it "can completely eliminate parameters": by its gradient they only come close. Source:
// the soft threshold of I. Daubechies et al., CPAM 57 (2004).
#pragma once

#include "nn/penalties/penalty.h"

namespace chainrule {

template <class T> class ProximalL1 final : public Penalty<T> {
public:
  explicit ProximalL1(PenaltyStrength strength) : strength_(std::move(strength)) { strength_.check_numbers(); }

  PenaltyActs acts() const override { return PenaltyActs::after_update; }

  double value(const Pass<T>& pass, std::span<const Parameter> parameters, const PenaltyRows& rows, const T* w,
               double* room) const override {
    double total = 0;
    for (const Parameter& one : parameters) {
      const double factor = strength_.of(one, rows);
      if (factor == 0) continue;
      TermSum<T> sum(pass, {PenaltyTermKind::absolute, 1}, room);
      sum.add(w + one.offset, one.size());
      total += factor * sum.value();
    }
    return total;
  }

  void shrink(const Pass<T>& pass, std::span<const Parameter> parameters, const PenaltyRows& rows,
              const LayerRates& rates, T* w) const override {
    for (const Parameter& p : parameters) {
      const double threshold = p.learns() ? rates.of(p) * strength_.of(p, rows) : 0;
      if (threshold != 0) pass.kernels.soft_threshold(pass.team, threshold, w + p.offset, w + p.offset, p.size());
    }
  }

private:
  PenaltyStrength strength_;
};

} // namespace chainrule
