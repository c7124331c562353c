// What softmax and cross-entropy share: the shifted exponentials of one row and their sum.
#pragma once

#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T> struct SoftmaxRow {
  double most;  // m = max z
  double total; // sum over j of exp(z_j - m), at least 1
};

/// e (K) = exp(z - m). e may alias z, or be null where only the sum is wanted. A NaN in z makes all of e and the total
/// NaN.
template <class T> SoftmaxRow<T> softmax_row(const T* z, T* e, Index classes) {
  Vec<T> most(-std::numeric_limits<double>::infinity());
  each_vector<T>({0, classes},
                 [&](Index j, auto part) { most = select(lanes_of<T>(part), max(load(z + j, part), most), most); });
  const Vec<T> shift(max_of_lanes(most));
  Vec<T> total(0);
  each_vector<T>({0, classes}, [&](Index j, auto part) {
    const Vec<T> exponential = exp(load(z + j, part) - shift);
    total = total + select(lanes_of<T>(part), exponential, Vec<T>(0));
    if (e != nullptr) store(exponential, e + j, part);
  });
  return {static_cast<double>(shift.v[0]), static_cast<double>(sum_of_lanes(total))};
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
