// Network: a stack of layers, their parameters in one arena, and the ways forward and backward through them.
//
// It owns what lasts (layers, parameters, gradients); what a step needs besides is in StepBuffers, owned by whoever
// steps. It knows no loss, no optimizer and no data.
#pragma once

#include <memory>
#include <vector>

#include "core/buffer.h"
#include "nn/layers/layer.h"
#include "nn/term_sum.h"
#include "train/inputs.h"

namespace chainrule {

template <class T> class StepBuffers;

template <class T> class Network {
public:
  /// Allocates the arena and draws the parameters from the streams of `seed`.
  Network(const Device& device, Index inputs, std::vector<std::shared_ptr<const Layer<T>>> layers, std::uint64_t seed);

  /// A number that no other network of this process has, above 0.
  std::uint64_t id() const { return id_; }
  const Device& device() const { return *device_; }
  const Kernels<T>& kernels() const { return device_->kernels<T>(); }
  const Memory& memory() const { return *device_->memory; }
  /// The way of a team's member through this network.
  Pass<T> pass(const Team& team) const {
    return {.team = team, .kernels = kernels(), .memory = memory(), .seed = seed_, .sparse = &device_->sparse<T>()};
  }
  Index inputs() const { return inputs_; }
  Index outputs() const { return places_.empty() ? inputs_ : places_.back().outputs; }
  Index depth() const { return static_cast<Index>(layers_.size()); }
  std::uint64_t seed() const { return seed_; }

  /// Passes forward in training so far. Masks are counted by it.
  std::uint64_t steps() const { return steps_; }
  void set_steps(std::uint64_t steps) { steps_ = steps; }

  const char* layer_kind(Index layer) const { return layers_[static_cast<std::size_t>(layer)]->kind(); }
  Index layer_outputs(Index layer) const { return places_[static_cast<std::size_t>(layer)].outputs; }
  /// Elements of scratch memory that a layer needs for a step.
  Index layer_scratch(Index layer, Index rows, bool training) const {
    return layers_[static_cast<std::size_t>(layer)]->scratch(rows, layer_inputs(layer), training);
  }
  /// Whether its device and its first layer take sparse rows; the check throws where they do not.
  bool takes_sparse() const;
  void check_takes_sparse() const;
  Index layer_inputs(Index layer) const { return layer == 0 ? inputs_ : layer_outputs(layer - 1); }

  /// All parameters, with their offsets into the arena, and those of one layer.
  const std::vector<Parameter>& parameters() const { return parameters_; }
  std::vector<Parameter> layer_parameters(Index layer) const;

  /// The arena: all parameters, each array padded with zeros to a cache line. In the device's memory.
  T* arena() { return arena_.data(); }
  const T* arena() const { return arena_.data(); }
  Index arena_size() const { return arena_.size(); }
  /// Gradients in the layout of the arena; made, all zero, when first asked for.
  T* gradients();

  /// Bytes of data that the device has room for, beside what training with batches of `rows` rows needs there, at most.
  Index data_room(Index rows) const;

  /// Room for the sums of a penalty (nn/term_sum.h).
  Index penalty_room() const;

  /// Whether each layer learns; at first all do. The gradients of those that do not become zero.
  void set_trainable(const std::vector<bool>& trainable);

  /// Operations of a step of `rows` rows: training multiplies three times by every weight, prediction once. Of sparse
  /// rows such as x, in order, only elements are multiplied; what training does besides, once a weight, then counts.
  double operations(Index rows, bool training, const Inputs<T>& x = {}) const;
  /// Threads that such a step is worth; 1 where a layer runs on the caller's alone.
  int threads(Index rows, bool training, const Inputs<T>& x = {}) const;
  /// Threads that one pass over the arena is worth: an update, a penalty.
  int arena_threads() const;

  /// From x (B, inputs) through all layers, into the outputs of `buffers`, to evaluate or predict. Called by all
  /// threads; ends with a barrier.
  void forward(const Pass<T>& pass, const Inputs<T>& x, StepBuffers<T>& buffers) const {
    walk_forward(pass, x, buffers, false, nullptr);
  }
  /// The same in training: layers write their statistics.
  void forward_training(const Pass<T>& pass, const Inputs<T>& x, StepBuffers<T>& buffers) {
    walk_forward(pass, x, buffers, true, arena_.data());
  }
  /// The gradients of all parameters from dp (B, outputs), which buffers.gradient(depth() - 1) holds. Called by all
  /// threads after forward_training with the same x; ends with a barrier. gradients() must have been called before.
  void backward(const Pass<T>&, const Inputs<T>& x, StepBuffers<T>& buffers);

  /// Puts the layers into a step that a device takes as one (kernels.h); false where one of them cannot be told so.
  bool tell(NarrowStep<T>& step);

  /// Makes the parameters obey their constraints, if there are any. Called by all threads after an update; ends with a
  /// barrier.
  void constrain(const Pass<T>&);

private:
  struct Place {
    Index outputs = 0;
    Index offset = 0;          // of the layer's parameters in the arena
    bool frozen = false;       // as set_trainable said
    bool learns = false;       // whether it has parameters that learn
    bool learns_below = false; // whether a layer below it does, so that the gradient by its input is needed
    Activation below{};        // of the layer below, if this one multiplies by its slope on the way back
    bool sloped = false;       // whether the layer above does so for this one
  };

  LayerPlace<T> place_of(Index layer, const StepBuffers<T>& buffers) const;
  void walk_forward(Pass<T>, const Inputs<T>& x, StepBuffers<T>& buffers, bool training, T* statistics) const;
  /// Says of each place and each parameter whether it learns, and collects the constraints that then hold.
  void mark();

  std::uint64_t id_;
  const Device* device_;
  Index inputs_;
  std::vector<std::shared_ptr<const Layer<T>>> layers_;
  std::vector<Place> places_;
  std::vector<Parameter> parameters_;
  std::vector<Index> first_parameter_; // of each layer, and the total
  std::vector<Index> constrained_;     // parameters that learn and have a constraint
  bool on_caller_ = false;             // whether a layer lets one thread alone do a step
  Buffer<T> arena_;
  Buffer<T> gradients_;
  std::uint64_t seed_;
  std::uint64_t steps_ = 0;
};

/// The plan of a step: where the activations and their gradients of up to `capacity` rows lie, all in one
/// allocation. Training keeps every layer's output, and its scratch memory, for the way back; prediction keeps two
/// outputs, which take turns, and the largest scratch memory. Going back, two gradients take turns.
template <class T> class StepBuffers {
public:
  StepBuffers(const Network<T>& network, Index capacity, bool training);

  Index capacity() const { return capacity_; }
  /// Rows of the step at hand, at most the capacity.
  void set_rows(Index rows) { rows_ = rows; }
  Index rows() const { return rows_; }

  /// Output of a layer (B, out).
  MatrixView<T> output(Index layer) const;
  MatrixView<T> result() const { return output(static_cast<Index>(widths_.size()) - 1); }
  /// Lets the last layer write to (B, out) at `place`, without gaps, instead of to memory of its own.
  void set_result(T* place) { result_ = place; }
  /// The gradient by a layer's output (B, out), or by what its activation takes where the layer above multiplied by its
  /// slope: the loss fills that of the last layer.
  MatrixView<T> gradient(Index layer) const;
  /// Scratch memory of a layer, null where it asks for none.
  T* scratch(Index layer) const;

  static Index bytes(const Network<T>& network, Index capacity, bool training);

private:
  /// Where everything lies, in elements from the start.
  struct Layout {
    std::vector<Index> outputs, scratch; // of each layer; -1 for no scratch memory
    Index gradients[2] = {0, 0};         // which take turns
    Index total = 0;
  };
  static Layout layout(const Network<T>& network, Index capacity, bool training);

  Index capacity_;
  Index rows_ = 0;
  T* result_ = nullptr;       // where the last layer writes, if not to its own memory
  std::vector<Index> widths_; // of the layers' outputs
  Layout layout_;
  mutable Buffer<T> memory_;
};

} // namespace chainrule
