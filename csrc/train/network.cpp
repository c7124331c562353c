// The ways through a network, and the plan of its buffers.
#include "train/network.h"

#include <algorithm>
#include <atomic>

namespace chainrule {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

} // namespace

template <class T>
Network<T>::Network(const Device& device, Index inputs, std::vector<std::shared_ptr<const Layer<T>>> layers,
                    std::uint64_t seed)
    : id_(next_id()), device_(&device), inputs_(inputs), layers_(std::move(layers)), seed_(seed) {
  // 2^31 parameters are 8 GB in float32; counted random numbers reach 2^33. A limit that nobody meets by design.
  constexpr Index most = Index{1} << 31;
  check(inputs >= 1 && inputs < most, "inputs must be 1 to 2147483647; got ", inputs);
  check(!layers_.empty(), "a network needs at least one layer");
  check(layers_.size() < 1u << 16, "a network has at most 65535 layers; got ", layers_.size());

  Index width = inputs, total = 0;
  for (const auto& layer : layers_) {
    const Runs runs = layer->runs();
    check(device.is_host() || runs == Runs::anywhere, "a layer of functions of one's own, here ", layer->kind(),
          ", runs on the CPU alone: device must be 'cpu'");
    on_caller_ = on_caller_ || runs == Runs::on_caller;
    const Place place{.outputs = layer->outputs(width), .offset = total};
    first_parameter_.push_back(static_cast<Index>(parameters_.size()));
    for (Parameter& parameter : layer->parameters(width)) {
      check(parameter.size() < most, "a layer of ", width, " inputs and ", place.outputs, " outputs is too large");
      parameter.layer = static_cast<Index>(places_.size());
      parameter.offset = total;
      total += arena_extent<T>(parameter.size());
      check(total < most, "the network is too large: more than 2^31 parameters");
      parameters_.push_back(std::move(parameter));
    }
    width = place.outputs;
    places_.push_back(place);
  }
  first_parameter_.push_back(static_cast<Index>(parameters_.size()));
  for (Index layer = 1; layer < depth(); ++layer) {
    if (!layers_[at(layer)]->slopes_dx()) continue;
    places_[at(layer)].below = layers_[at(layer - 1)]->ends_with();
    places_[at(layer - 1)].sloped = places_[at(layer)].below.kind != ActivationKind::identity;
  }
  mark();

  Buffer<T> start(total);
  for (Index layer = 0; layer < depth(); ++layer) {
    for (Index i = first_parameter_[at(layer)]; i < first_parameter_[at(layer + 1)]; ++i) {
      const Parameter& p = parameters_[at(i)];
      const auto number = static_cast<std::uint64_t>(i - first_parameter_[at(layer)]);
      p.start.fill(start.data() + p.offset, p.size(), p.fan_in, p.fan_out,
                   {seed, Purpose::initial_weights, static_cast<std::uint32_t>(layer), number});
    }
    layers_[at(layer)]->finish_start(start.data() + places_[at(layer)].offset, layer_inputs(layer));
  }
  arena_ = device.is_host() ? std::move(start) : Buffer<T>(start.data(), total, memory());
}

template <class T> void Network<T>::mark() {
  bool learns_below = false;
  constrained_.clear();
  for (Index layer = 0; layer < depth(); ++layer) {
    Place& place = places_[at(layer)];
    place.learns = false;
    for (Index i = first_parameter_[at(layer)]; i < first_parameter_[at(layer + 1)]; ++i) {
      Parameter& parameter = parameters_[at(i)];
      parameter.frozen = place.frozen;
      place.learns = place.learns || parameter.learns();
      if (parameter.constraint && parameter.learns()) constrained_.push_back(i);
    }
    place.learns_below = learns_below;
    learns_below = learns_below || place.learns;
  }
}

template <class T> void Network<T>::set_trainable(const std::vector<bool>& trainable) {
  check(trainable.size() == layers_.size(), "trainable must have ", layers_.size(),
        " elements, one for each layer; got ", trainable.size());
  for (Index layer = 0; layer < depth(); ++layer) places_[at(layer)].frozen = !trainable[at(layer)];
  mark();
  for (const Parameter& p : parameters_) {
    if (p.frozen && gradients_.size() > 0 && p.size() > 0) {
      memory().clear(gradients_.data() + p.offset, static_cast<std::size_t>(p.size()) * sizeof(T));
    }
  }
}

template <class T> std::vector<Parameter> Network<T>::layer_parameters(Index layer) const {
  return {parameters_.begin() + first_parameter_[at(layer)], parameters_.begin() + first_parameter_[at(layer + 1)]};
}

