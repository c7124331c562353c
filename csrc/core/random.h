// Random numbers that are counted, not drawn: Philox4x32-10.
//
//   (x0, x1, x2, x3) = philox(key = seed, counter = (block, step low, step high, tag))
//
// The same four words come out for the same seed, purpose, layer, step and block, on one thread or many, in
// any order, on any device, and after a resume. There is no generator object and no state to save.
//
// Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>

#include "core/view.h"

namespace chainrule {

/// What a stream of random numbers is for: streams of different purposes never share a counter.
enum class Purpose : std::uint32_t { initial_weights = 1, shuffle = 2, dropout = 3, noise = 4, augmentation = 5 };

/// Names one stream. Element e of a stream is a pure function of the stream and e.
struct Stream {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::initial_weights;
  std::uint32_t layer = 0; // below 2^24
  std::uint64_t step = 0;

  constexpr std::uint32_t tag() const { return static_cast<std::uint32_t>(purpose) << 24 | layer; }
};

/// What a row of the data has of a stream whose step is an epoch; both numbers are below 2^32.
CHAINRULE_INLINE constexpr Stream stream_of_row(Stream stream, Index row) {
  stream.step = stream.step << 32 | static_cast<std::uint64_t>(row);
  return stream;
}

// Multipliers and Weyl increments of the paper, table 2 and section 4.3.
inline constexpr std::uint64_t philox_multiplier0 = 0xD2511F53, philox_multiplier1 = 0xCD9E8D57;
inline constexpr std::uint32_t philox_weyl0 = 0x9E3779B9, philox_weyl1 = 0xBB67AE85;

using Words = std::array<std::uint32_t, 4>;

/// The ten rounds of Philox4x32. `block` counts groups of four words within the stream.
constexpr Words philox(const Stream& stream, std::uint32_t block) {
  auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };

  Words x{block, low(stream.step), high(stream.step), stream.tag()};
  std::uint32_t key0 = low(stream.seed), key1 = high(stream.seed);
  for (int round = 0; round < 10; ++round, key0 += philox_weyl0, key1 += philox_weyl1) {
    const std::uint64_t product0 = philox_multiplier0 * x[0], product1 = philox_multiplier1 * x[2];
    x = {high(product1) ^ x[1] ^ key0, low(product1), high(product0) ^ x[3] ^ key1, low(product0)};
  }
  return x;
}

/// Two 64-bit words of a block, the first word of each pair in the low half.
constexpr std::array<std::uint64_t, 2> philox_pair(const Stream& stream, std::uint32_t block) {
  const Words x = philox(stream, block);
  return {x[0] | static_cast<std::uint64_t>(x[1]) << 32, x[2] | static_cast<std::uint64_t>(x[3]) << 32};
}

/// 53 bits of `word` as a double in [0, 1).
constexpr double unit_interval(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

} // namespace chainrule
