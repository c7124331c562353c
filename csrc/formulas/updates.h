// Update rules of one parameter: from its gradient g and its state (v, s) to its new value w.
//
// V is the number type; it brings + - * / and sqrt.
#pragma once

namespace chainrule {

/// The numbers of one step, the same for every parameter. A rule takes those that it names.
struct UpdateNumbers {
  double rate = 0;        // eta, the learning rate
  double beta1 = 0;       // decay of the running mean of gradients
  double beta2 = 0;       // decay of the running mean of squared gradients
  double epsilon = 0;     // keeps a division finite
  double correction1 = 1; // 1 - beta1^t, or 1 for no bias correction
  double correction2 = 1; // 1 - beta2^t, or 1
};

struct GradientDescent {
  //  w <- w - eta g
  static constexpr int states = 0;
  template <class V> void operator()(const UpdateNumbers& u, V& w, V g, V&, V&) const { w = w - V(u.rate) * g; }
};

struct MomentumEma {
  //  v <- beta v + (1 - beta) g;    w <- w - eta v          (lecture [002]; v is a running mean)
  static constexpr int states = 1;
  template <class V> void operator()(const UpdateNumbers& u, V& w, V g, V& v, V&) const {
    v = V(u.beta1) * v + V(1 - u.beta1) * g;
    w = w - V(u.rate) * v;
  }
};

struct MomentumHeavyBall {
  //  v <- beta v + g;               w <- w - eta v          (Polyak 1964; PyTorch, with v a running sum)
  static constexpr int states = 1;
  template <class V> void operator()(const UpdateNumbers& u, V& w, V g, V& v, V&) const {
    v = V(u.beta1) * v + g;
    w = w - V(u.rate) * v;
  }
};

struct MomentumNesterov {
  //  v <- beta v + g;               w <- w - eta (g + beta v)   (Nesterov 1983, in the form of Sutskever 2013)
  static constexpr int states = 1;
  template <class V> void operator()(const UpdateNumbers& u, V& w, V g, V& v, V&) const {
    v = V(u.beta1) * v + g;
    w = w - V(u.rate) * (g + V(u.beta1) * v);
  }
};

struct AdamEpsilonOutside {
  //  v <- beta1 v + (1 - beta1) g;  s <- beta2 s + (1 - beta2) g^2
  //  w <- w - eta (v / c1) / (sqrt(s / c2) + eps)           (Kingma and Ba 2015; c1 = c2 = 1: no bias correction)
  static constexpr int states = 2;
  template <class V> void operator()(const UpdateNumbers& u, V& w, V g, V& v, V& s) const {
    v = V(u.beta1) * v + V(1 - u.beta1) * g;
    s = V(u.beta2) * s + V(1 - u.beta2) * g * g;
    w = w - V(u.rate / u.correction1) * v / (sqrt(s * V(1 / u.correction2)) + V(u.epsilon));
  }
};

struct AdamEpsilonInside {
  //  the same v and s;  w <- w - eta (v / c1) / sqrt(s / c2 + eps)      (lecture [002])
  static constexpr int states = 2;
  template <class V> void operator()(const UpdateNumbers& u, V& w, V g, V& v, V& s) const {
    v = V(u.beta1) * v + V(1 - u.beta1) * g;
    s = V(u.beta2) * s + V(1 - u.beta2) * g * g;
    w = w - V(u.rate / u.correction1) * v / sqrt(s * V(1 / u.correction2) + V(u.epsilon));
  }
};

// The registry: (name, formula).
#define CHAINRULE_UPDATE_RULES(_)                                                                                      \
  _(gradient_descent, GradientDescent{})                                                                               \
  _(momentum_ema, MomentumEma{})                                                                                       \
  _(momentum_heavy_ball, MomentumHeavyBall{})                                                                          \
  _(momentum_nesterov, MomentumNesterov{})                                                                             \
  _(adam, AdamEpsilonOutside{})                                                                                        \
  _(adam_epsilon_inside, AdamEpsilonInside{})

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
