// One step of an update rule over all parameters, on the GPU: formulas/updates.h for a thread each.
#include "cuda/launch.h"
#include "cuda/number.h"
#include "cuda/operations.h"

namespace chainrule::cuda {
namespace {

/// `decays`: whether w is multiplied by keep first; where it is not, not even a product with 1 may be fused into the
/// rule.
template <class T, bool decays, class Rule> struct Step {
  Rule rule;
  UpdateNumbers numbers;
  T* w;
  const T* g;
  UpdateStates<T> states;

  __device__ void operator()(Index i) const {
    using V = Number<T>;
    constexpr int count = Rule::states;
    V weight(w[i]), first(0), second(0), third(0);
    if constexpr (decays) weight = V(numbers.keep) * weight;
    if constexpr (count > 0) first = V(states.first[i]);
    if constexpr (count > 1) second = V(states.second[i]);
    if constexpr (count > 2) third = V(states.third[i]);
    rule(numbers, weight, V(g[i]), first, second, third);
    w[i] = weight.v;
    if constexpr (count > 0) states.first[i] = first.v;
    if constexpr (count > 1) states.second[i] = second.v;
    if constexpr (count > 2) states.third[i] = third.v;
  }
};

template <class T>
void update(const Team&, UpdateRule rule, const UpdateNumbers& numbers, T* w, const T* g, const UpdateStates<T>& states,
            Index n) {
  with_formula(rule, [&](auto formula) {
    using Rule = decltype(formula);
    if (numbers.keep != 1) {
      for_elements("update", n, Step<T, true, Rule>{formula, numbers, w, g, states});
    } else {
      for_elements("update", n, Step<T, false, Rule>{formula, numbers, w, g, states});
    }
  });
}

} // namespace

void list_update(Device& device) {
  device.float32.update = update<float>;
  device.float64.update = update<double>;
}

} // namespace chainrule::cuda
