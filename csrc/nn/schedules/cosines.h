// Schedules that follow a cosine over a length N that is known beforehand; x is the number of the step, from 0.
//
//   between a and b:   fade(a, b, f) = b + (a - b) / 2 (1 + cos(pi f)),   f = 0 at a, 1 at b
//
//   CosineDecay   eta = eta0 (x + 1) / W                                 before x = W, the end of the warm-up
//                 eta = fade(eta0, end, (x - W) / (N - W))               from there; `end` from x = N on
//   OneCycle      eta = fade(start, eta0, x / R)                         up to x = R = rise N - 1, at least 0
//                 eta = fade(eta0, end, (x - R) / (N - 1 - R))           down to x = N - 1, and `end` from there on
//
// Sources: I. Loshchilov and F. Hutter, ICLR 2017, without restarts; L. Smith, arXiv:1803.09820, in PyTorch's form.
#pragma once

#include <algorithm>
#include <numbers>

#include "nn/numbers.h"
#include "nn/schedules/schedule.h"

namespace chainrule {

inline double fade(double from, double to, double part) {
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * part));
}

class CosineDecay final : public Schedule {
public:
  CosineDecay(double rate, double length, double warmup, double end, bool per_epoch)
      : rate_(positive<double>("lr", rate)), length_(positive<double>("length", length)),
        warmup_(representable<double>("warmup", warmup)), end_(representable<double>("end", end)), unit_{per_epoch} {
    check(warmup < length, "warmup must be below the length of ", length, "; got ", warmup);
  }

  double rate(const Moment& moment) const override {
    const double x = unit_.step(moment);
    const double warmup = unit_.steps(moment, warmup_), length = unit_.steps(moment, length_);
    if (x < warmup) return rate_ * std::min(1.0, (x + 1) / warmup);
    return x < length ? fade(rate_, end_, (x - warmup) / (length - warmup)) : end_;
  }

private:
  double rate_, length_, warmup_, end_;
  Unit unit_;
};

class OneCycle final : public Schedule {
public:
  OneCycle(double rate, double length, double rise, double start, double end, bool per_epoch)
      : rate_(positive<double>("lr", rate)), length_(positive<double>("length", length)), rise_(rise),
        start_(representable<double>("start", start)), end_(representable<double>("end", end)), unit_{per_epoch} {
    check(rise > 0 && rise < 1, "rise must be above 0 and below 1; got ", rise);
  }

  double rate(const Moment& moment) const override {
    const double x = unit_.step(moment), length = unit_.steps(moment, length_);
    const double top = std::max(rise_ * length - 1, 0.0), last = length - 1;
    if (x <= top) return fade(start_, rate_, top > 0 ? x / top : 1);
    return x < last ? fade(rate_, end_, (x - top) / (last - top)) : end_;
  }

private:
  double rate_, length_, rise_, start_, end_;
  Unit unit_;
};

} // namespace chainrule
