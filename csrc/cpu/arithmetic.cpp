// Plain arithmetic on flat arrays: sums, products, limits.
#include "cpu/operations.h"
#include "cpu/vector.h"
#include "formulas/clipping.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// y = f(x), element by element.
template <class T, class Function> void map(const Team& team, const T* x, T* y, Index n, Function function) {
  each_vector<T>(team.share(n, line_elements<T>),
                 [&](Index i, auto part) { store(function(load(x + i, part)), y + i, part); });
}

template <class T> void add_scaled(const Team& team, double factor, const T* x, T* y, Index n) {
  const Vec<T> scale(factor);
  each_vector<T>(team.share(n, line_elements<T>),
                 [&](Index i, auto part) { store(load(y + i, part) + scale * load(x + i, part), y + i, part); });
}

template <class T> void scale(const Team& team, double factor, const T* x, T* y, Index n) {
  if (factor == 1) { // what a layer that does nothing in prediction asks for
    const Range share = team.share(n, line_elements<T>);
    if (x != y) std::memcpy(y + share.begin, x + share.begin, static_cast<std::size_t>(share.size()) * sizeof(T));
    return;
  }
  map(team, x, y, n, [f = Vec<T>(factor)](Vec<T> v) { return f * v; });
}

template <class T> void multiply(const Team& team, const T* x, const T* factors, T* y, Index n) {
  each_vector<T>(team.share(n, line_elements<T>),
                 [&](Index i, auto part) { store(load(x + i, part) * load(factors + i, part), y + i, part); });
}

template <class T> void clip(const Team& team, double limit, const T* x, T* y, Index n) {
  const Vec<T> least(-limit), most(limit);
  map(team, x, y, n, [&](Vec<T> v) { return select(v < least, least, select(v > most, most, v)); });
}

template <class T> void clip_norm(const Team& team, double limit, const double* squares, T* g, Index n) {
  const double factor = clip_factor(limit, *squares);
  if (factor < 1) scale(team, factor, g, g, n);
}

template <class T> void soft_threshold(const Team& team, double threshold, const T* x, T* y, Index n) {
  const Vec<T> t(threshold), minus_t(-threshold);
  map(team, x, y, n, [&](Vec<T> v) {
    return select(v > t, v - t, select(v < minus_t, v + t, v - v)); // v - v: 0, or NaN
  });
}

template <class T> void fill(const Team& team, double value, T* x, Index n) {
  const Vec<T> values(value);
  each_vector<T>(team.share(n, line_elements<T>), [&](Index i, auto part) { store(values, x + i, part); });
}

} // namespace

void list_arithmetic(Device& device) {
  device.float32.add_scaled = add_scaled<float>;
  device.float64.add_scaled = add_scaled<double>;
  device.float32.scale = scale<float>;
  device.float64.scale = scale<double>;
  device.float32.multiply = multiply<float>;
  device.float64.multiply = multiply<double>;
  device.float32.clip = clip<float>;
  device.float64.clip = clip<double>;
  device.float32.clip_norm = clip_norm<float>;
  device.float64.clip_norm = clip_norm<double>;
  device.float32.soft_threshold = soft_threshold<float>;
  device.float64.soft_threshold = soft_threshold<double>;
  device.float32.fill = fill<float>;
  device.float64.fill = fill<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
