// Optimizer: an update rule, its numbers for a step, and the state that it keeps beside the parameters.
//
//   g <- clip(g)              by value, then by the norm of all that is learned (clipping.h)
//   w <- keep w               keep = 1 - eta decay, for decoupled decay
//   w <- rule(w, g, state)    eta from the schedule, times the factor of the parameter's layer
//
// An optimizer serves one network: its state arrays are laid out as that network's arena.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "nn/layer_rates.h"
#include "nn/numbers.h"
#include "nn/optimizers/clipping.h"
#include "nn/schedules/schedule.h"

namespace chainrule {

/// What every optimizer may be told besides its rule.
struct OptimizerOptions {
  std::shared_ptr<const Schedule> schedule; // of the learning rate; null for a fixed one
  std::map<Index, double> layer_factors;    // of the learning rate, by layer; 1 for the others
  Clipping clipping;
  double decay = 0;          // w <- (1 - eta decay) w, for weights
  bool decay_biases = false; // and for all else that is learned
};

template <class T> class Optimizer {
public:
  explicit Optimizer(double rate) { set_rate(rate); }
  virtual ~Optimizer() = default;

  virtual UpdateRule rule() const = 0;

  /// The learning rate of the next step; with a schedule, of the last one.
  double rate() const { return rate_; }
  void set_rate(double rate) { rate_ = representable<T>("the learning rate", rate); }

  std::uint64_t steps() const { return steps_; }
  void set_steps(std::uint64_t steps) {
    check(steps < std::uint64_t{1} << 62, "steps must be below 2^62; got ", steps);
    steps_ = steps;
  }

  void configure(OptimizerOptions options) {
    check(network_ == 0, "an optimizer is configured before its first step");
    for (const auto& [layer, factor] : options.layer_factors) representable<T>("a factor of the learning rate", factor);
    representable<T>("weight_decay", options.decay);
    options.clipping.template check_limits<T>();
    rates_.factors = std::move(options.layer_factors);
    options_ = std::move(options);
  }

  /// Makes the state for the arena of a network, `size` elements in a device's memory, or checks that it was made for
  /// that network.
  void prepare(std::uint64_t network, Index size, const Memory& memory) {
    if (network_ == 0) {
      std::array<Buffer<T>, 3> state;
      for (int i = 0; i < states(); ++i) {
        Buffer<T>& array = state[static_cast<std::size_t>(i)];
        array = Buffer<T>(size, Contents::undefined, memory);
        fill_with_start(i, array, memory);
      }
      room_ = Buffer<double>(options_.clipping.norm > 0 ? term_sum_room(size) : 0, Contents::undefined, memory);
      state_ = std::move(state);
      memory_ = &memory;
      size_ = size;
      network_ = network;
    }
    check(network == network_, "this optimizer has the state of another network: make one for each");
  }
  /// Looks which of the network's parameters learn now: after prepare, and whenever that may have changed.
  void plan(std::span<const Parameter> parameters) {
    segments_.clear();
    arrays_.clear();
    for (const Parameter& p : parameters) {
      if (!p.learns()) continue;
      arrays_.push_back({p.offset, p.offset + arena_extent<T>(p.size())});
      const double decay = p.role == Role::weight || options_.decay_biases ? options_.decay : 0;
      const Segment next{arrays_.back(), rates_.factor(p), decay};
      if (!segments_.empty() && segments_.back().take(next)) continue;
      segments_.push_back(next);
    }
  }

  int states() const { return update_rule_states[static_cast<int>(rule())]; }
  Index size() const { return size_; } // 0 before prepare
  /// A state array, to be written to from now on.
  T* state(int i) {
    lent_ = true;
    return state_[static_cast<std::size_t>(i)].data();
  }
  const T* state(int i) const { return state_[static_cast<std::size_t>(i)].data(); }
  /// Whether the state arrays are as they were made: nobody stepped since, nor ever asked for one to write to.
  bool is_at_start() const { return at_start_ && !lent_; }
  /// What all elements of a state array are then.
  T start(int i) const { return static_cast<T>(state_start(i)); }
  /// Where the states lie.
  const Memory& memory() const { return *memory_; }
  /// Goes back to before the first step.
  void reset() {
    for (int i = 0; i < states() && size_ > 0; ++i) fill_with_start(i, state_[static_cast<std::size_t>(i)], *memory_);
    at_start_ = true;
    steps_ = 0;
  }

  /// Sets the numbers of the step that comes. Called by one thread, before a barrier.
  void begin_step(const Moment& moment) {
    at_start_ = false;
    if (options_.schedule) rate_ = options_.schedule->rate(moment);
    rates_.rate = rate_;
    const UpdateNumbers all = numbers(moment.step + 1);
    for (Segment& part : segments_) {
      part.numbers = all;
      part.numbers.rate = rates_.rate * part.rate;
      part.numbers.keep = 1 - part.numbers.rate * part.decay;
    }
  }
  /// The learning rates of the step at hand.
  const LayerRates& rates() const { return rates_; }

  /// The step itself, on parameters w with gradients g, the arena each. Called by all threads; counts no step. Several
  /// threads share out each array for itself, as mostly they did its gradient: what one of them wrote is in its own
  /// caches.
  void update(const Pass<T>& pass, T* w, T* g) {
    options_.clipping.apply(pass, g, size_, room_.data());
    auto array = arrays_.begin();
    for (const Segment& part : segments_) {
      auto update_range = [&](Range range) {
        const UpdateStates<T> states{at(0, range), at(1, range), at(2, range)};
        pass.kernels.update(pass.team, rule(), part.numbers, w + range.begin, g + range.begin, states, range.size());
      };
      if (pass.team.size() == 1) {
        update_range(part.range);
      } else {
        for (; array != arrays_.end() && array->end <= part.range.end; ++array) update_range(*array);
      }
    }
  }

protected:
  /// The numbers of step t = 1, 2, ...; the learning rate is put in by the caller.
  virtual UpdateNumbers numbers(std::uint64_t t) const = 0;
  /// What state array i holds before the first step.
  virtual double state_start(int i) const {
    (void)i;
    return 0;
  }

private:
  void fill_with_start(int i, Buffer<T>& array, const Memory& memory) const {
    if (array.size() == 0) return;
    if (start(i) == 0) {
      memory.clear(array.data(), static_cast<std::size_t>(array.size()) * sizeof(T));
    } else {
      const std::vector<T> values(static_cast<std::size_t>(array.size()), start(i));
      copy_in(memory, array.data(), values.data(), array.size());
    }
  }

  /// Neighbours in the arena that are updated alike.
  struct Segment {
    Range range;
    double rate, decay;      // factor of the learning rate; decay
    UpdateNumbers numbers{}; // of the step at hand

    /// Becomes longer by what follows, if that is updated alike.
    bool take(const Segment& next) {
      if (range.end != next.range.begin || rate != next.rate || decay != next.decay) return false;
      range.end = next.range.end;
      return true;
    }
  };

  T* at(int i, Range range) {
    return i < states() ? state_[static_cast<std::size_t>(i)].data() + range.begin : nullptr;
  }

  // Atomic: Python may look at them, or set them, from another thread than the one that trains.
  std::atomic<double> rate_{0};
  std::atomic<std::uint64_t> steps_{0};
  std::atomic<bool> at_start_{true}, lent_{false};
  OptimizerOptions options_;
  LayerRates rates_; // of the step at hand
  std::vector<Segment> segments_;
  std::vector<Range> arrays_; // of the arena, those that learn; a segment is several neighbours
  std::uint64_t network_ = 0; // Network::id, 0 before prepare
  Index size_ = 0;
  std::array<Buffer<T>, 3> state_;
  const Memory* memory_ = &host_memory;
  Buffer<double> room_; // for the sum of squares of the gradients
};

} // namespace chainrule
