// Affine: z = x W + b, the part that Dense, DropConnect and Maxout share.
//
//   forward    z = x W + b
//   backward   dW = x^T dz        db = sum of dz over rows        dx = dz W^T
//
// x (B, in), W (in, out), b (out), z (B, out). Lecture [004] writes W as (out, in) and z = W x; ours is the
// transpose, rows are samples.
#pragma once

#include <optional>

#include "nn/layers/layer.h"

namespace chainrule {

template <class T> struct Affine {
  Index columns = 0; // out
  bool bias = true;
  Initializer weight_init, bias_init;
  std::optional<Constraint> constraint;

  /// W, and b if there is one. fan_out: the units that W leads to, the columns unless a unit has several.
  std::vector<Parameter> parameters(Index inputs, Index fan_out) const {
    std::vector<Parameter> list{
        {"weight", {inputs, columns}, Role::weight, weight_init, inputs, fan_out, constraint},
    };
    if (bias) list.push_back({"bias", {columns}, Role::bias, bias_init, inputs, fan_out});
    return list;
  }

  MatrixView<const T> weight(const LayerPlace<T>& place, Index inputs) const {
    return dense_view<const T>(place.parameters, inputs, columns);
  }
  MatrixView<T> weight_gradient(const LayerPlace<T>& place, Index inputs) const {
    return dense_view<T>(place.gradients, inputs, columns);
  }

  /// All of it, with an activation, for a step that a device takes as one.
  NarrowLayer<T> narrow(const LayerPlace<T>& place, Index inputs, Activation activation) const {
    const Index bias_at = bias_offset(inputs);
    const bool learns = place.gradients != nullptr;
    return {.inputs = inputs,
            .outputs = columns,
            .activation = activation,
            .weight = place.parameters,
            .bias = bias ? place.parameters + bias_at : nullptr,
            .dweight = place.gradients,
            .dbias = bias && learns ? place.gradients + bias_at : nullptr};
  }

  /// z, or what `activation` makes of it where the product is stored.
  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<const T>& w, const MatrixView<T>& z, Activation activation) const {
    const T* b = bias ? place.parameters + bias_offset(x.cols) : nullptr;
    pass.kernels.matmul(pass.team, {x}, {w}, z, Write::overwrite, {b, activation});
  }

  /// The same of sparse rows.
  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const SparseRows<T>& x, const MatrixView<const T>& w,
               const MatrixView<T>& z, Activation activation) const {
    const T* b = bias ? place.parameters + bias_offset(x.cols) : nullptr;
    pass.sparse->sparse_product(pass.team, x, w, z, {b, activation});
  }

  void backward_bias(const Pass<T>& pass, const LayerPlace<T>& place, Index inputs,
                     const MatrixView<const T>& dz) const {
    if (bias) pass.kernels.column_sum(pass.team, dz, place.gradients + bias_offset(inputs), pass.gradients);
  }

  /// The gradients of W and b, unless the layer is frozen.
  void backward_parameters(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
                           const MatrixView<const T>& dz) const {
    if (place.gradients == nullptr) return;
    pass.kernels.matmul(pass.team, {x, true}, {dz}, weight_gradient(place, x.cols), pass.gradients, {});
    backward_bias(pass, place, x.cols, dz);
  }
  void backward_parameters(const Pass<T>& pass, const LayerPlace<T>& place, const SparseRows<T>& x,
                           const MatrixView<const T>& dz) const {
    if (place.gradients == nullptr) return;
    pass.sparse->sparse_gradient(pass.team, x, dz, weight_gradient(place, x.cols), pass.gradients);
    backward_bias(pass, place, x.cols, dz);
  }

  /// dx, if somebody needs it, times the slope that place.below asks for.
  void backward_input(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
                      const MatrixView<const T>& w, const MatrixView<const T>& dz, const MatrixView<T>& dx) const {
    if (dx.data == nullptr) return;
    pass.kernels.matmul(pass.team, {dz}, {w, true}, dx, Write::overwrite, {.activation = place.below, .h = x.data});
  }
  /// The same of sparse rows, whose gradient nobody needs.
  void backward_input(const Pass<T>&, const LayerPlace<T>&, const SparseRows<T>&, const MatrixView<const T>&,
                      const MatrixView<const T>&, const MatrixView<T>&) const {}

  /// What follows W and b in the layer's part of the arena.
  Index extent(Index inputs) const { return bias_offset(inputs) + (bias ? arena_extent<T>(columns) : 0); }

private:
  /// The bias follows the weight, at the next cache line.
  Index bias_offset(Index inputs) const { return arena_extent<T>(inputs * columns); }
};

/// Checks a number of units.
inline Index checked_units(Index units) {
  check(units >= 1 && units < Index{1} << 31, "units must be 1 to 2147483647; got ", units);
  return units;
}

} // namespace chainrule
