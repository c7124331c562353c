// Schedules that decay with a count t of epochs or of steps, t = 0, 1, ...: the formulas of lecture [002].
//
//   TimeDecay          eta = eta0 / (1 + decay t)                 by epochs, or by steps: Keras's former `decay`
//   StepDecay          eta = eta0 drop^(t / every)                as printed, which falls in each epoch;
//                      eta = eta0 drop^floor(t / every)           in steps, as its name says
//   ExponentialDecay   eta = eta0 exp(-k t)
#pragma once

#include "nn/numbers.h"
#include "nn/schedules/schedule.h"

namespace chainrule {

class TimeDecay final : public Schedule {
public:
  TimeDecay(double rate, double decay, bool per_epoch)
      : rate_(positive<double>("lr", rate)), decay_(representable<double>("decay", decay)), unit_{per_epoch} {}

  double rate(const Moment& moment) const override { return rate_ / (1 + decay_ * unit_.count(moment)); }

private:
  double rate_, decay_;
  Unit unit_;
};

class StepDecay final : public Schedule {
public:
  StepDecay(double rate, double drop, double every, bool floor, bool per_epoch)
      : rate_(positive<double>("lr", rate)), drop_(positive<double>("drop", drop)),
        every_(positive<double>("every", every)), floor_(floor), unit_{per_epoch} {}

  double rate(const Moment& moment) const override {
    const double drops = unit_.count(moment) / every_;
    return rate_ * std::pow(drop_, floor_ ? std::floor(drops) : drops);
  }

private:
  double rate_, drop_, every_;
  bool floor_;
  Unit unit_;
};

class ExponentialDecay final : public Schedule {
public:
  ExponentialDecay(double rate, double decay, bool per_epoch)
      : rate_(positive<double>("lr", rate)), decay_(representable<double>("k", decay)), unit_{per_epoch} {}

  double rate(const Moment& moment) const override { return rate_ * std::exp(-decay_ * unit_.count(moment)); }

private:
  double rate_, decay_;
  Unit unit_;
};

} // namespace chainrule
