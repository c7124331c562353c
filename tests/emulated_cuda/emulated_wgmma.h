// The instructions of csrc/cuda/wgmma.h on the host, for tests: what a descriptor says and who holds which element is
// written down here once more, from the PTX ISA ("Asynchronous Warpgroup Level Matrix Shared Memory Layout", "Register
// Fragments for wgmma.mma_async.m64nNk16"), so that a kernel that has it otherwise computes something else.
//
// What is asynchronous happens at the worst moment. Products are computed when they are waited for, from what shared
// memory then holds. Copies go at once in even blocks, and in odd ones when a thread waits for their barrier. Sums are
// rounded once a term; tensor cores may round otherwise.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "cuda_runtime.h"
#include "emulated_mma.h"

namespace emulated {

[[noreturn]] inline void refuse(const char* what) {
  std::fprintf(stderr, "emulated CUDA: %s\n", what);
  std::abort();
}

// Shared memory begins behind what the GPU keeps for itself.
inline constexpr unsigned shared_begin = 1024;

template <class T> T* shared_place(unsigned address) {
  if (address < shared_begin || address - shared_begin + sizeof(T) > most_shared || address % alignof(T) != 0) {
    refuse("an address that is none of shared memory, or not aligned");
  }
  return reinterpret_cast<T*>(shared_memory + (address - shared_begin));
}

/// A barrier, 8 bytes. A phase ends when nobody is missing and no byte is.
struct Barrier {
  std::int32_t bytes;
  std::uint8_t threads, missing, phase, made;

  void look() {
    if (missing > 0 || bytes != 0) return;
    missing = threads;
    phase ^= 1;
    something_happened = true;
  }
};
static_assert(sizeof(Barrier) == 8);
inline constexpr std::uint8_t is_made = 0x5a; // new memory has other bytes

inline Barrier& barrier_at(unsigned address) {
  auto* barrier = shared_place<Barrier>(address & ~7U);
  if (address % 8 != 0 || barrier->made != is_made) refuse("a barrier that was not made");
  return *barrier;
}

struct Copy {
  unsigned to;
  const void* from;
  unsigned bytes, barrier;

  void run() const {
    std::memcpy(shared_place<char>(to), from, bytes);
    barrier_at(barrier).bytes -= static_cast<std::int32_t>(bytes);
    barrier_at(barrier).look();
  }
};
inline std::vector<Copy> copies; // under way

inline void run_copies(unsigned barrier) {
  std::vector<Copy> others, mine;
  for (const Copy& copy : copies) (copy.barrier == barrier ? mine : others).push_back(copy);
  copies = others;
  for (const Copy& copy : mine) copy.run();
}

/// The terms of 32 bytes of a line, of a matrix in shared memory that a descriptor describes: bits 0 to 13 have its
/// address, 16 to 29 and 32 to 45 the steps along and across the terms, 62 and 63 the swizzle, of 128, 64 or 32 bytes
/// or none. All but the last are in units of 16 bytes. The swizzle goes by addresses, which begin anew every 1024
/// bytes.
template <class Decode> void read_line(std::uint64_t descriptor, unsigned line, Decode decode) {
  const auto field = [&](int bit) { return static_cast<unsigned>(descriptor >> bit & 0x3fffU) * 16; };
  if ((descriptor >> 49 & 7U) != 0) refuse("a descriptor of a matrix that does not begin with its pattern");
  const unsigned mode = static_cast<unsigned>(descriptor >> 62), bits = mode == 0 ? 0 : 4 - mode;
  for (unsigned piece = 0; piece < 2; ++piece) {
    unsigned address = field(0) + line / 8 * field(32) + line % 8 * (16U << bits);
    address += mode == 0 ? piece * field(16) : piece * 16;
    address ^= (address >> 7 & ((1U << bits) - 1)) << 4;
    std::uint32_t words[4];
    for (unsigned w = 0; w < 4; ++w) words[w] = *shared_place<std::uint32_t>(address + w * 4);
    decode(piece, words);
  }
}

/// A product that was asked for: D (64, n) += A (64, k) B (k, n), k = 8 or 16.
struct Wgmma {
  std::uint64_t a, b;
  float* d; // of the thread
  int columns, terms;
};

/// What a thread has asked for, in groups; the last one is open.
inline std::vector<std::deque<std::vector<Wgmma>>> groups;

inline std::deque<std::vector<Wgmma>>& groups_of(unsigned thread) {
  if (groups.size() < threads.size()) groups.resize(threads.size());
  if (groups[thread].empty()) groups[thread].emplace_back();
  return groups[thread];
}

/// The lines of a matrix, its terms as rows.
inline void read_terms(std::uint64_t descriptor, unsigned lines, int terms, std::vector<float>& rows) {
  rows.resize(static_cast<std::size_t>(terms) * lines);
  for (unsigned line = 0; line < lines; ++line) {
    read_line(descriptor, line, [&](unsigned piece, const std::uint32_t* words) {
      for (unsigned w = 0; w < 4; ++w) {
        if (terms == 8) {
          rows[(piece * 4 + w) * lines + line] = number(words[w] & 0xffffe000U);
        } else {
          rows[(piece * 8 + w * 2) * lines + line] = number(words[w] << 16);
          rows[(piece * 8 + w * 2 + 1) * lines + line] = number(words[w] & 0xffff0000U);
        }
      }
    });
  }
}

/// Computes a product that all threads of a warpgroup have asked for, those from `first` on.
inline void multiply(unsigned first, std::size_t at) {
  const Wgmma asked = groups[first].front()[at];
  static std::vector<float> a, b, row;
  read_terms(asked.a, 64, asked.terms, a);
  read_terms(asked.b, static_cast<unsigned>(asked.columns), asked.terms, b);
  const auto columns = static_cast<std::size_t>(asked.columns);
  row.resize(columns);
  // Thread 4 g + t of warp w has rows 16 w + g and 16 w + g + 8, and of each eight columns numbers 2 t and 2 t + 1.
  const auto element = [&](unsigned i, std::size_t j) -> float& {
    const unsigned thread = first + i / 16 * 32 + i % 8 * 4 + static_cast<unsigned>(j % 8 / 2);
    return groups[thread].front()[at].d[j / 8 * 4 + i % 16 / 8 * 2 + j % 2];
  };
  for (unsigned i = 0; i < 64; ++i) {
    for (std::size_t j = 0; j < columns; ++j) row[j] = element(i, j);
    for (int p = 0; p < asked.terms; ++p) {
      const float left = a[static_cast<std::size_t>(p) * 64 + i];
      const float* right = &b[static_cast<std::size_t>(p) * columns];
      for (std::size_t j = 0; j < columns; ++j) row[j] += left * right[j];
    }
    for (std::size_t j = 0; j < columns; ++j) element(i, j) = row[j];
  }
}

/// Computes the oldest group of a warpgroup, which must be the same in all its threads.
inline void run_group(unsigned first) {
  const std::size_t count = groups_of(first).front().size();
  for (unsigned t = first; t < first + warpgroup; ++t) {
    if (groups_of(t).size() < 2 || groups[t].front().size() != count) refuse("a group that is not that of all");
    for (std::size_t i = 0; i < count; ++i) {
      const Wgmma &one = groups[t].front()[i], &other = groups[first].front()[i];
      if (one.a != other.a || one.b != other.b) refuse("descriptors that are not those of all");
    }
  }
  for (std::size_t i = 0; i < count; ++i) multiply(first, i);
  for (unsigned t = first; t < first + warpgroup; ++t) groups[t].pop_front();
}

inline void ask(std::uint64_t a, std::uint64_t b, float* d, int columns, int terms) {
  groups_of(current).back().push_back({a, b, d, columns, terms});
}

} // namespace emulated

