// AdaDelta: steps in the units of the parameters themselves, by running means of squared gradients and squared steps
// (formulas/updates.h). M. Zeiler, arXiv:1212.5701.
#pragma once

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class AdaDelta final : public Optimizer<T> {
public:
  AdaDelta(double rate, double rho, double epsilon)
      : Optimizer<T>(rate), rho_(below_one("rho", rho)), epsilon_(positive<T>("eps", epsilon)) {}

  UpdateRule rule() const override { return UpdateRule::adadelta; }

private:
  UpdateNumbers numbers(std::uint64_t) const override { return {.beta2 = rho_, .epsilon = epsilon_}; }

  double rho_, epsilon_;
};

} // namespace chainrule