template <class T> T* Network<T>::gradients() {
  if (gradients_.size() == 0) gradients_ = Buffer<T>(arena_.size(), Contents::zero, memory());
  return gradients_.data();
}

template <class T> double Network<T>::operations(Index rows, bool training, const Inputs<T>& x) const {
  const double each = training ? 6.0 : 2.0, all = static_cast<double>(arena_.size());
  if (!x.is_sparse()) return each * static_cast<double>(rows) * all;
  const double left_out = (static_cast<double>(inputs_) - x.row_elements()) * static_cast<double>(layer_outputs(0));
  return each * static_cast<double>(rows) * (all - left_out) + (training ? 2.0 * all : 0);
}

template <class T> int Network<T>::threads(Index rows, bool training, const Inputs<T>& x) const {
  // A prediction opens a region of its own, and a thread that slept since the last one takes some 50 us to wake up: it
  // counts for a quarter of its operations. (One row of 784-512-512-10: 43 us on one thread, 110 to 170 on two.)
  if (!device_->is_host() || on_caller_) return 1;
  return threads_for((training ? 1.0 : 0.25) * operations(rows, training, x));
}

template <class T> int Network<T>::arena_threads() const {
  return device_->is_host() ? threads_for(2.0 * static_cast<double>(arena_size())) : 1;
}

template <class T> Index Network<T>::data_room(Index rows) const {
  if (device_->free_memory == nullptr) return std::numeric_limits<Index>::max();
  // Gradients, up to three states of an optimizer, two moments to go back to with all of these (run_state.h), and three
  // of early stopping. An eighth is for what products and graphs need, for validation, and whoever else is there.
  constexpr Index arenas = 1 + 3 + 2 * 4 + 3;
  const auto free = static_cast<Index>(device_->free_memory());
  const Index beside =
      arenas * arena_size() * static_cast<Index>(sizeof(T)) + StepBuffers<T>::bytes(*this, rows, true) + free / 8;
  return std::max<Index>(free - beside, 0);
}

template <class T> Index Network<T>::penalty_room() const {
  Index room = 0;
  for (const Parameter& parameter : parameters_) room += term_sum_room(parameter.size());
  return room;
}

template <class T> bool Network<T>::takes_sparse() const {
  return device_->template sparse<T>().sparse_product != nullptr && layers_.front()->sparse() != nullptr;
}

template <class T> void Network<T>::check_takes_sparse() const {
  check(device_->template sparse<T>().sparse_product != nullptr, "sparse rows are for networks on the CPU");
  check(layers_.front()->sparse() != nullptr, "sparse rows need a Dense as the first layer; it is a ", layer_kind(0));
}

template <class T> LayerPlace<T> Network<T>::place_of(Index layer, const StepBuffers<T>& buffers) const {
  const Place& place = places_[at(layer)];
  return {.number = static_cast<std::uint32_t>(layer),
          .frozen = place.frozen,
          .parameters = arena_.data() + place.offset,
          .scratch = buffers.scratch(layer),
          .below = place.below,
          .sloped = place.sloped};
}

template <class T>
void Network<T>::walk_forward(Pass<T> pass, const Inputs<T>& x, StepBuffers<T>& buffers, bool training,
                              T* statistics) const {
  pass.training = training;
  MatrixView<const T> below = x.dense;
  for (Index layer = 0; layer < depth(); ++layer) {
    const MatrixView<T> h = buffers.output(layer);
    LayerPlace<T> place = place_of(layer, buffers);
    if (training) place.statistics = statistics + places_[at(layer)].offset;
    if (layer == 0 && x.is_sparse()) {
      layers_[0]->sparse()->forward(pass, place, x.sparse, h);
    } else {
      layers_[at(layer)]->forward(pass, place, below, h);
    }
    pass.team.barrier();
    below = h;
  }
}

template <class T> void Network<T>::backward(const Pass<T>& pass, const Inputs<T>& x, StepBuffers<T>& buffers) {
  for (Index layer = depth() - 1; layer >= 0; --layer) {
    const Place& known = places_[at(layer)];
    if (!known.learns && !known.learns_below) break;
    LayerPlace<T> place = place_of(layer, buffers);
    if (known.learns) place.gradients = gradients_.data() + known.offset;
    const MatrixView<T> h = buffers.output(layer), dh = buffers.gradient(layer);
    if (layer == 0 && x.is_sparse()) {
      layers_[0]->sparse()->backward(pass, place, x.sparse, h, dh);
    } else {
      const MatrixView<const T> below = layer == 0 ? x.dense : buffers.output(layer - 1);
      const MatrixView<T> dx = known.learns_below ? buffers.gradient(layer - 1) : MatrixView<T>{};
      layers_[at(layer)]->backward(pass, place, below, h, dh, dx);
    }
    pass.team.barrier();
  }
}

