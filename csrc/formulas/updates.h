// Update rules of one parameter: from its gradient g and its state to its new value w.
//
//   eta the rate,  beta1 and beta2 decays,  eps the epsilon,  c1 and c2 the bias corrections (1: none)
//
// V is the number type; it brings + - * / and comparisons, and the functions select and sqrt. All rules are called with
// three states; those that a rule has not, the last ones, it leaves alone.
#pragma once

#include <limits>

#include "formulas/sign.h"

namespace chainrule {

/// The numbers of one step, the same for every parameter. A rule takes those that it names.
struct UpdateNumbers {
  double rate = 0;        // eta, the learning rate
  double beta1 = 0;       // decay of the running mean of gradients
  double beta2 = 0;       // decay of the running mean of squared gradients
  double epsilon = 0;     // keeps a division finite
  double correction1 = 1; // 1 - beta1^t, or 1 for no bias correction
  double correction2 = 1; // 1 - beta2^t, or 1
  double gain = 1;        // momentum: what the gradient adds to the memory
  double memory = 0;      // nadam: weight of the memory in the step
  double fresh = 1;       // nadam: weight of the gradient in the step
  double shrink = 0.5;    // rprop: factor of a step size whose gradient changed sign
  double grow = 1.2;      // rprop: factor of a step size whose gradient kept its sign
  double least = 0;       // rprop: smallest and largest step
  double most = 0;
  double keep = 1; // decoupled decay: the operation multiplies w by it before it calls the rule
};

struct GradientDescent {
  //  w <- w - eta g
  static constexpr int states = 0;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V&, V&, V&) const {
    w = w - V(u.rate) * g;
  }
};

// Memories of gradients --------------------------------------------------------------------------------------------

struct MomentumRule {
  //  v <- beta1 v + gain g;         w <- w - eta v
  // gain 1: a running sum (Polyak 1964; PyTorch); gain 1 - beta1: a running mean (lecture [002]).
  static constexpr int states = 1;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& v, V&, V&) const {
    v = V(u.beta1) * v + V(u.gain) * g;
    w = w - V(u.rate) * v;
  }
};

struct NesterovRule {
  //  v <- beta1 v + g;              w <- w - eta (g + beta1 v)     (Nesterov 1983, in the form of Sutskever 2013)
  static constexpr int states = 1;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& v, V&, V&) const {
    v = V(u.beta1) * v + g;
    w = w - V(u.rate) * (g + V(u.beta1) * v);
  }
};

// Signs of gradients -----------------------------------------------------------------------------------------------

struct RpropRule {
  // With h the gradient before and d the step size in units of eta, 1 at first:
  //  d <- d shrink if g h < 0, d grow if g h > 0, kept within [least, most] / eta;   g <- 0 if g h < 0
  //  w <- w - eta d sign(g);   h <- g                              (iRprop-: Igel and Huesken 2000)
  static constexpr int states = 2;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& before, V& size, V&) const {
    const bool moves = u.rate > 0; // at a rate of 0 no multiple of it is within the bounds
    const V least(moves ? u.least / u.rate : 0),
        most(moves ? u.most / u.rate : std::numeric_limits<double>::infinity());
    const V agreement = sign(g) * sign(before); // a product of small gradients themselves might be rounded to 0
    const V grown = select(agreement > V(0), V(u.grow), select(agreement < V(0), V(u.shrink), V(1))) * size;
    size = select(grown < least, least, select(grown > most, most, grown));
    before = select(agreement < V(0), V(0), g);
    w = w - V(u.rate) * size * sign(before);
  }
};

// Means of squared gradients ---------------------------------------------------------------------------------------

// The rules below divide by the root of a mean of squares, and have epsilon outside of it, as libraries do, or inside,
// as lecture [002] does.

/// sqrt(s / c2) + eps, or sqrt(s / c2 + eps).
template <bool inside, class V> constexpr V root_of(const UpdateNumbers& u, V s) {
  const V corrected = s * V(1 / u.correction2);
  if constexpr (inside) return sqrt(corrected + V(u.epsilon));
  return sqrt(corrected) + V(u.epsilon);
}

/// beta1 v + (1 - beta1) g
template <class V> constexpr V mean_of_gradients(const UpdateNumbers& u, V v, V g) {
  return V(u.beta1) * v + V(1 - u.beta1) * g;
}

/// beta2 s + (1 - beta2) g^2
template <class V> constexpr V mean_of_squares(const UpdateNumbers& u, V s, V g) {
  return V(u.beta2) * s + V(1 - u.beta2) * g * g;
}

template <bool inside> struct AdaGradRule {
  //  s <- s + g^2;                  w <- w - eta g / root(s)       (Duchi, Hazan and Singer 2011)
  static constexpr int states = 1;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& s, V&, V&) const {
    s = s + g * g;
    w = w - V(u.rate) * g / root_of<inside>(u, s);
  }
};
using AdaGradEpsilonOutside = AdaGradRule<false>;
using AdaGradEpsilonInside = AdaGradRule<true>;

