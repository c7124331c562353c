// Schedule: the learning rate of each step, a function of where the step stands in its training.
#pragma once

#include <cmath>
#include <cstdint>

namespace chainrule {

/// When a step is done.
struct Moment {
  std::uint64_t step = 0;     // steps that the optimizer has done before
  double epoch = 0;           // epochs that are over, with the part of the running one
  double steps_per_epoch = 1; // 1 where nobody knows
};

class Schedule {
public:
  virtual ~Schedule() = default;
  virtual double rate(const Moment&) const = 0;
};

/// What a schedule counts in: whole epochs, or steps ("iterations").
struct Unit {
  bool per_epoch = true;

  /// t = 0, 1, ...: the same for all steps of an epoch where epochs are counted.
  double count(const Moment& moment) const {
    return per_epoch ? std::floor(moment.epoch) : static_cast<double>(moment.step);
  }
  /// The number of the step, for schedules that change with each, and a length in steps.
  double step(const Moment& moment) const {
    return per_epoch ? moment.epoch * moment.steps_per_epoch : static_cast<double>(moment.step);
  }
  double steps(const Moment& moment, double length) const {
    return per_epoch ? length * moment.steps_per_epoch : length;
  }
};

} // namespace chainrule
