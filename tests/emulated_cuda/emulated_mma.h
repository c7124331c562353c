// The instructions of csrc/cuda/mma.h on the host, for tests: who holds which element is written down here once more,
// from the PTX ISA ("Matrix Fragments for mma.m16n8k8", "... mma.m16n8k16 with floating point type"), so that a kernel
// that has it otherwise computes something else. Sums are rounded once an instruction; tensor cores may round worse.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "cuda_runtime.h"

namespace emulated {

struct Operands {
  std::uint32_t a[4], b[2];
};

// What each thread holds, two instructions deep: a lane is at most one ahead of the others of its warp.
inline std::vector<Operands> operands[2];
inline std::vector<unsigned> turns;

inline float number(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

/// Shows what the calling thread holds to its warp, and returns what all of its lanes hold.
inline const Operands* show(const unsigned (&a)[4], const unsigned (&b)[2]) {
  if (turns.size() < threads.size()) {
    turns.resize(threads.size());
    for (auto& set : operands) set.resize(threads.size());
  }
  auto& set = operands[turns[current]++ % 2];
  Operands& own = set[current];
  std::memcpy(own.a, a, sizeof own.a);
  std::memcpy(own.b, b, sizeof own.b);
  wait(State::waits_for_warp);
  return &set[current / warpSize * warpSize];
}

/// c += A B, for the four elements of the calling lane. Of A, element(warp, row, p); of B, element(warp, p, column).
template <int depth, class A, class B> void multiply_add(float (&c)[4], const Operands* warp, A a, B b) {
  const unsigned group = current % warpSize / 4, place = current % warpSize % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned row = i < 2 ? group : group + 8, column = place * 2 + (i & 1);
    double sum = c[i];
    for (unsigned p = 0; p < depth; ++p) sum += static_cast<double>(a(warp, row, p)) * b(warp, p, column);
    c[i] = static_cast<float>(sum);
  }
}

} // namespace emulated

namespace ptx {

inline unsigned cvt_rna_tf32(float x) {
  const std::uint32_t bits = emulated::bits_of(x);
  return std::isnan(x) ? 0x7fffffffU : (bits + 0x1000U) & 0xffffe000U;
}

inline unsigned cvt_rn_bf16x2(float high, float low) {
  const auto rounded = [](float x) -> std::uint32_t {
    const std::uint32_t bits = emulated::bits_of(x);
    return std::isnan(x) ? 0x7fffU : (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16;
  };
  return rounded(high) << 16 | rounded(low);
}

// a0 and a2 lie in row groupID, a1 and a3 in groupID + 8; a0 and a1 in column threadID_in_group, a2 and a3 four
// further. b0 lies in row threadID_in_group, b1 four further; both in column groupID. The lower 13 bits of a word are
// ignored.
inline void mma_m16n8k8_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  const auto tf32 = [](std::uint32_t word) { return emulated::number(word & 0xffffe000U); };
  emulated::multiply_add<8>(
      c, emulated::show(a, b),
      [&](const emulated::Operands* warp, unsigned row, unsigned p) {
        return tf32(warp[row % 8 * 4 + p % 4].a[row / 8 + p / 4 * 2]);
      },
      [&](const emulated::Operands* warp, unsigned p, unsigned column) {
        return tf32(warp[column * 4 + p % 4].b[p / 4]);
      });
}

// a0, a1, a4 and a5 lie in row groupID, a2, a3, a6 and a7 in groupID + 8; ai in column threadID_in_group * 2 + (i & 1),
// and eight further from a4 on. bi lies in row threadID_in_group * 2 + (i & 1), eight further from b2 on; all in column
// groupID. A register holds two, the first one in its lower half.
inline void mma_m16n8k16_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  const auto half = [](const std::uint32_t* registers, unsigned i) {
    return emulated::number(i % 2 == 0 ? registers[i / 2] << 16 : registers[i / 2] & 0xffff0000U);
  };
  emulated::multiply_add<16>(
      c, emulated::show(a, b),
      [&](const emulated::Operands* warp, unsigned row, unsigned p) {
        return half(warp[row % 8 * 4 + p % 8 / 2].a, p % 2 + row / 8 * 2 + p / 8 * 4);
      },
      [&](const emulated::Operands* warp, unsigned p, unsigned column) {
        return half(warp[column * 4 + p % 8 / 2].b, p % 2 + p / 8 * 2);
      });
}

} // namespace ptx
