// What softmax and cross-entropy share: the shifted exponentials of one row and their sum.
#pragma once

#include "cpu/greatest.h"
#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// e (K) = exp(z - m); returns their sum, at least 1. e may alias z, or be null where only the sum is wanted. A NaN in
/// z makes the sum NaN.
template <class T> double shifted_exponentials(const T* z, double m, T* e, Index classes) {
  const Vec<T> shift(m);
  Vec<T> total(0);
  each_vector<T>({0, classes}, [&](Index j, auto part) {
    const Vec<T> exponential = exp(load(z + j, part) - shift);
    total = total + select(lanes_of<T>(part), exponential, Vec<T>(0));
    if (e != nullptr) store(exponential, e + j, part);
  });
  return static_cast<double>(sum_of_lanes(total));
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
