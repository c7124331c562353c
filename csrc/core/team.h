// Teams of threads: one parallel region runs a body on every member at once.
//
// Each member does the share of an operation that is its own and waits at a barrier where it reads what
// another wrote. A region so spans many steps of training, and nothing forks and joins inside one.
// Shares are cut by output, never along a sum, so results do not depend on the number of members.
//
// It does not schedule, steal or nest: the work of a step is known before it starts.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>

#include "core/buffer.h"
#include "core/prefetch.h"
#include "core/view.h"

namespace chainrule {

/// All members must arrive before any goes on.
class Barrier {
public:
  void wait(int members);

private:
  // On lines of their own: the waiters read `phase` while the others count up `arrived`.
  alignas(alignment_bytes) std::atomic<int> arrived_{0};
  alignas(alignment_bytes) std::atomic<unsigned> phase_{0};
};

/// What one member knows of its team. Passed to every operation.
class Team {
public:
  /// A member's own memory for packed panels: 3.75 MiB, so that the blocks of cpu/matmul.cpp fit, which asserts it. A
  /// team of one stays below the size from which core/memory.cpp asks for pages of 2 MiB: for small work that would be
  /// much to clear.
  static constexpr std::size_t scratch_bytes = 15 << 18;

  Team(int rank, int size, Barrier* barrier, std::byte* scratch)
      : rank_(rank), size_(size), barrier_(barrier), scratch_(scratch) {}

  CHAINRULE_INLINE int rank() const { return rank_; }
  CHAINRULE_INLINE int size() const { return size_; }
  CHAINRULE_INLINE std::byte* scratch() const { return scratch_; }

  CHAINRULE_INLINE void barrier() const {
    if (size_ > 1) barrier_->wait(size_);
  }

  /// What this member will read next, for products to ask for while they compute.
  CHAINRULE_INLINE void set_prefetch(Prefetch* prefetch) { prefetch_ = prefetch; }
  CHAINRULE_INLINE void prefetch() const {
    if (prefetch_ != nullptr) prefetch_->go_on();
  }

  /// This member's part of [0, n), cut at multiples of `grain`; the parts cover [0, n) without overlap.
  CHAINRULE_INLINE Range share(Index n, Index grain = 1) const { return part(n, grain, rank_, size_); }

  /// Part `index` of `parts` of [0, n), cut at multiples of `grain`.
  CHAINRULE_INLINE static Range part(Index n, Index grain, Index index, Index parts) {
    const Index grains = (n + grain - 1) / grain;
    const Index begin = grains * index / parts * grain;
    const Index end = grains * (index + 1) / parts * grain;
    return {begin < n ? begin : n, end < n ? end : n};
  }

private:
  int rank_;
  int size_;
  Barrier* barrier_;
  std::byte* scratch_;
  Prefetch* prefetch_ = nullptr;
};

/// A body that all members run. A plain pointer pair: it neither allocates nor owns.
class TeamBody {
public:
  template <class Function>
  requires(!std::same_as<Function, TeamBody>) TeamBody(Function& function)
      : object_(&function), call_([](void* object, const Team& team) { (*static_cast<Function*>(object))(team); }) {}
  void operator()(const Team& team) const { call_(object_, team); }

private:
  void* object_;
  void (*call_)(void*, const Team&);
};

/// Starts teams of a given size and owns what they share.
class ThreadTeam {
public:
  explicit ThreadTeam(int threads = 1);
  ThreadTeam(ThreadTeam&&) noexcept = default;
  ThreadTeam& operator=(ThreadTeam&&) noexcept = default;

  int threads() const { return threads_; }

  /// Runs `body` on all members and returns when all have finished. The body of several must not throw.
  void run(TeamBody body);

private:
  int threads_;
  Buffer<std::byte> scratch_; // threads * Team::scratch_bytes; pages cost nothing until they are touched
};

/// The number of threads a team may have: the limit of the calling thread, else the last set_thread_limit, else what
/// OpenMP says (OMP_NUM_THREADS, the affinity of the process, threadpoolctl).
int thread_limit();
/// Sets the limit for the process, up to four times its processors and at least 64; 0 returns to the default. (Where a
/// thread cannot be started, libgomp ends the process: hence the bound.)
void set_thread_limit(int threads);
/// A limit for what the calling thread starts, whatever others do meanwhile; 0 for none.
int own_thread_limit();
void set_own_thread_limit(int threads);

/// Threads that a step of `work` floating-point operations is worth, at most thread_limit().
int threads_for(double work);
/// Work that each further thread must find, in floating-point operations. Tests set it to 1.
double work_per_thread();
void set_work_per_thread(double work);

/// Counts the forks that led to this process: a lock that a thread of the parent held is held for ever in a child.
int fork_generation();

/// What the threads are made of, for `chainrule info`: "OpenMP 4.5", "std::thread".
const char* threading_name();

} // namespace chainrule
