// Losses of one element: the value l(p, y) for a prediction p and a target y, and its derivative by p.
// Scales (1/2, 1/B, sample weights) are applied outside. Cross-entropy over several classes mixes the elements of
// a row and is an operation of its own.
//
// V is the number type; besides what activations need, it brings abs, log and log1p.
#pragma once

namespace chainrule {

struct SquaredDifference {
  //  l = (p - y)^2                dl/dp = 2 (p - y)
  template <class V> V value(V p, V y) const { return (p - y) * (p - y); }
  template <class V> V slope(V p, V y) const { return V(2) * (p - y); }
};

struct AbsoluteDifference {
  //  l = |p - y|                  dl/dp = sign(p - y), 0 where p = y
  template <class V> V value(V p, V y) const { return abs(p - y); }
  template <class V> V slope(V p, V y) const {
    return select(p > y, V(1), select(p < y, V(-1), (p - y))); // p - y: 0, or NaN
  }
};

struct BinaryCrossEntropyLogits {
  // With f = sigmoid(p), p any number:
  //  l = -y log f - (1 - y) log(1 - f) = max(p, 0) - p y + log(1 + exp(-|p|))      dl/dp = f - y
  template <class V> V value(V p, V y) const { return select(p < V(0), V(0), p) - p * y + log1p(exp(V(0) - abs(p))); }
  template <class V> V slope(V p, V y) const { return V(1) / (V(1) + exp(V(0) - p)) - y; }
};

struct BinaryCrossEntropyProbabilities {
  //  l = -y log p - (1 - y) log(1 - p)      dl/dp = (p - y) / (p (1 - p))
  // p is kept at least `tiny` away from 0 and 1, so that a wrong certainty costs much, not infinitely much.
  double tiny;
  template <class V> V inside(V p) const {
    return select(p < V(tiny), V(tiny), select(p > V(1) - V(tiny), V(1) - V(tiny), p));
  }
  template <class V> V value(V p, V y) const {
    const V f = inside(p);
    return V(0) - y * log(f) - (V(1) - y) * log(V(1) - f);
  }
  template <class V> V slope(V p, V y) const {
    const V f = inside(p);
    return (f - y) / (f * (V(1) - f));
  }
};

// The distance kept from 0 and 1 where a loss takes probabilities: a few units in the last place of 1 in float32,
// so that 1 - tiny is still below 1 there. The same in float64, so that both precisions agree.
inline constexpr double probability_margin = 1e-7;

// The registry: (name, formula).
#define CHAINRULE_ELEMENT_LOSSES(_)                                                                                    \
  _(squared_difference, SquaredDifference{})                                                                           \
  _(absolute_difference, AbsoluteDifference{})                                                                         \
  _(binary_cross_entropy_logits, BinaryCrossEntropyLogits{})                                                           \
  _(binary_cross_entropy_probabilities, BinaryCrossEntropyProbabilities{probability_margin})

enum class ElementLoss {
#define CHAINRULE_LINE(name, formula) name,
  CHAINRULE_ELEMENT_LOSSES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

inline constexpr const char* element_loss_names[] = {
#define CHAINRULE_LINE(name, formula) #name,
    CHAINRULE_ELEMENT_LOSSES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

/// Calls `function` with the formula that `loss` names.
template <class Function> void with_formula(ElementLoss loss, Function function) {
  switch (loss) {
#define CHAINRULE_LINE(name, formula)                                                                                  \
  case ElementLoss::name:                                                                                              \
    return function(formula);
    CHAINRULE_ELEMENT_LOSSES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
  }
}

} // namespace chainrule
