// One step of an update rule over all parameters: the loop around formulas/updates.h.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T>
void update(const Team& team, UpdateRule rule, const UpdateNumbers& numbers, T* w, const T* g, T* state1, T* state2,
            Index n) {
  with_formula(rule, [&](auto formula) {
    constexpr int states = decltype(formula)::states;
    each_vector<T>(team.share(n, line_elements<T>), [&](Index i, auto part) {
      Vec<T> weight = load(w + i, part);
      Vec<T> first(0), second(0);
      if constexpr (states > 0) first = load(state1 + i, part);
      if constexpr (states > 1) second = load(state2 + i, part);
      formula(numbers, weight, load(g + i, part), first, second);
      store(weight, w + i, part);
      if constexpr (states > 0) store(first, state1 + i, part);
      if constexpr (states > 1) store(second, state2 + i, part);
    });
  });
}

} // namespace

void list_update(Device& device) {
  device.float32.update = update<float>;
  device.float64.update = update<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
