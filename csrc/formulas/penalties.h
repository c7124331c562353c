// Terms of penalties: what one parameter w adds to a penalty, and the derivative of that by w. Strengths and scales
// (lambda, 1/2, 1/m) are applied outside.
//
// V is the number type; it brings + - *, comparisons, and the functions select, abs, exp and log. Where `in_double` is
// set, V is a number of double precision whatever the parameters are.
#pragma once

#include <cmath>

#include "formulas/sign.h"

namespace chainrule {

struct AbsoluteValue {
  //  r = |w|          dr/dw = sign(w), 0 where w = 0
  static constexpr bool in_double = false;
  template <class V> constexpr V value(V w) const { return abs(w); }
  template <class V> constexpr V slope(V w) const { return sign(w); }
};

struct Square {
  //  r = w^2          dr/dw = 2 w
  static constexpr bool in_double = false;
  template <class V> constexpr V value(V w) const { return w * w; }
  template <class V> constexpr V slope(V w) const { return V(2) * w; }
};

struct AbsolutePower {
  //  r = |w|^p        dr/dw = p |w|^(p-1) sign(w), 0 where w = 0;      p >= 1
  // |w|^q = exp(q log |w|): the rounding of the exponent, up to 745, becomes a relative error of as many units in the
  // last place. In double precision that does no harm. Numbers below 2^-1022 count as about that.
  static constexpr bool in_double = true;
  double p;
  template <class V> constexpr V power(V w, double q) const {
    return q == 0 ? V(1) : select(w == V(0), V(0), exp(V(q) * log(abs(w)))); // 0 log(infinity) is no number
  }
  template <class V> constexpr V value(V w) const { return power(w, p); }
  template <class V> constexpr V slope(V w) const { return V(p) * AbsoluteValue{}.slope(w) * power(w, p - 1); }
};

// The registry: (name, formula). `_{}` takes no parameter, `_{p}` takes one.
#define CHAINRULE_PENALTY_TERMS(_)                                                                                     \
  _(absolute, AbsoluteValue{})                                                                                         \
  _(square, Square{})                                                                                                  \
  _(power, AbsolutePower{p})

enum class PenaltyTermKind {
#define CHAINRULE_LINE(name, formula) name,
  CHAINRULE_PENALTY_TERMS(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

inline constexpr const char* penalty_term_names[] = {
#define CHAINRULE_LINE(name, formula) #name,
    CHAINRULE_PENALTY_TERMS(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

/// A term with its parameter, the p of power; unused by the others.
struct PenaltyTerm {
  PenaltyTermKind kind = PenaltyTermKind::square;
  double p = 0;
};

/// The p of a term: of which power of |w| it is.
constexpr double power_of(PenaltyTerm term) {
  return term.kind == PenaltyTermKind::absolute ? 1 : term.kind == PenaltyTermKind::square ? 2 : term.p;
}

/// The derivative of S^(1/p) by S, the sum of terms: 1/p S^(1/p - 1), and 0 where S = 0.
template <class Real> constexpr Real root_slope(PenaltyTerm term, Real sum) {
  const Real p = power_of(term);
  return sum > 0 ? std::pow(sum, 1 / p - 1) / p : Real(0);
}

/// Calls `function` with the formula that `term` names.
template <class Function> void with_formula(PenaltyTerm term, Function function) {
  const double p = term.p;
  switch (term.kind) {
#define CHAINRULE_LINE(name, formula)                                                                                  \
  case PenaltyTermKind::name:                                                                                          \
    return function(formula);
    CHAINRULE_PENALTY_TERMS(CHAINRULE_LINE)
#undef CHAINRULE_LINE
  }
}

} // namespace chainrule
