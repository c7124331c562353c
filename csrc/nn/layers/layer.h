// Layer: what every layer can do. A layer describes its parameters and goes forward and backward on views that the
// network hands it; it holds no activations and no state between the two.
#pragma once

#include <optional>
#include <vector>

#include "nn/parameter.h"
#include "nn/pass.h"

namespace chainrule {

/// Where a layer stands in its network, its part of the arena, and its scratch memory in the buffers of the step.
template <class T> struct LayerPlace {
  std::uint32_t number = 0;
  bool frozen = false;           // whether the layer is not to learn
  const T* parameters = nullptr; // this layer's first element
  T* gradients = nullptr;        // the same place among the gradients; only on the way back, null where frozen
  T* statistics = nullptr;       // parameters again, to write statistics to; only on the way forward in training
  T* scratch = nullptr;          // scratch() elements; what training writes on the way forward is there on the way back
  // On the way back a layer may do the first thing of the layer below, where it has just computed what that needs:
  Activation below{};  // dx is to be multiplied by its slope at x, which is its output; identity for nothing to do
  bool sloped = false; // the layer above did so: dh is the gradient by what this layer's activation takes
};

/// What a layer can do besides that may be the first one of a network over sparse rows.
template <class T> class SparseLayer {
public:
  virtual ~SparseLayer() = default;

  /// As those of Layer below; nobody needs the gradient by x.
  virtual void forward(const Pass<T>&, const LayerPlace<T>&, const SparseRows<T>& x, const MatrixView<T>& h) const = 0;
  virtual void backward(const Pass<T>&, const LayerPlace<T>&, const SparseRows<T>& x, const MatrixView<const T>& h,
                        const MatrixView<T>& dh) const = 0;
};

template <class T> class Layer {
public:
  virtual ~Layer() = default;

  /// The class's name in Python.
  virtual const char* kind() const = 0;
  /// Width of the output for a width of the input; throws where the layer cannot take it.
  virtual Index outputs(Index inputs) const = 0;
  /// Parameters in the order in which they lie in the arena, offsets not set.
  virtual std::vector<Parameter> parameters(Index inputs) const {
    (void)inputs;
    return {};
  }
  /// Called once, when the parameters of a new network have been drawn: sets what no initializer can.
  virtual void finish_start(T* parameters, Index inputs) const {
    (void)parameters;
    (void)inputs;
  }
  /// Where it can do its work.
  virtual Runs runs() const { return Runs::anywhere; }
  /// Elements of scratch memory for a step of `rows` rows.
  virtual Index scratch(Index rows, Index inputs, bool training) const {
    (void)rows;
    (void)inputs;
    (void)training;
    return 0;
  }

  /// The activation of single elements whose slope the way back begins with; identity where it begins otherwise. A
  /// layer that names one must leave it out where place.sloped says that the layer above has multiplied by it.
  virtual Activation ends_with() const { return {}; }
  /// Whether backward multiplies dx by the slope that place.below asks for.
  virtual bool slopes_dx() const { return false; }

  /// This layer in its place for a step that a device takes as one (kernels.h), if it is h = g(x W + b) and no more.
  virtual std::optional<NarrowLayer<T>> narrow(const LayerPlace<T>& place, Index inputs) const {
    (void)place;
    (void)inputs;
    return {};
  }

  /// This layer over sparse rows; null where it does not take them.
  virtual const SparseLayer<T>* sparse() const { return nullptr; }

  /// h (B, out) from x (B, in), both without gaps between their rows. Called by all threads; the network places a
  /// barrier after it.
  virtual void forward(const Pass<T>&, const LayerPlace<T>&, const MatrixView<const T>& x,
                       const MatrixView<T>& h) const = 0;

  /// dx (B, in), unless dx.data is null, and the gradients of the parameters, unless place.gradients is null, from
  /// dh (B, out). dh is used up. place.below and place.sloped are for layers that say so above.
  virtual void backward(const Pass<T>&, const LayerPlace<T>&, const MatrixView<const T>& x,
                        const MatrixView<const T>& h, const MatrixView<T>& dh, const MatrixView<T>& dx) const = 0;
};

} // namespace chainrule
