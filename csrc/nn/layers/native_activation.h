// NativeActivation: an activation given as two functions of native code (chainrule/native.h), as a layer of its own.
//
//   forward    h = g(z)          backward   dz = dh * g'(z)
//
// The functions see blocks of the arrays (native_functions.h). z, which a formula of ours can do without on the way
// back, is the output of the layer below, and so kept anyway.
#pragma once

#include "nn/layers/layer.h"
#include "nn/native_functions.h"

namespace chainrule {

template <class T> class NativeActivation final : public Layer<T> {
public:
  using Forward = NativeFunction<typename NativeTypes<T>::Forward>;
  using Backward = NativeFunction<typename NativeTypes<T>::Backward>;

  NativeActivation(Forward forward, Backward backward) : forward_(std::move(forward)), backward_(std::move(backward)) {
    check(forward_.call != nullptr && backward_.call != nullptr, "a function of an activation is null");
  }

  const char* kind() const override { return "Activation"; }
  Index outputs(Index inputs) const override { return inputs; }
  Runs runs() const override { return Runs::on_host; }

  void forward(const Pass<T>& pass, const LayerPlace<T>&, const MatrixView<const T>& z,
               const MatrixView<T>& h) const override {
    for_blocks(pass.team, z.size(), block, [&](Index first, Index last) {
      forward_.call(last - first, z.data + first, h.data + first, forward_.user);
    });
  }

  void backward(const Pass<T>& pass, const LayerPlace<T>&, const MatrixView<const T>& z, const MatrixView<const T>& h,
                const MatrixView<T>& dh, const MatrixView<T>& dz) const override {
    if (dz.data == nullptr) return;
    for_blocks(pass.team, z.size(), block, [&](Index first, Index last) {
      backward_.call(last - first, z.data + first, h.data + first, dh.data + first, dz.data + first, backward_.user);
    });
  }

private:
  // Four arrays of so many doubles are 32 KiB, the smallest first-level cache that we know; a call costs some 2 ns.
  static constexpr Index block = 1024;

  Forward forward_;
  Backward backward_;
};

} // namespace chainrule
