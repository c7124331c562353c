// Plain arithmetic on flat arrays: y += factor x, and x = value.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> void add_scaled(const Team& team, double factor, const T* x, T* y, Index n) {
  const Vec<T> scale(factor);
  each_vector<T>(team.share(n, line_elements<T>),
                 [&](Index i, auto part) { store(load(y + i, part) + scale * load(x + i, part), y + i, part); });
}

template <class T> void fill(const Team& team, double value, T* x, Index n) {
  const Vec<T> values(value);
  each_vector<T>(team.share(n, line_elements<T>), [&](Index i, auto part) { store(values, x + i, part); });
}

} // namespace

void list_arithmetic(Device& device) {
  device.float32.add_scaled = add_scaled<float>;
  device.float64.add_scaled = add_scaled<double>;
  device.float32.fill = fill<float>;
  device.float64.fill = fill<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
