// What products are made of that add whole rows, one after the other: c = g(bias + x_0 r_0 + x_1 r_1 + ...). The sums
// wait in c itself. Which rows, and whose work they are, is the business of who asks.
#pragma once

#include "cpu/vector_math.h"
#include "kernels.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// c = bias, or 0 where there is none.
template <class T> void begin_row(const T* bias, Range cols, T* c) {
  each_vector<T>(cols,
                 [&](Index j, auto part) { store(bias != nullptr ? load(bias + j, part) : Vec<T>(0), c + j, part); });
}

/// c += number(0) * row(0) + number(1) * row(1) + ..., `count` of them: four rows at a time, each from its begin to its
/// end, as memory likes best, while the sums of all columns wait in c, in the first-level cache. Those of few columns
/// wait in a register instead. (128 rows of 10 columns, AVX-512: 0.36 us before, 0.15 now, AVX2: 0.34, 0.25.)
template <class T, class Number, class Row> void add_rows(Index count, Number number, Row row, Range cols, T* c) {
  if (cols.size() <= 2 * Vec<T>::width) {
    each_vector<T>(cols, [&](Index j, auto part) {
      Vec<T> total = load(c + j, part);
      for (Index p = 0; p < count; ++p) total = total + Vec<T>(number(p)) * load(row(p) + j, part);
      store(total, c + j, part);
    });
    return;
  }
  constexpr Index group = 4; // 2, 3, 8 and 16 were slower
  Index p = 0;
  for (; p + group <= count; p += group) {
    Vec<T> numbers[group];
    const T* rows[group];
#pragma GCC unroll 4
    for (Index q = 0; q < group; ++q) {
      numbers[q] = Vec<T>(number(p + q));
      rows[q] = row(p + q);
    }
    each_vector<T>(cols, [&](Index j, auto part) {
      Vec<T> total = load(c + j, part);
#pragma GCC unroll 4
      for (Index q = 0; q < group; ++q) total = total + numbers[q] * load(rows[q] + j, part);
      store(total, c + j, part);
    });
  }
  for (; p < count; ++p) {
    const Vec<T> one(number(p));
    const T* const from = row(p);
    each_vector<T>(cols,
                   [&](Index j, auto part) { store(load(c + j, part) + one * load(from + j, part), c + j, part); });
  }
}

/// c <- g(c), on a part of c.
template <class T> void activate(Activation activation, const MatrixView<T>& c, Range rows, Range cols) {
  if (activation.kind == ActivationKind::identity) return;
  with_formula(activation, [&](auto formula) {
    for (Index i = rows.begin; i < rows.end; ++i) {
      T* row = c.row(i);
      each_vector<T>(cols, [&](Index j, auto part) { store(formula.value(load(row + j, part)), row + j, part); });
    }
  });
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
