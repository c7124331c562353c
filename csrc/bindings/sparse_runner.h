// The operations on sparse rows, for bind_kernels.cpp, which has the others.
#pragma once

#include <tuple>

#include "bindings/augmentation_runner.h"
#include "bindings/sparse_rows.h"
#include "nn/layers/layer_activation.h"

namespace chainrule::bindings {

/// Offsets, columns and values.
using Csr = std::tuple<py::object, py::object, py::array>;

template <class T> class SparseRunner : public AugmentationRunner<T> {
  using Base = AugmentationRunner<T>;

public:
  using Base::Base;

  Array<T> sparse_product(const Csr& s_in, const py::object& w_in, const py::object& rows, const py::object& bias_in,
                          const std::string& activation, double parameter) {
    const Array<T> w = array_of<T>(w_in, "w", {-1, -1});
    const Given s(s_in, w.shape(0), rows);
    const Activation g = activation_named(activation, parameter);
    std::optional<const Array<T>> bias;
    if (!bias_in.is_none()) bias.emplace(array_of<T>(bias_in, "bias", {w.shape(1)}));
    Array<T> z = result(py::none(), "", {s.view().rows, w.shape(1)});
    const auto product = offered().sparse_product;
    run([&](const Team& team) {
      product(team, s.view(), view(w), view(z), {.bias = bias ? at(*bias) : nullptr, .activation = g});
    });
    return z;
  }

  Array<T> sparse_gradient(const Csr& s_in, const py::object& dz_in, Index inputs, const py::object& rows,
                           const py::object& add_to) {
    const Given s(s_in, inputs, rows);
    const Array<T> dz = array_of<T>(dz_in, "dz", {s.view().rows, -1});
    Array<T> dw = result(add_to, "add_to", {inputs, dz.shape(1)});
    const Write write = add_to.is_none() ? Write::overwrite : Write::add;
    const auto gradient = offered().sparse_gradient;
    run([&](const Team& team) { gradient(team, s.view(), view(dz), view(dw), write); });
    return dw;
  }

protected:
  using Base::at, Base::device_, Base::result, Base::run, Base::view;

private:
  /// Sparse rows, or some of them.
  class Given {
  public:
    Given(const Csr& s, Index cols, const py::object& rows)
        : kept_(std::get<0>(s), std::get<1>(s), std::get<2>(s), cols), all_(rows.is_none()) {
      if (!all_) numbers_ = row_numbers(rows, kept_.rows());
    }
    SparseRows<T> view() const {
      const SparseRows<T> kept = kept_.template view<T>();
      return all_ ? kept : kept.chosen({.numbers = numbers_.data()}, numbers_.size());
    }

  private:
    BoundSparseRows kept_;
    bool all_;
    Buffer<std::int32_t> numbers_;
  };

  const SparseProducts<T>& offered() const {
    const SparseProducts<T>& products = device_.template sparse<T>();
    check(products.sparse_product != nullptr, "the table ", device_.name, " has no products of sparse rows");
    return products;
  }
};

} // namespace chainrule::bindings
