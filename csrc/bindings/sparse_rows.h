// BoundSparseRows: sparse rows as Python holds them: copies of the three arrays of CSR, checked once. Nobody may change
// what was checked, so they are never shown but as copies.
#pragma once

#include <memory>
#include <variant>

#include "bindings/arrays.h"
#include "core/buffer.h"
#include "train/network.h"

namespace chainrule::bindings {

class BoundSparseRows {
public:
  /// Of a matrix of `cols` columns, from the arrays that SciPy calls indptr, indices and data: whole numbers of 32 or
  /// 64 bits, and finite float32 or float64. Elements behind the last offset are left out.
  BoundSparseRows(const py::object& offsets, const py::object& columns, const py::array& values, Index cols);

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  const char* dtype() const { return kept_->values.index() == 0 ? "float32" : "float64"; }

  /// Throws where the numbers are not of type T.
  template <class T> SparseRows<T> view() const {
    const auto* values = std::get_if<Buffer<T>>(&kept_->values);
    if (values == nullptr) throw py::type_error(text("sparse rows must have the network's dtype; got ", dtype()));
    return {.offsets = kept_->offsets.data(),
            .columns = kept_->columns.data(),
            .values = values->data(),
            .rows = rows_,
            .cols = cols_};
  }

  /// The first `count` rows, not copied.
  BoundSparseRows first(Index count) const;
  /// Copies of the rows that `numbers` (int32) names.
  BoundSparseRows take(const py::object& numbers) const;
  /// Copies of the three arrays.
  py::tuple arrays() const;

private:
  struct Kept {
    Buffer<Index> offsets;
    Buffer<std::int32_t> columns;
    std::variant<Buffer<float>, Buffer<double>> values;
  };
  template <class T> void take_from(const SparseRows<T>& rows, Kept& kept) const;

  std::shared_ptr<const Kept> kept_;
  Index rows_ = 0, cols_;
};

/// The rows of x in the memory of this process, for a network: an array of NumPy, or sparse rows. x becomes what keeps
/// them alive.
template <class T> Inputs<T> inputs_of(const Network<T>& network, py::object& x) {
  const Index inputs = network.inputs();
  if (py::isinstance<BoundSparseRows>(x)) {
    const auto& rows = x.cast<const BoundSparseRows&>();
    check(rows.cols() == inputs, "x must have ", inputs, " columns; got ", rows.cols());
    network.check_takes_sparse();
    return rows.view<T>();
  }
  const Array<T> array = array_of<T>(x, "x", {-1, inputs});
  x = array;
  return view_of(array);
}

} // namespace chainrule::bindings
