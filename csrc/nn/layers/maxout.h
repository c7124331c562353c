// Maxout: each unit takes the greatest of several linear pieces.
//
//   forward    z = x W + b                     h_j = max over k of z_(k units + j)
//   backward   dz = dh at the greatest piece (the first of equals), 0 at the others;   dW, db, dx as affine.h
//
// x (B, in), W (in, pieces * units), z (B, pieces * units), h (B, units). Source: I. Goodfellow et al., ICML 2013;
// lecture [003]: max(w1^T x + b1, w2^T x + b2). A rectifier is the case of two pieces, one of them 0.
#pragma once

#include "nn/layers/affine.h"

namespace chainrule {

template <class T> class Maxout final : public Layer<T> {
public:
  /// affine.columns is pieces * units.
  Maxout(Affine<T> affine, Index pieces) : affine_(std::move(affine)), units_(affine_.columns / pieces) {
    checked_units(affine_.columns);
  }

  const char* kind() const override { return "Maxout"; }
  Index outputs(Index) const override { return units_; }
  std::vector<Parameter> parameters(Index inputs) const override { return affine_.parameters(inputs, units_); }
  bool slopes_dx() const override { return true; }
  Index scratch(Index rows, Index, bool) const override { return rows * affine_.columns; } // z, later dz

  void forward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
               const MatrixView<T>& h) const override {
    const MatrixView<T> z = dense_view(place.scratch, x.rows, affine_.columns);
    affine_.forward(pass, place, x, affine_.weight(place, x.cols), z, {});
    pass.team.barrier();
    pass.kernels.max_pieces_forward(pass.team, z, h);
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>& place, const MatrixView<const T>& x,
                const MatrixView<const T>&, const MatrixView<T>& dh, const MatrixView<T>& dx) const override {
    const MatrixView<T> dz = dense_view(place.scratch, x.rows, affine_.columns);
    pass.kernels.max_pieces_backward(pass.team, dz, dh, dz);
    pass.team.barrier();
    affine_.backward_parameters(pass, place, x, dz);
    affine_.backward_input(pass, place, x, affine_.weight(place, x.cols), dz, dx);
  }

private:
  Affine<T> affine_;
  Index units_;
};

} // namespace chainrule
