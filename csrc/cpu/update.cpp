// One step of an update rule over all parameters: the loop around formulas/updates.h.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// The loop of one rule. `decays`: whether w is multiplied by keep first; where it is not, not even a product with 1
/// may be fused into the rule.
template <class T, bool decays, class Rule>
void each_parameter(Range range, Rule rule, const UpdateNumbers& given, T* w, const T* g,
                    const UpdateStates<T>& states) {
  const UpdateNumbers numbers = given; // a copy that no store to w can be taken to change
  constexpr int count = Rule::states;
  each_vector<T>(range, [&](Index i, auto part) {
    Vec<T> weight = load(w + i, part);
    if constexpr (decays) weight = Vec<T>(numbers.keep) * weight;
    Vec<T> first(0), second(0), third(0);
    if constexpr (count > 0) first = load(states.first + i, part);
    if constexpr (count > 1) second = load(states.second + i, part);
    if constexpr (count > 2) third = load(states.third + i, part);
    rule(numbers, weight, load(g + i, part), first, second, third);
    store(weight, w + i, part);
    if constexpr (count > 0) store(first, states.first + i, part);
    if constexpr (count > 1) store(second, states.second + i, part);
    if constexpr (count > 2) store(third, states.third + i, part);
  });
}

template <class T>
void update(const Team& team, UpdateRule rule, const UpdateNumbers& numbers, T* w, const T* g,
            const UpdateStates<T>& states, Index n) {
  const Range range = team.share(n, line_elements<T>);
  with_formula(rule, [&](auto formula) {
    if (numbers.keep != 1) {
      each_parameter<T, true>(range, formula, numbers, w, g, states);
    } else {
      each_parameter<T, false>(range, formula, numbers, w, g, states);
    }
  });
}

} // namespace

void list_update(Device& device) {
  device.float32.update = update<float>;
  device.float64.update = update<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
