// The exponentials of a few classes, many rows at once: a register holds one class of as many rows as it has lanes, so
// that no lane is idle and nothing is summed across lanes. What softmax and cross-entropy of few classes share.
//
//   e_j = exp(z_j - m),   m = max z,   total = sum_j e_j
//
// Many classes go row by row (softmax_row.h).
#pragma once

#include "cpu/turned.h"
#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// Beyond, rows fill their registers well enough on their own.
template <class T> constexpr Index narrow_classes = 2 * Vec<T>::width;

/// Of as many rows as a register has lanes, a lane each.
template <class T> struct NarrowRows {
  Vec<T> e[narrow_classes<T>];
  Vec<T> most, total;
};

/// `count` rows of logits, at most a register's lanes; shows each class j, its z_j and m. A NaN in a row makes its
/// total NaN.
template <class T, class Show>
void exponentials(const MatrixView<const T>& z, Index first, Index count, NarrowRows<T>& rows, Show show) {
  constexpr Index width = Vec<T>::width;
  rows.most = Vec<T>(-std::numeric_limits<double>::infinity());
  for (Index j = 0; j < z.cols; j += width) {
    Vec<T> square[width];
    load_turned(z.row(first) + j, z.stride, count, smaller(width, z.cols - j), square);
    for (Index s = 0; s < width && j + s < z.cols; ++s) {
      rows.e[j + s] = square[s];
      rows.most = max(square[s], rows.most); // NaN is passed over
    }
  }
  rows.total = Vec<T>(0);
  for (Index j = 0; j < z.cols; ++j) {
    show(j, rows.e[j], rows.most);
    rows.e[j] = exp(rows.e[j] - rows.most);
    rows.total = rows.total + rows.e[j];
  }
}

/// Writes value(j, e_j) of `count` rows to those of `to`, from its row `first` on.
template <class T, class Value>
void store_rows(const NarrowRows<T>& rows, Index first, Index count, const MatrixView<T>& to, Value value) {
  constexpr Index width = Vec<T>::width;
  for (Index j = 0; j < to.cols; j += width) {
    const Index cols = smaller(width, to.cols - j);
    Vec<T> square[width];
    for (Index s = 0; s < width; ++s) square[s] = s < cols ? value(j + s, rows.e[j + s]) : Vec<T>(0);
    store_turned(square, to.row(first) + j, to.stride, count, cols);
  }
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
