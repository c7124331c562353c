// Counted random words, many blocks side by side, one in each lane of a register. The words are those of
// chainrule::philox.
#pragma once

#include "core/random.h"
#include "cpu/wide_words.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

constexpr int philox_width = 16; // blocks side by side: one AVX-512 register of 32-bit words

/// Elements of a stream that one call of philox_lanes serves.
constexpr Index philox_elements = 4 * philox_width;

/// [word][lane]: word e % 4 of the block of an element e stands for the element.
using LaneWords = std::uint32_t[4][philox_width];

/// words[w][lane] = word w of a block of the stream, as count(lane, block, step) says: it sets the block's number, and
/// may set the low half of the step, of the 32-bit halves of which the high one stays.
template <class Count> void philox_blocks(const Stream& stream, Count count, LaneWords& words) {
  const std::uint64_t tag = static_cast<std::uint64_t>(stream.purpose) << 24 | stream.layer;
  const WideWords multiplier0 = WideWords{} + philox_multiplier0, multiplier1 = WideWords{} + philox_multiplier1;
  for (int lane = 0; lane < philox_width; lane += wide_width) {
    WideWords x0, x1 = WideWords{} + stream.step, x2 = WideWords{} + (stream.step >> 32), x3 = WideWords{} + tag;
    for (int i = 0; i < wide_width; ++i) {
      std::uint64_t block = 0, step = stream.step;
      count(lane + i, block, step);
      x0[i] = block;
      x1[i] = step;
    }
    std::uint32_t key0 = static_cast<std::uint32_t>(stream.seed);
    std::uint32_t key1 = static_cast<std::uint32_t>(stream.seed >> 32);
    for (int round = 0; round < 10; ++round, key0 += philox_weyl0, key1 += philox_weyl1) {
      const WideWords product0 = product(multiplier0, x0), product1 = product(multiplier1, x2);
      x0 = (product1 >> 32) ^ x1 ^ key0;
      x1 = product1;
      x2 = (product0 >> 32) ^ x3 ^ key1;
      x3 = product0;
    }
    const WideWords results[] = {x0, x1, x2, x3};
    for (int word = 0; word < 4; ++word) store_low(results[word], &words[word][lane]);
  }
}

/// words[w][lane] = word w of block first + lane.
void philox_lanes(const Stream& stream, std::uint32_t first, LaneWords& words) {
  auto next = [&](int lane, std::uint64_t& block, std::uint64_t&) { block = first + static_cast<std::uint32_t>(lane); };
  philox_blocks(stream, next, words);
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
