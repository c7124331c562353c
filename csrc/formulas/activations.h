// Activations of one element: the value h = g(z), and the slope g'(z) written in terms of the output h, so that
// the backward pass needs no z. Softmax mixes the elements of a row and is an operation of its own.
//
// V is the number type: a vector on the CPU, a scalar on the GPU. It brings + - * / and comparisons, and the
// functions select(condition, a, b), exp, expm1, tanh, found where V is defined. Formulas are constexpr, which lets the
// CUDA compiler use them on the device without a word of CUDA here.
#pragma once

namespace chainrule {

struct Identity {
  //  g(z) = z                     g' = 1
  template <class V> constexpr V value(V z) const { return z; }
  template <class V> constexpr V slope(V) const { return V(1); }
};

struct Step {
  //  g(z) = 1 if z >= 0 else 0    g' = 0 (almost everywhere: a step learns nothing by gradients), or a in its place:
  //                               with a = 1 the gradient goes straight through, as in the perceptron's rule
  double a;
  template <class V> constexpr V value(V z) const { return select(z >= V(0), V(1), select(z < V(0), V(0), z)); }
  template <class V> constexpr V slope(V) const { return V(a); }
};

struct Sigmoid {
  //  g(z) = 1 / (1 + exp(-z))     g' = h (1 - h)
  template <class V> constexpr V value(V z) const { return V(1) / (V(1) + exp(V(0) - z)); }
  template <class V> constexpr V slope(V h) const { return h * (V(1) - h); }
};

struct Tanh {
  //  g(z) = tanh z                g' = 1 - h^2
  template <class V> constexpr V value(V z) const { return tanh(z); }
  template <class V> constexpr V slope(V h) const { return V(1) - h * h; }
};

struct Relu {
  //  g(z) = max(0, z)             g' = 1 if h > 0 else 0
  template <class V> constexpr V value(V z) const { return select(z < V(0), V(0), z); } // NaN stays NaN
  template <class V> constexpr V slope(V h) const { return select(h > V(0), V(1), V(0)); }
};

struct LeakyRelu {
  //  g(z) = z if z > 0 else a z   g' = 1 if h > 0 else a,   a >= 0
  double a;
  template <class V> constexpr V value(V z) const { return select(z > V(0), z, V(a) * z); }
  template <class V> constexpr V slope(V h) const { return select(h > V(0), V(1), V(a)); }
};

struct Elu {
  //  g(z) = z if z > 0 else a (exp(z) - 1)    g' = 1 if h > 0 else h + a,   a >= 0
  double a;
  template <class V> constexpr V value(V z) const { return select(z > V(0), z, V(a) * expm1(z)); }
  template <class V> constexpr V slope(V h) const { return select(h > V(0), V(1), h + V(a)); }
};

// The registry: (name, formula). One line here, and the enumeration, the names, both devices and every
// instruction set know it. `_{}` takes no parameter, `_{a}` takes one.
#define CHAINRULE_ACTIVATIONS(_)                                                                                       \
  _(identity, Identity{})                                                                                              \
  _(step, Step{a})                                                                                                     \
  _(sigmoid, Sigmoid{})                                                                                                \
  _(tanh, Tanh{})                                                                                                      \
  _(relu, Relu{})                                                                                                      \
  _(leaky_relu, LeakyRelu{a})                                                                                          \
  _(elu, Elu{a})

enum class ActivationKind {
#define CHAINRULE_LINE(name, formula) name,
  CHAINRULE_ACTIVATIONS(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

inline constexpr const char* activation_names[] = {
#define CHAINRULE_LINE(name, formula) #name,
    CHAINRULE_ACTIVATIONS(CHAINRULE_LINE)
#undef CHAINRULE_LINE
};

/// An activation with its parameter: the slope of leaky_relu and of the way back through step, the alpha of elu; unused
/// by the others.
struct Activation {
  ActivationKind kind = ActivationKind::identity;
  double a = 0;
};

/// Calls `function` with the formula that `activation` names.
template <class Function> void with_formula(Activation activation, Function function) {
  [[maybe_unused]] const double a = activation.a;
  switch (activation.kind) {
#define CHAINRULE_LINE(name, formula)                                                                                  \
  case ActivationKind::name:                                                                                           \
    return function(formula);
    CHAINRULE_ACTIVATIONS(CHAINRULE_LINE)
#undef CHAINRULE_LINE
  }
}

} // namespace chainrule
