// Keeping and restoring, within the device's memory.
#include "train/run_state.h"

#include <cmath>
#include <vector>

#include "nn/term_sum.h"

namespace chainrule {

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
  const Memory& memory = network.memory();
  copy(memory, arena_.data(), network.arena(), arena_.size());
  kept_ = true;
  if (optimizer_ == nullptr) return;
  for (int i = 0; i < optimizer_->states(); ++i) {
    Buffer<T>& state = states_[static_cast<std::size_t>(i)];
    copy(memory, state.data(), optimizer_->state(i), state.size());
  }
  passes_ = network.steps();
  updates_ = optimizer_->steps();
  rate_ = optimizer_->rate();
}

template <class T> void RunState<T>::restore(Network<T>& network) const {
  check(kept_, "nothing was kept yet");
  const Memory& memory = network.memory();
  copy(memory, network.arena(), arena_.data(), arena_.size());
  if (optimizer_ == nullptr) return;
  for (int i = 0; i < optimizer_->states(); ++i) {
    const Buffer<T>& state = states_[static_cast<std::size_t>(i)];
    copy(memory, optimizer_->state(i), state.data(), state.size());
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

template <class T> bool is_finite(const Network<T>& network) {
  double sum = 0;
  Buffer<double> room(term_sum_room(network.arena_size()), Contents::undefined, network.memory());
  auto body = [&](const Team& team) {
    const Pass<T> pass = network.pass(team);
    TermSum<T> sizes(pass, {PenaltyTermKind::absolute, 0}, room.data());
    sizes.add(network.arena(), network.arena_size());
    const double value = sizes.value();
    if (team.rank() == 0) sum = value;
  };
  ThreadTeam(network.arena_threads()).run(body);
  return std::isfinite(sum);
}

#define CHAINRULE_INSTANTIATE(T)                                                                                       \
  template class RunState<T>;                                                                                          \
  template bool is_finite(const Network<T>&);
CHAINRULE_INSTANTIATE(float)
CHAINRULE_INSTANTIATE(double)

} // namespace chainrule
