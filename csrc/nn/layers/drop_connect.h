// DropConnect: a Dense layer that trains with a random part of its weights, drawn anew each step.
//
//   training    W' = W * mask * s,  P(mask = 0) = rate      h = g(x W' + b)      dW = x^T dz * mask * s
//   prediction  W' = W * p
//
//   inverted    s = 1 / (1 - rate),  p = 1:  what training sees is right on average
//   classic     s = 1,  p = 1 - rate
//
// Lecture [001] removes "a fraction c of the weights" at each iteration: one mask for all rows of a step. L. Wan et
// al., ICML 2013, draw one for each row, and average over draws in prediction; that is not done here.
#pragma once

#include "nn/layers/affine.h"
#include "nn/layers/layer_activation.h"
#include "nn/numbers.h"

namespace chainrule {

template <class T> class DropConnect final : public Layer<T> {
public:
  DropConnect(Affine<T> affine, LayerActivation activation, double rate, bool classic)
      : affine_(std::move(affine)), activation_(activation), rate_(below_one("rate", rate)),
        training_scale_(classic ? 1 : 1 / (1 - rate)), prediction_scale_(classic ? 1 - rate : 1) {
    checked_units(affine_.columns);
  }

  const char* kind() const override { return "DropConnect"; }
  Index outputs(Index) const override { return affine_.columns; }
  std::vector<Parameter> parameters(Index inputs) const override { return affine_.parameters(inputs, affine_.columns); }
  Activation ends_with() const override { return activation_.element; }
  bool slopes_dx() const override { return true; }
  Index scratch(Index, Index inputs, bool training) const override { // W' (in, out)
    return training || prediction_scale_ != 1 ? inputs * affine_.columns : 0;
  }

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    MatrixView<const T> weight = affine_.weight(place, x.cols);
    if (place.scratch != nullptr) {
      const MatrixView<T> part = thinned(place, x.cols);
      if (pass.training) {
        pass.kernels.dropout(pass.team, mask(pass, place), training_scale_, weight, part);
      } else {
        pass.kernels.scale(pass.team, prediction_scale_, weight.data, part.data, part.size());
      }
      pass.team.barrier();
      weight = part;
    }
    affine_.forward(pass, place, x, weight, h, activation_.element);
    activation_.finish(pass, h);
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
                const MatrixView<const T>& h, const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    if (!place.sloped) activation_.backward(pass, h, dh);
    const MatrixView<const T> dz = dh;
    const MatrixView<T> part = thinned(place, x.cols);
    affine_.backward_input(pass, place, x, part, dz, dx);
    if (place.gradients == nullptr) return;
    affine_.backward_bias(pass, place, x.cols, dz);
    // x^T dz takes the place of W', which has served, and is masked before it joins the gradients.
    pass.team.barrier();
    pass.kernels.matmul(pass.team, {x, true}, {dz}, part, Write::overwrite, {});
    pass.team.barrier();
    const MatrixView<T> dweight = affine_.weight_gradient(place, x.cols);
    const bool add = pass.gradients == Write::add;
    pass.kernels.dropout(pass.team, mask(pass, place), training_scale_, part, add ? part : dweight);
    if (!add) return;
    pass.team.barrier();
    pass.kernels.add_scaled(pass.team, 1, part.data, dweight.data, part.size());
  }

private:
  MatrixView<T> thinned(const LayerPlace<T>& place, Index inputs) const {
    return dense_view(place.scratch, inputs, affine_.columns);
  }
  DropMask mask(const Pass<T>& pass, const LayerPlace<T>& place) const {
    return {.stream = {pass.seed, Purpose::dropout, place.number, pass.step}, .rate = rate_};
  }

  Affine<T> affine_;
  LayerActivation activation_;
  double rate_, training_scale_, prediction_scale_;
};

} // namespace chainrule