struct AdaDeltaRule {
  //  s <- beta2 s + (1 - beta2) g^2;   d = sqrt(r + eps) / sqrt(s + eps) g;   r <- beta2 r + (1 - beta2) d^2
  //  w <- w - eta d                                                (Zeiler 2012)
  static constexpr int states = 2;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& s, V& r, V&) const {
    s = mean_of_squares(u, s, g);
    const V d = sqrt(r + V(u.epsilon)) / sqrt(s + V(u.epsilon)) * g;
    r = mean_of_squares(u, r, d);
    w = w - V(u.rate) * d;
  }
};

template <bool inside> struct RMSpropRule {
  //  s <- beta2 s + (1 - beta2) g^2;   w <- w - eta g / root(s)    (Tieleman and Hinton 2012)
  static constexpr int states = 1;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& s, V&, V&) const {
    s = mean_of_squares(u, s, g);
    w = w - V(u.rate) * g / root_of<inside>(u, s);
  }
};
using RMSpropEpsilonOutside = RMSpropRule<false>;
using RMSpropEpsilonInside = RMSpropRule<true>;

template <bool inside> struct AdamRule {
  //  v <- beta1 v + (1 - beta1) g;  s <- beta2 s + (1 - beta2) g^2
  //  w <- w - eta (v / c1) / root(s)                               (Kingma and Ba 2015)
  static constexpr int states = 2;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& v, V& s, V&) const {
    v = mean_of_gradients(u, v, g);
    s = mean_of_squares(u, s, g);
    w = w - V(u.rate / u.correction1) * v / root_of<inside>(u, s);
  }
};
using AdamEpsilonOutside = AdamRule<false>;
using AdamEpsilonInside = AdamRule<true>;

template <bool inside> struct NAdamRule {
  //  the same v and s;  w <- w - eta (memory v + fresh g) / root(s)         (Dozat 2016)
  static constexpr int states = 2;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& v, V& s, V&) const {
    v = mean_of_gradients(u, v, g);
    s = mean_of_squares(u, s, g);
    w = w - V(u.rate) * (V(u.memory) * v + V(u.fresh) * g) / root_of<inside>(u, s);
  }
};
using NAdamEpsilonOutside = NAdamRule<false>;
using NAdamEpsilonInside = NAdamRule<true>;

template <bool inside> struct AMSGradRule {
  //  the same v and s;  m <- max(m, s);   w <- w - eta (v / c1) / root(m)   (Reddi, Kale and Kumar 2018; PyTorch)
  static constexpr int states = 3;
  template <class V> constexpr void operator()(const UpdateNumbers& u, V& w, V g, V& v, V& s, V& m) const {
    v = mean_of_gradients(u, v, g);
    s = mean_of_squares(u, s, g);
    m = select(m > s, m, s); // NaN, once there, stays in s
    w = w - V(u.rate / u.correction1) * v / root_of<inside>(u, m);
  }
};
using AMSGradEpsilonOutside = AMSGradRule<false>;
using AMSGradEpsilonInside = AMSGradRule<true>;

// The registry: (name, formula).
#define CHAINRULE_UPDATE_RULES(_)                                                                                      \
  _(gradient_descent, GradientDescent{})                                                                               \
  _(momentum, MomentumRule{})                                                                                          \
  _(nesterov, NesterovRule{})                                                                                          \
  _(adagrad, AdaGradEpsilonOutside{})                                                                                  \
  _(adagrad_epsilon_inside, AdaGradEpsilonInside{})                                                                    \
  _(adadelta, AdaDeltaRule{})                                                                                          \
  _(rmsprop, RMSpropEpsilonOutside{})                                                                                  \
  _(rmsprop_epsilon_inside, RMSpropEpsilonInside{})                                                                    \
  _(rprop, RpropRule{})                                                                                                \
  _(adam, AdamEpsilonOutside{})                                                                                        \
  _(adam_epsilon_inside, AdamEpsilonInside{})                                                                          \
  _(nadam, NAdamEpsilonOutside{})                                                                                      \
  _(nadam_epsilon_inside, NAdamEpsilonInside{})                                                                        \
  _(amsgrad, AMSGradEpsilonOutside{})                                                                                  \
  _(amsgrad_epsilon_inside, AMSGradEpsilonInside{})

enum class UpdateRule {
#define CHAINRULE_LINE(name, formula) name,
  CHAINRULE_UPDATE_RULES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

inline constexpr const char* update_rule_names[] = {
#define CHAINRULE_LINE(name, formula) #name,
    CHAINRULE_UPDATE_RULES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

/// How many state arrays each rule keeps, as long as the parameters.
inline constexpr int update_rule_states[] = {
#define CHAINRULE_LINE(name, formula) decltype(formula)::states,
    CHAINRULE_UPDATE_RULES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

/// Calls `function` with the formula that `rule` names.
template <class Function> void with_formula(UpdateRule rule, Function function) {
  switch (rule) {
#define CHAINRULE_LINE(name, formula)                                                                                  \
  case UpdateRule::name:                                                                                               \
    return function(formula);
    CHAINRULE_UPDATE_RULES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
  }
}

} // namespace chainrule
