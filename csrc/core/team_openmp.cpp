// Teams on OpenMP: one parallel region a run.
//
// After a fork, the child has none of the parent's threads, but the runtime library still believes in the pool
// of the thread that forked, and waits for it for ever. A pool belongs to the thread that opens a region, so in
// a child the regions are opened from a new thread, whose pool is new.
#include "core/team.h"

#include <omp.h>

#include <thread>

namespace chainrule {

namespace {

void run_region(int threads, std::byte* scratch, TeamBody body) {
  Barrier barrier;
#pragma omp parallel num_threads(threads)
  {
    const int rank = omp_get_thread_num();
    body(Team(rank, omp_get_num_threads(), &barrier, scratch + rank * Team::scratch_bytes));
  }
}

} // namespace

void ThreadTeam::run(TeamBody body) {
  if (threads_ == 1) {
    body(Team(0, 1, nullptr, scratch_.data()));
  } else if (fork_generation() > 0) {
    std::thread([&] { run_region(threads_, scratch_.data(), body); }).join();
  } else {
    run_region(threads_, scratch_.data(), body);
  }
}

int default_threads() { return omp_get_max_threads(); }

const char* threading_name() {
#if _OPENMP >= 202011
  return "OpenMP 5.1";
#elif _OPENMP >= 201811
  return "OpenMP 5.0";
#else
  return "OpenMP 4.5";
#endif
}

} // namespace chainrule
