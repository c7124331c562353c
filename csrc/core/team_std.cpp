// Teams on std::thread, for compilers that come without OpenMP: threads start and end with each run.
#include "core/team.h"

#include <sched.h>

#include <thread>
#include <vector>

namespace chainrule {

void ThreadTeam::run(TeamBody body) {
  Barrier barrier;
  auto member = [&](int rank) { body(Team(rank, threads_, &barrier, scratch_.data() + rank * Team::scratch_bytes)); };
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(threads_));
  for (int rank = 1; rank < threads_; ++rank)
    others.emplace_back(member, rank);
  member(0);
  for (std::thread& other : others)
    other.join();
}

int default_threads() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
  const unsigned cores = std::thread::hardware_concurrency();
  return cores == 0 ? 1 : static_cast<int>(cores);
}

const char* threading_name() { return "std::thread"; }

} // namespace chainrule
