// Teams on std::thread, for compilers that come without OpenMP: threads start and end with each run.
#include "core/team.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace chainrule {

void ThreadTeam::run(TeamBody body) {
  Barrier barrier;
  std::atomic<int> size{0}; // how many there are; the members wait for it
  auto member = [&](int rank) {
    size.wait(0);
    body(Team(rank, size, &barrier, scratch_.data() + rank * static_cast<Index>(Team::scratch_bytes)));
  };
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(threads_));
  try {
    for (int rank = 1; rank < threads_; ++rank) others.emplace_back(member, rank);
  } catch (const std::system_error&) {
    // No more threads to be had: those that started do the work, with the same result.
  }
  size.store(static_cast<int>(others.size()) + 1);
  size.notify_all();
  member(0);
  for (std::thread& other : others) other.join();
}

int default_threads() {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  const unsigned cores = std::thread::hardware_concurrency();
  return cores == 0 ? 1 : static_cast<int>(cores);
}

const char* threading_name() { return "std::thread"; }

} // namespace chainrule
