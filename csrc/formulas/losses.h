// Losses of one element: the value l(p, y) for a prediction p and a target y, and its derivative by p.
// Scales (1/2, 1/B, sample weights) are applied outside. Cross-entropy over several classes mixes the elements of
// a row and is an operation of its own.
//
// V is the number type; besides what activations need, it brings abs, log and log1p.
#pragma once

#include "formulas/sign.h"

namespace chainrule {

// The distance kept from 0 and 1 where a loss takes probabilities: a few units in the last place of 1 in float32,
// so that 1 - margin is still below 1 there. The same in float64, so that both precisions agree.
inline constexpr double probability_margin = 1e-7;

struct SquaredDifference {
  //  l = (p - y)^2                dl/dp = 2 (p - y)
  template <class V> constexpr V value(V p, V y) const { return (p - y) * (p - y); }
  template <class V> constexpr V slope(V p, V y) const { return V(2) * (p - y); }
};

struct AbsoluteDifference {
  //  l = |p - y|                  dl/dp = sign(p - y), 0 where p = y
  template <class V> constexpr V value(V p, V y) const { return abs(p - y); }
  template <class V> constexpr V slope(V p, V y) const { return sign(p - y); }
};

struct Huber {
  // With d = p - y:
  //  l = d^2 / 2 if |d| <= a else a (|d| - a / 2)      dl/dp = d kept within [-a, a]      (P. Huber 1964)
  double a;
  template <class V> constexpr V value(V p, V y) const {
    const V d = p - y;
    return select(abs(d) > V(a), V(a) * (abs(d) - V(a / 2)), V(0.5) * d * d);
  }
  template <class V> constexpr V slope(V p, V y) const {
    const V d = p - y;
    return select(d > V(a), V(a), select(d < V(-a), V(-a), d));
  }
};

struct Pinball {
  //  l = a (y - p) if y > p else (1 - a) (p - y)       dl/dp = -a if y > p, 1 - a if y < p, 0 where p = y
  // Least where p is the a-quantile of y (R. Koenker and G. Bassett 1978).
  double a;
  template <class V> constexpr V value(V p, V y) const { return select(y > p, V(a) * (y - p), V(1 - a) * (p - y)); }
  template <class V> constexpr V slope(V p, V y) const {
    return select(y > p, V(-a), select(y < p, V(1 - a), (p - y)));
  }
};

struct PoissonLog {
  // For counts y of mean exp(p), without the terms that do not hold p:
  //  l = exp(p) - y p             dl/dp = exp(p) - y
  template <class V> constexpr V value(V p, V y) const { return exp(p) - y * p; }
  template <class V> constexpr V slope(V p, V y) const { return exp(p) - y; }
};

struct Poisson {
  // For counts y of mean p, with f = p kept at least `probability_margin`:
  //  l = f - y log f              dl/dp = 1 - y / f; where p < f the 1 falls away, and the rest leads back
  template <class V> constexpr V inside(V p) const {
    return select(p < V(probability_margin), V(probability_margin), p);
  }
  template <class V> constexpr V value(V p, V y) const { return inside(p) - y * log(inside(p)); }
  template <class V> constexpr V slope(V p, V y) const {
    return select(p < V(probability_margin), V(0), V(1)) - y / inside(p);
  }
};

struct BinaryCrossEntropyLogits {
  // With f = sigmoid(p), p any number, and labels smoothed by a, y' = (1 - a) y + a / 2:
  //  l = -y' log f - (1 - y') log(1 - f) = max(p, 0) - p y' + log(1 + exp(-|p|))      dl/dp = f - y'
  double a;
  template <class V> constexpr V smoothed(V y) const { return V(1 - a) * y + V(a / 2); }
  template <class V> constexpr V value(V p, V y) const {
    return select(p < V(0), V(0), p) - p * smoothed(y) + log1p(exp(V(0) - abs(p)));
  }
  template <class V> constexpr V slope(V p, V y) const { return V(1) / (V(1) + exp(V(0) - p)) - smoothed(y); }
};

struct BinaryCrossEntropyProbabilities {
  // With f = p kept within [margin, 1 - margin], so that a wrong certainty costs much, not infinitely much, and the
  // same y':
  //  l = -y' log f - (1 - y') log(1 - f)      dl/dp = (f - y') / (f (1 - f))
  double a;
  template <class V> constexpr V smoothed(V y) const { return V(1 - a) * y + V(a / 2); }
  template <class V> constexpr V inside(V p) const {
    const V least(probability_margin), most = V(1) - least;
    return select(p < least, least, select(p > most, most, p));
  }
  template <class V> constexpr V value(V p, V y) const {
    const V f = inside(p), target = smoothed(y);
    return V(0) - target * log(f) - (V(1) - target) * log(V(1) - f);
  }
  template <class V> constexpr V slope(V p, V y) const {
    const V f = inside(p);
    return (f - smoothed(y)) / (f * (V(1) - f));
  }
};

// The registry: (name, formula). `_{}` takes no parameter, `_{a}` takes one.
#define CHAINRULE_ELEMENT_LOSSES(_)                                                                                    \
  _(squared_difference, SquaredDifference{})                                                                           \
  _(absolute_difference, AbsoluteDifference{})                                                                         \
  _(huber, Huber{a})                                                                                                   \
  _(pinball, Pinball{a})                                                                                               \
  _(poisson_log, PoissonLog{})                                                                                         \
  _(poisson, Poisson{})                                                                                                \
  _(binary_cross_entropy_logits, BinaryCrossEntropyLogits{a})                                                          \
  _(binary_cross_entropy_probabilities, BinaryCrossEntropyProbabilities{a})

enum class ElementLossKind {
#define CHAINRULE_LINE(name, formula) name,
  CHAINRULE_ELEMENT_LOSSES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

inline constexpr const char* element_loss_names[] = {
#define CHAINRULE_LINE(name, formula) #name,
    CHAINRULE_ELEMENT_LOSSES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

/// A loss with its parameter: where huber changes from square to line, the quantile of pinball, the smoothing of the
/// labels of a binary cross-entropy; unused by the others.
struct ElementLoss {
  ElementLossKind kind = ElementLossKind::squared_difference;
  double a = 0;
};

/// Calls `function` with the formula that `loss` names.
template <class Function> void with_formula(ElementLoss loss, Function function) {
  const double a = loss.a;
  switch (loss.kind) {
#define CHAINRULE_LINE(name, formula)                                                                                  \
  case ElementLossKind::name:                                                                                          \
    return function(formula);
    CHAINRULE_ELEMENT_LOSSES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
  }
}

} // namespace chainrule
