// Inputs: the rows that a network is given, with all their numbers, or with those alone that are not 0. A view, passed
// by value.
#pragma once

#include "kernels.h"

namespace chainrule {

template <class T> struct Inputs {
  MatrixView<const T> dense{};
  SparseRows<T> sparse{}; // instead, where it has offsets

  Inputs() = default;
  Inputs(const MatrixView<const T>& rows) : dense(rows) {}
  Inputs(const MatrixView<T>& rows) : dense(rows) {}
  Inputs(const SparseRows<T>& rows) : sparse(rows) {}

  bool is_sparse() const { return sparse.offsets != nullptr; }
  Index rows() const { return is_sparse() ? sparse.rows : dense.rows; }
  Index cols() const { return is_sparse() ? sparse.cols : dense.cols; }

  /// Elements of a row that are there, on average, of rows that are in order.
  double row_elements() const {
    if (!is_sparse()) return static_cast<double>(dense.cols);
    const Index* begin = sparse.offsets + sparse.numbers.first;
    return sparse.rows == 0 ? 0 : static_cast<double>(begin[sparse.rows] - begin[0]) / static_cast<double>(sparse.rows);
  }

  /// The rows [first, first + count), of rows that are in order.
  Inputs part(Index first, Index count) const {
    if (is_sparse()) return sparse.chosen({.first = sparse.numbers.first + first}, count);
    return MatrixView<const T>{dense.row(first), count, dense.cols, dense.stride};
  }
};

} // namespace chainrule
