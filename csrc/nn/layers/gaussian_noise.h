// GaussianNoise: training adds noise to inputs or hidden units; prediction adds none.
//
//   training    h = x + std * N(0, 1)       dx = dh
//   prediction  h = x
//
// The noise is counted by seed, layer and step. Lecture [001]: noise on the training examples, another in every epoch,
// smooths what is learned.
#pragma once

#include "nn/layers/layer.h"
#include "nn/numbers.h"

namespace chainrule {

template <class T> class GaussianNoise final : public Layer<T> {
public:
  explicit GaussianNoise(double deviation) : deviation_(representable<T>("std", deviation)) {}

  const char* kind() const override { return "GaussianNoise"; }
  Index outputs(Index inputs) const override { return inputs; }

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    if (pass.training) {
      const Stream stream{pass.seed, Purpose::noise, place.number, pass.step};
      pass.kernels.add_noise(pass.team, stream, deviation_, x.data, h.data, h.size());
    } else {
      pass.kernels.scale(pass.team, 1, x.data, h.data, h.size());
    }
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>&, const MatrixView<const T>&, const MatrixView<const T>&,
                const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    if (dx.data != nullptr) pass.kernels.scale(pass.team, 1, dh.data, dx.data, dx.size());
  }

private:
  double deviation_;
};

} // namespace chainrule
