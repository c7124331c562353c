// Rprop: a step size for each parameter, which grows while the gradient keeps its sign and shrinks when it changes; the
// gradient's size does not count (formulas/updates.h). M. Riedmiller and H. Braun, ICNN 1993, in the form iRprop- of C.
// Igel and M. Huesken, NC 2000. For batch descent: the signs of small batches are noise.
//
// The step sizes are kept as multiples of the learning rate, where they start.
#pragma once

#include "nn/optimizers/optimizer.h"

namespace chainrule {

template <class T> class Rprop final : public Optimizer<T> {
public:
  Rprop(double rate, double shrink, double grow, double least, double most)
      : Optimizer<T>(rate), shrink_(shrink), grow_(grow), least_(representable<T>("least", least)),
        most_(positive<T>("most", most)) {
    check(shrink > 0 && shrink < 1, "shrink must be above 0 and below 1; got ", shrink);
    check(representable<T>("grow", grow) > 1, "grow must be above 1; got ", grow);
    check(least <= most, "least must be at most ", most, "; got ", least);
  }

  UpdateRule rule() const override { return UpdateRule::rprop; }

private:
  UpdateNumbers numbers(std::uint64_t) const override {
    return {.shrink = shrink_, .grow = grow_, .least = least_, .most = most_};
  }
  double state_start(int i) const override { return i == 1 ? 1 : 0; }

  double shrink_, grow_, least_, most_;
};

} // namespace chainrule
