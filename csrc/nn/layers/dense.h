// Dense: every output is connected to every input, or to those that a mask names.
//
//   forward    z = x W + b           h = g(z)
//   backward   dz = dh * g'(z)
//              dW = x^T dz           db = sum of dz over rows        dx = dz W^T          (affine.h)
//
// With a mask M (in, out) of zeros and ones W starts as W * M, and dW is x^T dz * M: where there is no connection, the
// weight is 0 and stays 0. "Fully connected, but need not be": lecture [004]. The activation is part of the layer so
// that it happens where the product is stored.
#pragma once

#include "nn/layers/affine.h"
#include "nn/layers/layer_activation.h"

namespace chainrule {

template <class T> class Dense final : public Layer<T>, private SparseLayer<T> {
public:
  /// connections: M, row by row; none where it is empty.
  Dense(Affine<T> affine, LayerActivation activation, std::vector<T> connections)
      : affine_(std::move(affine)), activation_(activation), connections_(std::move(connections)) {
    checked_units(affine_.columns);
  }

  const char* kind() const override { return "Dense"; }
  Index outputs(Index) const override { return affine_.columns; }

  std::vector<Parameter> parameters(Index inputs) const override {
    std::vector<Parameter> list = affine_.parameters(inputs, affine_.columns);
    if (is_masked()) {
      check(static_cast<Index>(connections_.size()) == inputs * affine_.columns, "connections has ",
            connections_.size(), " elements; a layer of ", inputs, " inputs and ", affine_.columns, " units has ",
            inputs * affine_.columns);
      list.push_back({"connections", {inputs, affine_.columns}, Role::constant, {}, 0, 0});
    }
    return list;
  }

  void finish_start(T* parameters, Index inputs) const override {
    if (!is_masked()) return;
    T* mask = parameters + affine_.extent(inputs);
    for (std::size_t e = 0; e < connections_.size(); ++e) {
      mask[e] = connections_[e];
      parameters[e] *= connections_[e];
    }
  }

  std::optional<NarrowLayer<T>> narrow(const LayerPlace<T>& place, Index inputs) const override {
    if (is_masked() || activation_.softmax) return {};
    return affine_.narrow(place, inputs, activation_.element);
  }

  const SparseLayer<T>* sparse() const override { return this; }
  Activation ends_with() const override { return activation_.element; }
  bool slopes_dx() const override { return true; }

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    forward_of(pass, place, x, h);
  }
  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const SparseRows<T>& x,
               const MatrixView<T>& h) const override {
    forward_of(pass, place, x, h);
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
                const MatrixView<const T>& h, const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    backward_of(pass, place, x, h, dh, dx);
  }
  void backward(const Pass<T>& pass, const LayerPlace<T>& place, const SparseRows<T>& x, const MatrixView<const T>& h,
                const MatrixView<T>& dh) const override {
    backward_of(pass, place, x, h, dh, {});
  }

private:
  bool is_masked() const { return !connections_.empty(); }

  // Of either kind of rows.
  template <class Rows>
  void forward_of(const Pass<T>& pass, const LayerPlace<T>& place, const Rows& x, const MatrixView<T>& h) const {
    affine_.forward(pass, place, x, affine_.weight(place, x.cols), h, activation_.element);
    activation_.finish(pass, h);
  }
  template <class Rows>
  void backward_of(const Pass<T>& pass, const LayerPlace<T>& place, const Rows& x, const MatrixView<const T>& h,
                   const MatrixView<T>& dh, const MatrixView<T>& dx) const {
    if (!place.sloped) activation_.backward(pass, h, dh);
    const MatrixView<const T> dz = dh;
    affine_.backward_parameters(pass, place, x, dz);
    affine_.backward_input(pass, place, x, affine_.weight(place, x.cols), dz, dx);
    if (is_masked() && place.gradients != nullptr) {
      pass.team.barrier();
      const MatrixView<T> dweight = affine_.weight_gradient(place, x.cols);
      const T* mask = place.parameters + affine_.extent(x.cols);
      pass.kernels.multiply(pass.team, dweight.data, mask, dweight.data, dweight.size());
    }
  }

  Affine<T> affine_;
  LayerActivation activation_;
  std::vector<T> connections_;
};

} // namespace chainrule
