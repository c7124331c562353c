// DecoupledDecay: weights shrink beside the gradient, which does not see it; no term of the loss.
//
//   w <- w - eta 2 lambda c w      I. Loshchilov and F. Hutter, ICLR 2019 (AdamW); with c = 1/2 it is eta lambda w
//   w <- w - 2 lambda c w          raw: as lecture [000] prints it, without the learning rate
//
// before the update, whose gradient was taken at the w of before. AdamW has the same, of all layers alike, in its
// update itself, where it costs no pass of its own (Optimizer).
#pragma once

#include "nn/penalties/penalty.h"

namespace chainrule {

template <class T> class DecoupledDecay final : public Penalty<T> {
public:
  DecoupledDecay(PenaltyStrength strength, bool raw) : strength_(std::move(strength)), raw_(raw) {
    strength_.check_numbers();
  }

  PenaltyActs acts() const override { return PenaltyActs::before_update; }

  double value(const Pass<T>&, std::span<const Parameter>, const PenaltyRows&, const T*, double*) const override {
    return 0;
  }

  void shrink(const Pass<T>& pass, std::span<const Parameter> parameters, const PenaltyRows& rows,
              const LayerRates& rates, T* w) const override {
    for (const Parameter& p : parameters) {
      const double decay = p.learns() ? 2 * strength_.of(p, rows) * (raw_ ? 1 : rates.of(p)) : 0;
      if (decay != 0) pass.kernels.scale(pass.team, 1 - decay, w + p.offset, w + p.offset, p.size());
    }
  }

private:
  PenaltyStrength strength_;
  bool raw_;
};

} // namespace chainrule
