// Pace: whether all threads of a team walk the steps of an epoch faster than one alone.
//
// The work of a step says how many threads it is worth where every thread has a core of its own. Where another program,
// or another guest of the same machine, has one of the cores, a barrier waits for a thread that does not run, and a
// step can take ten times as long with two threads as with one. So small steps are timed both ways, and the better way
// goes on; the other is looked at again now and then. Results do not depend on the number of threads, so nothing else
// changes.
#pragma once

#include "core/view.h"

namespace chainrule {

class Pace {
public:
  explicit Pace(int threads) : threads_(threads) {}

  int threads() const { return threads_; }

  /// Whether the next slice is for one thread alone.
  bool alone() const {
    if (threads_ == 1) return true;
    if (all_ == 0 || all_ > longest_step) return false;
    if (one_ == 0) return true;
    return (one_ < all_) != is_look();
  }

  /// How long the next slice should be, of at most `seconds`.
  double slice(double seconds) const {
    const bool known = threads_ == 1 || all_ > longest_step || (all_ > 0 && one_ > 0);
    return (known && !is_look()) || seconds < look_seconds ? seconds : look_seconds;
  }

  /// A slice of that many steps took that many seconds.
  void saw(Index steps, double seconds) {
    if (steps == 0 || threads_ == 1) return;
    const bool both = all_ > 0 && one_ > 0, look = is_look();
    (alone() ? one_ : all_) = seconds / static_cast<double>(steps);
    slices_ = !both || look ? 0 : slices_ + 1;
  }

private:
  // A longer step has work enough between its barriers, and would cost too much to try alone.
  static constexpr double longest_step = 1e-2;
  // Long enough for a sleeping thread to wake up, some 50 us; twice as slow, 1 % of the slices between two looks.
  static constexpr double look_seconds = 5e-3;
  static constexpr int slices_between_looks = 20;

  bool is_look() const { return slices_ >= slices_between_looks && all_ > 0 && one_ > 0; }

  int threads_;
  double all_ = 0, one_ = 0; // seconds a step, when last seen; 0 before
  int slices_ = 0;           // since the last look
};

} // namespace chainrule
