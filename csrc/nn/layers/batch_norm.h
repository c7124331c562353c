// BatchNorm: each column of a batch is brought to mean 0 and variance 1, then scaled and shifted as is learned.
//
//   training    mu = 1/B sum x,   s2 = 1/B sum (x - mu)^2,   xhat = (x - mu) / sqrt(s2 + eps),   h = gamma xhat + beta
//               running_mean     <- (1 - m) running_mean     + m mu
//               running_variance <- (1 - m) running_variance + m s2 B / (B - 1)       a batch of one row changes
//               neither
//   prediction  the same with the running mean and variance for mu and s2; so in a frozen layer too
//   backward    dgamma = sum dh xhat,   dbeta = sum dh
//               dx = gamma / sqrt(s2 + eps) (dh - dbeta / B - xhat dgamma / B),  without the sums where frozen
//
// x, h (B, in), all else (in). Source: S. Ioffe and C. Szegedy, ICML 2015, algorithm 1 (lecture [002]), and algorithm
// 2 for the unbiased variance that prediction uses, which no lecture shows.
#pragma once

#include "nn/layers/layer.h"
#include "nn/numbers.h"

namespace chainrule {

template <class T> class BatchNorm final : public Layer<T> {
public:
  BatchNorm(double epsilon, double momentum) : epsilon_(positive<T>("eps", epsilon)), momentum_(momentum) {
    check(momentum >= 0 && momentum <= 1, "momentum must be 0 to 1; got ", momentum);
  }

  const char* kind() const override { return "BatchNorm"; }
  Index outputs(Index inputs) const override { return inputs; }
  std::vector<Parameter> parameters(Index inputs) const override {
    const Initializer zero("constant", 0), one("constant", 1);
    return {{"gamma", {inputs}, Role::scale, one},
            {"beta", {inputs}, Role::shift, zero},
            {"running_mean", {inputs}, Role::statistic, zero},
            {"running_variance", {inputs}, Role::statistic, one}};
  }
  Index scratch(Index, Index inputs, bool training) const override { // mu, s2
    return training ? 2 * arena_extent<T>(inputs) : 0;
  }

  // No barrier stands inside: every operation here gives a thread the same columns.

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    const Arrays a = arrays(place, x.cols);
    const bool of_batch = pass.training && !place.frozen;
    if (of_batch) {
      pass.kernels.column_moments(pass.team, x, a.mean, a.variance);
      if (x.rows > 1) {
        const double rows = static_cast<double>(x.rows);
        T* running_mean = place.statistics + 2 * arena_extent<T>(x.cols);
        follow(pass, 1, a.mean, running_mean, x.cols);
        follow(pass, rows / (rows - 1), a.variance, running_mean + arena_extent<T>(x.cols), x.cols);
      }
    }
    pass.kernels.normalize_forward(pass.team, x, of_batch ? a.mean : a.running_mean,
                                   of_batch ? a.variance : a.running_variance, epsilon_, a.gamma, a.beta, h);
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
                const MatrixView<const T>&, const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    const Arrays a = arrays(place, x.cols);
    T* dgamma = place.gradients;
    T* dbeta = dgamma == nullptr ? nullptr : dgamma + arena_extent<T>(x.cols);
    pass.kernels.normalize_backward(pass.team, x, place.frozen ? a.running_mean : a.mean,
                                    place.frozen ? a.running_variance : a.variance, epsilon_, a.gamma, dh,
                                    !place.frozen, pass.gradients, dgamma, dbeta, dx);
  }

private:
  struct Arrays {
    const T *gamma, *beta, *running_mean, *running_variance;
    T *mean, *variance; // of the batch; only in training
  };
  static Arrays arrays(const LayerPlace<T>& place, Index width) {
    const Index extent = arena_extent<T>(width);
    const T* gamma = place.parameters;
    T* mean = place.scratch;
    return {gamma, gamma + extent, gamma + 2 * extent, gamma + 3 * extent, mean, mean ? mean + extent : nullptr};
  }

  /// running <- (1 - momentum) running + momentum factor x
  void follow(const Pass<T>& pass, double factor, const T* x, T* running, Index n) const {
    pass.kernels.scale(pass.team, 1 - momentum_, running, running, n);
    pass.kernels.add_scaled(pass.team, momentum_ * factor, x, running, n);
  }

  double epsilon_, momentum_;
};

} // namespace chainrule