template <class T> bool Network<T>::tell(NarrowStep<T>& step) {
  if (depth() > most_narrow_layers) return false;
  step.depth = depth();
  for (Index layer = 0; layer < depth(); ++layer) {
    const Place& known = places_[at(layer)];
    LayerPlace<T> place{.number = static_cast<std::uint32_t>(layer),
                        .frozen = known.frozen,
                        .parameters = arena_.data() + known.offset};
    if (known.learns) place.gradients = gradients() + known.offset;
    const std::optional<NarrowLayer<T>> narrow = layers_[at(layer)]->narrow(place, layer_inputs(layer));
    if (!narrow) return false;
    step.layers[layer] = *narrow;
  }
  return true;
}

template <class T> void Network<T>::constrain(const Pass<T>& pass) {
  if (constrained_.empty()) return;
  pass.team.barrier(); // the update is over
  for (const Index i : constrained_) {
    const Parameter& p = parameters_[at(i)];
    const MatrixView<T> w = dense_view(arena_.data() + p.offset, p.shape[0], p.shape[1]);
    pass.kernels.constrain_columns(pass.team, p.constraint->kind, p.constraint->limit, w);
  }
  pass.team.barrier();
}

template <class T>
typename StepBuffers<T>::Layout StepBuffers<T>::layout(const Network<T>& network, Index capacity, bool training) {
  constexpr Index most = Index{1} << 34; // elements of a layer that counted random numbers reach
  Layout plan;
  Index widest = 1, scratch = 0;
  for (Index layer = 0; layer < network.depth(); ++layer) widest = std::max(widest, network.layer_outputs(layer));
  check(capacity < Index{1} << 31 && capacity <= most / widest, "a batch of ", capacity, " rows by ", widest,
        " columns is too large");
  auto reserve = [&](Index elements) {
    const Index begin = plan.total;
    plan.total += arena_extent<T>(elements);
    return begin;
  };
  for (Index layer = 0; layer < network.depth(); ++layer) {
    if (training) plan.outputs.push_back(reserve(capacity * network.layer_outputs(layer)));
    const Index own = network.layer_scratch(layer, capacity, training);
    check(own <= most, "a batch of ", capacity, " rows is too large for layer ", layer);
    plan.scratch.push_back(own == 0 ? -1 : training ? reserve(own) : 0);
    scratch = std::max(scratch, own);
  }
  if (training) {
    for (Index& gradient : plan.gradients) gradient = reserve(capacity * widest);
    return plan;
  }
  // Layers write to the two buffers in turn; none needs its scratch memory when the next has begun.
  const Index first = reserve(capacity * widest), second = network.depth() > 1 ? reserve(capacity * widest) : first;
  for (Index layer = 0; layer < network.depth(); ++layer) plan.outputs.push_back(layer % 2 == 0 ? first : second);
  const Index shared = reserve(scratch);
  for (Index& begin : plan.scratch) begin = begin < 0 ? begin : shared;
  return plan;
}

template <class T>
StepBuffers<T>::StepBuffers(const Network<T>& network, Index capacity, bool training)
    : capacity_(capacity), rows_(capacity), layout_(layout(network, capacity, training)),
      memory_(layout_.total, Contents::undefined, network.memory()) {
  for (Index layer = 0; layer < network.depth(); ++layer) widths_.push_back(network.layer_outputs(layer));
}

template <class T> MatrixView<T> StepBuffers<T>::output(Index layer) const {
  const bool elsewhere = result_ != nullptr && at(layer) + 1 == widths_.size();
  return dense_view(elsewhere ? result_ : memory_.data() + layout_.outputs[at(layer)], rows_, widths_[at(layer)]);
}

template <class T> MatrixView<T> StepBuffers<T>::gradient(Index layer) const {
  return dense_view(memory_.data() + layout_.gradients[layer % 2], rows_, widths_[at(layer)]);
}

template <class T> T* StepBuffers<T>::scratch(Index layer) const {
  const Index begin = layout_.scratch[at(layer)];
  return begin < 0 ? nullptr : memory_.data() + begin;
}

template <class T> Index StepBuffers<T>::bytes(const Network<T>& network, Index capacity, bool training) {
  return layout(network, capacity, training).total * static_cast<Index>(sizeof(T));
}

template class Network<float>;
template class Network<double>;
template class StepBuffers<float>;
template class StepBuffers<double>;

} // namespace chainrule