namespace ptx {

inline unsigned shared_address(const void* place) {
  return emulated::shared_begin +
         static_cast<unsigned>(static_cast<const unsigned char*>(place) - emulated::shared_memory);
}

inline void barrier_init(unsigned barrier, unsigned threads) {
  const auto count = static_cast<std::uint8_t>(threads);
  *emulated::shared_place<emulated::Barrier>(barrier) = {0, count, count, 0, emulated::is_made};
}
inline void fence_barrier_init() {}

inline void barrier_arrive_expect(unsigned barrier, unsigned bytes) {
  emulated::Barrier& at = emulated::barrier_at(barrier);
  if (at.missing == 0) emulated::refuse("more arrivals at a barrier than it was made for");
  at.bytes += static_cast<std::int32_t>(bytes);
  --at.missing;
  at.look();
}
inline void barrier_arrive(unsigned barrier) { barrier_arrive_expect(barrier, 0); }

inline void barrier_wait(unsigned barrier, unsigned phase) {
  emulated::run_copies(barrier);
  while (emulated::barrier_at(barrier).phase == phase) {
    emulated::wait(emulated::State::polls);
    emulated::run_copies(barrier);
  }
}

inline void copy_bulk(unsigned to, const void* from, unsigned bytes, unsigned barrier) {
  if ((to | bytes | reinterpret_cast<std::uintptr_t>(from)) % 16 != 0) emulated::refuse("a copy of odd bytes");
  if (bytes == 0 || to + bytes > emulated::shared_begin + emulated::most_shared) emulated::refuse("a copy too long");
  emulated::copies.push_back({to, from, bytes, barrier});
  if (blockIdx.x % 2 == 0) emulated::run_copies(barrier);
}

inline void wgmma_fence() {}
inline void wgmma_commit() { emulated::groups_of(emulated::current).emplace_back(); }
template <int count> void wgmma_wait() {
  emulated::wait(emulated::State::waits_for_warpgroup);
  const unsigned first = emulated::current / emulated::warpgroup * emulated::warpgroup;
  // The first to come does the work of all. One group more is open.
  while (emulated::groups_of(emulated::current).size() > count + 1) emulated::run_group(first);
}
template <int count> void wgmma_settle(float (&)[count]) {}

inline void wgmma_k8_tf32(float (&d)[64], std::uint64_t a, std::uint64_t b) { emulated::ask(a, b, d, 128, 8); }
inline void wgmma_k8_tf32(float (&d)[128], std::uint64_t a, std::uint64_t b) { emulated::ask(a, b, d, 256, 8); }
inline void wgmma_k16_bf16(float (&d)[64], std::uint64_t a, std::uint64_t b) { emulated::ask(a, b, d, 128, 16); }
inline void wgmma_k16_bf16(float (&d)[128], std::uint64_t a, std::uint64_t b) { emulated::ask(a, b, d, 256, 16); }

} // namespace ptx
