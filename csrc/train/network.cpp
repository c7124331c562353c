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
    : id_(next_id()), kernels_(&device.kernels<T>()), inputs_(inputs), layers_(std::move(layers)), seed_(seed) {
  // 2^31 parameters are 8 GB in float32; counted random numbers reach 2^33. A limit that nobody meets by design.
  constexpr Index most = Index{1} << 31;
  check(inputs >= 1 && inputs < most, "inputs must be 1 to 2147483647; got ", inputs);
  check(!layers_.empty(), "a network needs at least one layer");
  check(layers_.size() < 1u << 16, "a network has at most 65535 layers; got ", layers_.size());

  Index width = inputs, total = 0;
  for (const auto& layer : layers_) {
    Place place{.outputs = layer->outputs(width), .offset = total, .nothing_learns_below = parameters_.empty()};
    first_parameter_.push_back(static_cast<Index>(parameters_.size()));
    for (Parameter& parameter : layer->parameters(width)) {
      check(parameter.size() < most, "a layer of ", width, " inputs and ", place.outputs, " outputs is too large");
      parameter.offset = total;
      total += arena_extent<T>(parameter.size());
      check(total < most, "the network is too large: more than 2^31 parameters");
      parameters_.push_back(std::move(parameter));
    }
    width = place.outputs;
    places_.push_back(place);
  }
  first_parameter_.push_back(static_cast<Index>(parameters_.size()));

  arena_ = Buffer<T>(total);
  for (Index layer = 0; layer < depth(); ++layer) {
    for (Index i = first_parameter_[at(layer)]; i < first_parameter_[at(layer + 1)]; ++i) {
      const Parameter& p = parameters_[at(i)];
      const auto number = static_cast<std::uint64_t>(i - first_parameter_[at(layer)]);
      p.start.fill(arena_.data() + p.offset, p.size(), p.fan_in, p.fan_out,
                   {seed, Purpose::initial_weights, static_cast<std::uint32_t>(layer), number});
    }
  }
}

template <class T> std::vector<Parameter> Network<T>::layer_parameters(Index layer) const {
  return {parameters_.begin() + first_parameter_[at(layer)], parameters_.begin() + first_parameter_[at(layer + 1)]};
}

template <class T> T* Network<T>::gradients() {
  if (gradients_.size() == 0) gradients_ = Buffer<T>(arena_.size());
  return gradients_.data();
}

template <class T> int Network<T>::threads(Index rows, bool training) const {
  return threads_for((training ? 6.0 : 2.0) * static_cast<double>(rows) * static_cast<double>(arena_.size()));
}

template <class T> void Network<T>::forward(const Pass<T>& pass, MatrixView<const T> x, StepBuffers<T>& buffers) const {
  for (Index layer = 0; layer < depth(); ++layer) {
    const MatrixView<T> h = buffers.output(layer);
    const LayerPlace<T> place{static_cast<std::uint32_t>(layer), arena_.data() + places_[at(layer)].offset, nullptr};
    layers_[at(layer)]->forward(pass, place, x, h);
    pass.team.barrier();
    x = h;
  }
}

template <class T> void Network<T>::backward(const Pass<T>& pass, MatrixView<const T> x, StepBuffers<T>& buffers) {
  for (Index layer = depth() - 1; layer >= 0; --layer) {
    const auto& [outputs, offset, nothing_learns_below] = places_[at(layer)];
    const LayerPlace<T> place{static_cast<std::uint32_t>(layer), arena_.data() + offset, gradients_.data() + offset};
    const MatrixView<const T> below = layer == 0 ? x : buffers.output(layer - 1);
    const MatrixView<T> dx = nothing_learns_below ? MatrixView<T>{} : buffers.gradient(layer - 1);
    layers_[at(layer)]->backward(pass, place, below, buffers.output(layer), buffers.gradient(layer), dx);
    pass.team.barrier();
    if (nothing_learns_below) break;
  }
}

template <class T>
std::vector<Index> StepBuffers<T>::layout(const Network<T>& network, Index capacity, bool training, Index& total) {
  std::vector<Index> offsets;
  Index widest = 1;
  for (Index layer = 0; layer < network.depth(); ++layer) widest = std::max(widest, network.layer_outputs(layer));
  constexpr Index most = Index{1} << 34; // elements of a layer that counted random numbers reach
  check(capacity <= most / widest, "a batch of ", capacity, " rows by ", widest, " columns is too large");
  total = 0;
  auto reserve = [&](Index width) {
    offsets.push_back(total);
    total += extent(capacity, width);
  };
  if (training) {
    for (Index layer = 0; layer < network.depth(); ++layer) reserve(network.layer_outputs(layer));
  } else {
    // Layers write to the two buffers in turn.
    const Index pair[2] = {total, total + extent(capacity, widest)};
    for (Index layer = 0; layer < network.depth(); ++layer) offsets.push_back(pair[layer % 2]);
    total += (network.depth() > 1 ? 2 : 1) * extent(capacity, widest);
  }
  if (training) {
    reserve(widest);
    reserve(widest);
  }
  return offsets;
}

template <class T>
StepBuffers<T>::StepBuffers(const Network<T>& network, Index capacity, bool training)
    : capacity_(capacity), rows_(capacity), offsets_(layout(network, capacity, training, total_)),
      memory_(total_, Contents::undefined) {
  for (Index layer = 0; layer < network.depth(); ++layer) widths_.push_back(network.layer_outputs(layer));
}

template <class T> MatrixView<T> StepBuffers<T>::output(Index layer) const {
  return dense_view(memory_.data() + offsets_[at(layer)], rows_, widths_[at(layer)]);
}

template <class T> MatrixView<T> StepBuffers<T>::gradient(Index layer) const {
  const std::size_t turn = widths_.size() + at(layer % 2);
  return dense_view(memory_.data() + offsets_[turn], rows_, widths_[at(layer)]);
}

template <class T> Index StepBuffers<T>::bytes(const Network<T>& network, Index capacity, bool training) {
  Index total = 0;
  layout(network, capacity, training, total);
  return total * static_cast<Index>(sizeof(T));
}

template class Network<float>;
template class Network<double>;
template class StepBuffers<float>;
template class StepBuffers<double>;

} // namespace chainrule
