// Keeping and restoring, within the device's memory.
#include "train/run_state.h"

#include <cmath>
#include <utility>
#include <vector>

#include "nn/term_sum.h"

namespace chainrule {

namespace {

constexpr Index page = 1024; // a share is a number of pages (4 KiB, float32): each is first touched by one thread

/// Copies `n` numbers of what lies as the arena does, by as many threads as pay for passing over it.
template <class T> void copy_all(const Network<T>& network, T* to, const T* from, Index n) {
  auto body = [&](const Team& team) {
    const Range share = team.share(n, page);
    copy(network.memory(), to + share.begin, from + share.begin, share.size());
  };
  ThreadTeam(network.arena_threads()).run(body);
}

} // namespace

template <class T>
RunState<T>::RunState(const Network<T>& network, std::shared_ptr<Optimizer<T>> optimizer)
    : optimizer_(std::move(optimizer)), arena_(network.arena_size(), Contents::undefined, network.memory()) {
  if (optimizer_ == nullptr) return;
  optimizer_->prepare(network.id(), network.arena_size(), network.memory());
  for (int i = 0; i < optimizer_->states(); ++i) {
    states_[static_cast<std::size_t>(i)] = Buffer<T>(optimizer_->size(), Contents::undefined, network.memory());
  }
}

template <class T> void RunState<T>::keep(const Network<T>& network) {
  copy_all(network, arena_.data(), network.arena(), arena_.size());
  kept_ = true;
  if (optimizer_ == nullptr) return;
  states_at_start_ = optimizer_->is_at_start();
  for (int i = 0; i < optimizer_->states() && !states_at_start_; ++i) {
    Buffer<T>& state = states_[static_cast<std::size_t>(i)];
    copy_all<T>(network, state.data(), std::as_const(*optimizer_).state(i), state.size());
  }
  passes_ = network.steps();
  updates_ = optimizer_->steps();
  rate_ = optimizer_->rate();
}

template <class T> void RunState<T>::restore(Network<T>& network) const {
  check(kept_, "nothing was kept yet");
  copy_all<T>(network, network.arena(), arena_.data(), arena_.size());
  if (optimizer_ == nullptr) return;
  if (states_at_start_) optimizer_->reset();
  for (int i = 0; i < optimizer_->states() && !states_at_start_; ++i) {
    const Buffer<T>& state = states_[static_cast<std::size_t>(i)];
    copy_all<T>(network, optimizer_->state(i), state.data(), state.size());
  }
  network.set_steps(passes_);
  optimizer_->set_steps(updates_);
  optimizer_->set_rate(rate_);
}

template <class T> bool RunState<T>::is_here(const Network<T>& network) const {
  if (!kept_) return false;
  std::vector<T> here(static_cast<std::size_t>(arena_.size())), kept = here;
  copy_out(network.memory(), here.data(), network.arena(), arena_.size());
  copy_out(network.memory(), kept.data(), arena_.data(), arena_.size());
  return here == kept;
}

template <class T> RunContent<T> RunState<T>::content(const Network<T>& network) const {
  check(kept_, "nothing was kept yet");
  const Memory& memory = network.memory();
  auto here = [&](const Buffer<T>& there) {
    std::vector<T> copy(static_cast<std::size_t>(there.size()));
    copy_out(memory, copy.data(), there.data(), there.size());
    return copy;
  };
  RunContent<T> content{.arena = here(arena_), .states = {}, .passes = passes_, .updates = updates_, .rate = rate_};
  const int states = optimizer_ == nullptr ? 0 : optimizer_->states();
  for (int i = 0; i < states; ++i) {
    const Buffer<T>& state = states_[static_cast<std::size_t>(i)];
    content.states.push_back(
        states_at_start_ ? std::vector<T>(static_cast<std::size_t>(state.size()), optimizer_->start(i)) : here(state));
  }
  return content;
}

template <class T> void RunState<T>::take(const Network<T>& network, const RunContent<T>& content) {
  const std::size_t states = optimizer_ == nullptr ? 0 : static_cast<std::size_t>(optimizer_->states());
  auto check_size = [](const std::vector<T>& found, const Buffer<T>& place, const char* what) {
    check(static_cast<Index>(found.size()) == place.size(), what, " must have ", place.size(), " elements; got ",
          found.size());
  };
  check_size(content.arena, arena_, "the arena");
  check(content.states.size() == states, "there must be ", states, " states; got ", content.states.size());
  for (std::size_t i = 0; i < states; ++i) check_size(content.states[i], states_[i], "a state");

  const Memory& memory = network.memory();
  copy(memory, arena_.data(), network.arena(), arena_.size());
  for (const Parameter& parameter : network.parameters()) {
    if (parameter.role == Role::constant) continue;
    copy_in(memory, arena_.data() + parameter.offset, content.arena.data() + parameter.offset, parameter.size());
  }
  for (std::size_t i = 0; i < states; ++i) {
    copy_in(memory, states_[i].data(), content.states[i].data(), states_[i].size());
  }
  states_at_start_ = false;
  passes_ = content.passes;
  updates_ = content.updates;
  rate_ = content.rate;
  kept_ = true;
}

namespace {

/// The sum of one term of the elements of an array that lies as the arena does.
template <class T> double sum_over(const Network<T>& network, PenaltyTerm term, const T* array) {
  double sum = 0;
  Buffer<double> room(term_sum_room(network.arena_size()), Contents::undefined, network.memory());
  auto body = [&](const Team& team) {
    const Pass<T> pass = network.pass(team);
    TermSum<T> terms(pass, term, room.data());
    terms.add(array, network.arena_size());
    const double value = terms.value();
    if (team.rank() == 0) sum = value;
  };
  ThreadTeam(network.arena_threads()).run(body);
  return sum;
}

} // namespace

template <class T> bool is_finite(const Network<T>& network) {
  return std::isfinite(sum_over(network, {PenaltyTermKind::absolute, 0}, network.arena()));
}

template <class T> double gradient_norm(Network<T>& network) {
  return std::sqrt(sum_over<T>(network, {PenaltyTermKind::square, 0}, network.gradients()));
}

#define CHAINRULE_INSTANTIATE(T)                                                                                       \
  template class RunState<T>;                                                                                          \
  template bool is_finite(const Network<T>&);                                                                          \
  template double gradient_norm(Network<T>&);
CHAINRULE_INSTANTIATE(float)
CHAINRULE_INSTANTIATE(double)

} // namespace chainrule
