// Pace: whether all threads of a team walk the steps of an epoch faster than one alone.
//
// The work of a step says how many threads it is worth where every thread has a core of its own. Where other programs,
// or other guests of the same machine, have the cores, a barrier waits for a thread that does not run, and a step can
// take a thousand times as long with two threads as with one. So both ways are timed, the better one goes on, and the
// other is looked at again now and then: the more seldom, the more a look costs. Results do not depend on the number of
// threads, so nothing else changes.
#pragma once

#include <algorithm>

#include "core/view.h"

namespace chainrule {

class Pace {
public:
  /// For a team of that many threads and steps of that many operations.
  Pace(int threads, double operations) : chooses_(threads > 1 && operations < most_operations) {}

  /// Whether the next slice is for one thread alone.
  bool alone() const { return way_ == one; }

  /// How long the next slice should be, of at most `seconds`.
  double slice(double seconds) const { return looks_ ? std::min(seconds, look_seconds) : seconds; }

  /// A slice of that many steps took that many seconds.
  void saw(Index steps, double seconds) {
    if (!chooses_ || steps == 0) return;
    steps_ += steps;
    spent_ += seconds;
    if (spent_ < wanted_) return;
    step_[way_] = spent_ / static_cast<double>(steps_);
    if (looks_ && --first_looks_ <= 0) { // go on in the better way
      const Way better = step_[one] < step_[all] ? one : all;
      looks_apart_ = better == better_ ? std::min(2 * looks_apart_, most_apart) : least_apart;
      wanted_ = looks_apart_ * spent_;
      way_ = better_ = better;
      looks_ = false;
    } else { // look at the other
      wanted_ = look_seconds;
      way_ = way_ == all ? one : all;
      looks_ = true;
    }
    steps_ = 0;
    spent_ = 0;
  }

private:
  enum Way { all, one };

  // Some 20 ms for one core: a longer step has work enough between its barriers, and would cost too much to try alone.
  static constexpr double most_operations = 1e9;
  // A look: long enough for a sleeping thread to wake up, some 50 us, and for many short steps.
  static constexpr double look_seconds = 5e-3;
  // How many times as long as a look it is to the next: at first, and after many that said the same.
  static constexpr double least_apart = 6, most_apart = 200;

  bool chooses_, looks_ = true;
  int first_looks_ = 3; // all, which starts the threads and touches all memory for the first time; one; all again
  Way way_ = all, better_ = all;
  double looks_apart_ = least_apart;
  double step_[2] = {0, 0};                  // seconds a step, by way, when last seen
  double wanted_ = look_seconds, spent_ = 0; // seconds to go in the present way, and gone
  Index steps_ = 0;                          // done in the present way
};

} // namespace chainrule
