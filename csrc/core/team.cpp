// The barrier, the limits and the sizes of teams. How threads start is in team_openmp.cpp or team_std.cpp,
// of which CMake compiles one.
#include "core/team.h"

#include <pthread.h>

#include <algorithm>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace chainrule {

namespace {

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

std::atomic<int> limit{0};
thread_local int own_limit = 0;

std::atomic<int> forks{0};
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });

// A member must find about 5 us of work a step (at 100 GFLOP/s) to pay for the barriers of that step.
std::atomic<double> work{5e5};

} // namespace

void Barrier::wait(int members) {
  const unsigned phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    return;
  }
  // Spinning answers in 0.1 us. After some 20 us the others are not running: give them the core.
  constexpr int patience = 1000;
  for (int spins = 0; phase_.load(std::memory_order_acquire) == phase;) {
    if (spins < patience) {
      ++spins;
      pause_briefly();
    } else {
      std::this_thread::yield();
    }
  }
}

ThreadTeam::ThreadTeam(int threads)
    : threads_((check(threads >= 1, "a team needs at least one thread; got ", threads), threads)),
      scratch_(static_cast<Index>(threads) * static_cast<Index>(Team::scratch_bytes), Contents::undefined) {}

int default_threads(); // of the file that CMake chose

int fork_generation() { return forks.load(std::memory_order_relaxed); }

int thread_limit() {
  const int chosen = own_limit > 0 ? own_limit : limit.load();
  return chosen > 0 ? chosen : default_threads();
}

namespace {

void check_limit(int threads) {
  const int most = std::max(64, 4 * static_cast<int>(std::thread::hardware_concurrency()));
  check(threads >= 0 && threads <= most, "the number of threads must be 0 (automatic) to ", most, "; got ", threads);
}

} // namespace

void set_thread_limit(int threads) {
  check_limit(threads);
  limit.store(threads);
}

int own_thread_limit() { return own_limit; }

void set_own_thread_limit(int threads) {
  check_limit(threads);
  own_limit = threads;
}

double work_per_thread() { return work.load(); }

void set_work_per_thread(double value) {
  check(value >= 1, "the work per thread must be at least 1; got ", value);
  work.store(value);
}

int threads_for(double total) {
  const double worth = std::max(1.0, total / work.load());
  return static_cast<int>(std::min<double>(thread_limit(), worth));
}

} // namespace chainrule
